//! A PostgreSQL server for the tests: Debian's, in a temporary folder, on a socket of its own and on TLS at 127.0.0.1.
//!
//! It does not run as root, so root starts it as `nobody`. It ends with the process that started it, because it is stopped by
//! a shell that waits for the end of its input.

use bxp_fhir_store::Server;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

const BINARIES: &str = "/usr/lib/postgresql/15/bin";
const NOBODY: &str = "65534";

/// The server of this process, if this machine has one.
static SERVER: LazyLock<Option<TestServer>> = LazyLock::new(TestServer::start);

pub(crate) struct TestServer {
    folder: PathBuf,
    port: u16,
    databases: AtomicUsize,
    shell: Mutex<(Child, BufReader<ChildStdout>)>,
}

/// A database of the server; none where this machine has no server, which is said once.
pub(crate) fn database() -> Option<Database> {
    database_of(SERVER.as_ref())
}

/// The same, of a server that is started for it.
pub(crate) fn database_of_its_own() -> Option<Database> {
    database_of(TestServer::start().map(|server| &*Box::leak(Box::new(server))))
}

fn database_of(server: Option<&'static TestServer>) -> Option<Database> {
    let server = server?;
    let name = format!("store_{}", server.databases.fetch_add(1, Ordering::Relaxed));
    let database = Database { server, name };
    server.sql("postgres", &format!("CREATE DATABASE {}", database.name));
    Some(database)
}

/// A database of its own for one test.
#[derive(Clone)]
pub(crate) struct Database {
    server: &'static TestServer,
    name: String,
}

impl Database {
    pub(crate) fn server(&self) -> Server {
        let folder = self.server.folder.join("socket");
        let host = folder.to_str().unwrap().replace('/', "%2F");
        Server::new(&format!("postgres://bxp@{host}:{}/{}", self.server.port, self.name), None, None, None)
            .unwrap()
    }

    /// The same database by TLS.
    pub(crate) fn address_by_tls(&self, host: &str) -> String {
        format!("postgres://bxp@{host}:{}/{}", self.server.port, self.name)
    }

    /// What a statement of the operator gives, as text.
    pub(crate) fn sql(&self, text: &str) -> String {
        self.server.sql(&self.name, text)
    }

    /// Ends the server in the middle of everything, and starts it again.
    pub(crate) fn crash(&self) {
        self.server.shell.lock().unwrap().0.stdin.as_mut().unwrap().write_all(b"again\n").unwrap();
        self.server.await_start();
    }

    /// Everything that the server keeps of this database, as a backup has it.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let mut command = Command::new(format!("{BINARIES}/pg_dump"));
        self.server.reach(&mut command);
        command.arg(&self.name);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The files of all databases and the log of the last transactions.
    pub(crate) fn files(&self) -> PathBuf {
        self.server.folder.join("data")
    }
}

impl TestServer {
    fn start() -> Option<Self> {
        if !Path::new(BINARIES).join("initdb").exists() {
            // Not by a macro: what a test prints that passes is not shown.
            let line = format!("skipped: the cases on a database server, no PostgreSQL 15 in {BINARIES}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        let folder = tempfile::Builder::new().prefix("bxp-postgres-").tempdir().unwrap().keep();
        for (name, text) in
            [("server.pem", include_str!("tls/server.pem")), ("server.key", include_str!("tls/server.key"))]
        {
            std::fs::write(folder.join(name), text).unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::create_dir(folder.join("socket")).unwrap();
        if is_root() {
            let owned = Command::new("chown").args(["-R", NOBODY]).arg(&folder).status().unwrap();
            assert!(owned.success());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = format!(
            "cd {folder} || exit 1
             {BINARIES}/initdb -D data -U bxp -A trust -E UTF8 --no-locale >init.log 2>&1 || {{ cat init.log >&2; exit 1; }}
             start() {{
               {BINARIES}/postgres -D data -k {folder}/socket -p {port} -h 127.0.0.1 -c ssl=on -c max_connections=400 \
                 -c ssl_cert_file={folder}/server.pem -c ssl_key_file={folder}/server.key >>server.log 2>&1 &
               server=$!
               for _ in $(seq 600); do
                 {BINARIES}/pg_isready -q -h {folder}/socket -p {port} && echo started && return
                 sleep 0.1
               done
               cat server.log >&2
               echo failed
             }}
             start
             while read -r _; do kill -QUIT $server; wait $server; start; done
             kill -INT $server; wait $server; cd /; rm -rf {folder}",
            folder = folder.display()
        );
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-c", &script]);
            command
        } else {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command
        };
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(shell.stdout.take().unwrap());
        let server = Self { folder, port, databases: AtomicUsize::new(0), shell: Mutex::new((shell, out)) };
        server.await_start();
        Some(server)
    }

    fn await_start(&self) {
        let mut line = String::new();
        self.shell.lock().unwrap().1.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "started", "the server does not start");
    }

    fn reach(&self, command: &mut Command) {
        let port = self.port.to_string();
        command.arg("-h").arg(self.folder.join("socket")).args(["-p", port.as_str(), "-U", "bxp"]);
    }

    fn sql(&self, database: &str, text: &str) -> String {
        let mut command = Command::new(format!("{BINARIES}/psql"));
        self.reach(&mut command);
        command.args(["-d", database, "-Atqc", text]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.starts_with(b"0\n")
}
