//! One node's process.

use super::{BOUND, Client, end_of_log};
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// The program under test.
pub(crate) fn bxp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bxp"));
    command.kill_on_drop(true);
    command
}

/// A node that is started and killed.
pub(crate) struct NodeProcess {
    pub(crate) name: String,
    pub(crate) config: PathBuf,
    pub(crate) client: Client,
    pub(crate) listen: bxp_node::Listen,
    child: Option<Child>,
}

impl NodeProcess {
    pub(super) fn new(name: &str, config: PathBuf) -> Self {
        let listen = bxp_node::NodeConfig::read(&config).unwrap().listen;
        let token = fs::read_to_string(config.with_file_name("operator.token")).unwrap();
        let client = Client::new(listen, token.trim());
        Self { name: name.to_owned(), config, client, listen, child: None }
    }

    /// The node's folder.
    pub(crate) fn dir(&self) -> &Path {
        self.config.parent().unwrap()
    }

    /// The node's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.config.with_file_name("node.log")
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts the process. It ends with the test also when the test itself is killed, since its input ends then.
    pub(crate) fn spawn(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let child = bxp()
            .args(["node", "--json", "--stop-at-end-of-input", "--config"])
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// Waits until the node says that it is ready.
    pub(crate) async fn ready(&mut self) {
        let Some(output) = self.child.as_mut().and_then(|child| child.stdout.take()) else { return };
        let mut lines = BufReader::new(output).lines();
        let line = timeout(BOUND, lines.next_line()).await.expect("the node is ready in time").unwrap();
        let line = line.unwrap_or_else(|| panic!("{} ended: {}", self.name, end_of_log(&self.log())));
        let addresses: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(addresses["name"], self.name.as_str());
        assert_eq!(addresses["rpc"], format!("http://{}", self.listen.rpc));
    }

    /// Starts the process and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// `kill -9`, without waiting for the end.
    pub(crate) fn strike(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) async fn kill(&mut self) {
        self.strike();
        let status = self.gone().await;
        assert!(!status.success(), "a killed process does not end well");
    }

    /// Stops the process where it is, with all its connections open.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen process go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks the node to stop, as a service manager does.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.gone().await;
        assert!(status.success(), "{} ends with {status}: {}", self.name, end_of_log(&self.log()));
    }

    /// Waits for the process to end.
    pub(crate) async fn gone(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the node runs");
        timeout(BOUND, child.wait()).await.expect("the process ends in time").unwrap()
    }

    /// Waits for the process to end although nobody tells it to: its input stays open.
    pub(crate) async fn ended_by_itself(&mut self) -> ExitStatus {
        let _input = self.child.as_mut().and_then(|child| child.stdin.take());
        self.gone().await
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).expect("the node runs");
        nix::sys::signal::kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }
}
