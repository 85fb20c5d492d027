//! A database server: how it is reached, what is asked of it, and one session with it.
//!
//! The store is synchronous and is also used from async threads, so each server has one thread of its own that drives the
//! sockets, and callers wait for its answers.

use super::Value;
use crate::StoreError;
use bxp_types::Secret;
use futures::executor::block_on;
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::{cell::RefCell, collections::HashMap, sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{
    Client, Config, NoTls, Row, Statement,
    config::{ChannelBinding, Host, SslMode},
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The oldest server that is taken, as it says its version.
const VERSION_MIN: i64 = 150_000;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long without an answer to what was sent, a connection is given up.
const UNANSWERED_MAX: Duration = Duration::from_secs(60);
/// Statements that a session keeps prepared.
const STATEMENTS_KEPT: usize = 128;
/// The advisory lock of the one node that writes ("bxp fhir" in ASCII).
const LOCK: i64 = 0x6278_7020_6668_6972;
/// Connections to a server, unless the configuration says otherwise.
const CONNECTIONS_MAX: usize = 32;

/// No plan depends on statistics: each statement has its index, and reads it.
const SETTINGS: &str = "SET search_path = bxp; SET client_min_messages = warning; SET jit = off; SET lock_timeout = '30s'; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// A PostgreSQL server, of version 15 or later, as a place for the store. Clones share it.
#[derive(Clone)]
pub struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    connections_max: usize,
    driver: Arc<Driver>,
}

/// The thread that drives the sockets.
struct Driver(Mutex<Option<Runtime>>);

impl Drop for Driver {
    fn drop(&mut self) {
        // Waiting for it would panic on an async thread; nothing is lost by not waiting.
        if let Some(runtime) = self.0.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("database", &self.config.get_dbname()).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at `url`, `postgres://USER@HOST/DATABASE`. A HOST that is a folder (`%2Frun%2Fpostgresql`) is a socket of this
    /// machine; any other is reached by TLS alone, and its certificate must lead to one in `authority`, in PEM.
    ///
    /// # Errors
    /// [`StoreError::Configuration`].
    pub fn new(
        url: &str,
        password: Option<&Secret<String>>,
        authority: Option<&[u8]>,
        connections_max: Option<usize>,
    ) -> Result<Self, StoreError> {
        const WRONG: StoreError = StoreError::Configuration(
            "the address of the database server is not understood; write postgres://USER@HOST/DATABASE, \
             and a socket's folder as HOST with %2F for each /",
        );
        let mut config: Config = url.parse().map_err(|_| WRONG)?;
        if config.get_password().is_some() {
            return Err(StoreError::Configuration(
                "the address of the database server has a password in it; put it into a file of its own",
            ));
        }
        if config.get_user().is_none() || config.get_dbname().is_none() || config.get_hosts().len() != 1 {
            return Err(WRONG);
        }
        let local = matches!(config.get_hosts(), [Host::Unix(_)]) && config.get_hostaddrs().is_empty();
        let tls = match (local, authority) {
            (true, _) => None,
            (false, Some(authority)) => Some(verified(authority)?),
            (false, None) => {
                return Err(StoreError::Configuration(
                    "the database server is not on a socket of this machine, so it is reached by TLS alone; \
                     name the file of the authority that signed its certificate",
                ));
            }
        };
        config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        // The certificate is verified, which is what the binding would be for.
        config.channel_binding(ChannelBinding::Disable);
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(UNANSWERED_MAX).application_name("bxp");
        if let Some(password) = password {
            config.password(password.expose());
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fhir-store-server")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Server {
                message: format!("start a thread: {error}"),
                full: false,
            })?;
        let connections_max = connections_max.unwrap_or(CONNECTIONS_MAX).max(2);
        let driver = Arc::new(Driver(Mutex::new(Some(runtime))));
        Ok(Self { config, tls, connections_max, driver })
    }

    /// Connections that readers may have; one is the writer's.
    pub(crate) const fn readers_max(&self) -> usize {
        self.connections_max - 1
    }

    /// A session that reads only.
    pub(crate) fn reader(&self) -> Result<Session, StoreError> {
        let session = self.session()?;
        session.run("SET default_transaction_read_only = on")?;
        Ok(session)
    }

    /// The session of the one node that writes: a second one is refused, and so is a server that does not keep what it has
    /// acknowledged.
    pub(crate) fn writer(&self) -> Result<Session, StoreError> {
        let session = self.session()?;
        let setting = |name: &str| session.run_for_text(&format!("SHOW {name}"));
        let version: i64 = setting("server_version_num")?.parse().unwrap_or(0);
        if version < VERSION_MIN {
            return Err(StoreError::Configuration("the database server is older than PostgreSQL 15"));
        }
        if setting("fsync")? != "on" || setting("full_page_writes")? != "on" {
            return Err(StoreError::Configuration(
                "the database server would lose what it has acknowledged; set fsync and full_page_writes on",
            ));
        }
        if setting("synchronous_commit")? == "off" {
            session.run("SET synchronous_commit = on")?;
        }
        let locked = session.run_for_text(&format!("SELECT pg_try_advisory_lock({LOCK})"))?;
        if locked != "t" {
            return Err(StoreError::Configuration(
                "another node writes to this database; each node has one of its own",
            ));
        }
        Ok(session)
    }

    fn session(&self) -> Result<Session, StoreError> {
        let handle = match &*self.driver.0.lock() {
            Some(runtime) => runtime.handle().clone(),
            None => return Err(StoreError::Damaged("the thread of the database server")),
        };
        let (config, tls, spawner) = (self.config.clone(), self.tls.clone(), handle.clone());
        // What ends a connection is told to its client; the task that drives it has nobody else to tell.
        let connecting = handle.spawn(async move {
            Ok::<_, tokio_postgres::Error>(match tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    spawner.spawn(async move { drop(connection.await) });
                    client
                }
                Some(tls) => {
                    let (client, connection) = config.connect(tls).await?;
                    spawner.spawn(async move { drop(connection.await) });
                    client
                }
            })
        });
        let stopped = |_| StoreError::Damaged("the thread of the database server");
        let client = block_on(connecting).map_err(stopped)??;
        let session =
            Session { client, statements: RefCell::new(HashMap::new()), _driver: Arc::clone(&self.driver) };
        session.run(SETTINGS)?;
        Ok(session)
    }
}

/// TLS with a server whose certificate leads to one of `authority`.
fn verified(authority: &[u8]) -> Result<MakeRustlsConnect, StoreError> {
    const WRONG: StoreError =
        StoreError::Configuration("the database server's authority is no file of certificates in PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.map_err(|_| WRONG)?).map_err(|_| WRONG)?;
    }
    if roots.is_empty() {
        return Err(WRONG);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| WRONG)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// One session with a server.
pub(crate) struct Session {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    _driver: Arc<Driver>,
}

impl Session {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn run(&self, text: &str) -> Result<(), StoreError> {
        Ok(block_on(self.client.batch_execute(text))?)
    }

    /// The first column of the first row, as text.
    fn run_for_text(&self, text: &str) -> Result<String, StoreError> {
        use tokio_postgres::SimpleQueryMessage::Row;
        let answer = block_on(self.client.simple_query(text))?;
        let row = answer.iter().find_map(|message| if let Row(row) = message { Some(row) } else { None });
        Ok(row.and_then(|row| row.get(0)).unwrap_or_default().to_owned())
    }

    pub(super) fn execute(&self, text: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        let statement = self.prepared(text, || values.iter().map(Value::kind).collect())?;
        block_on(self.client.execute_raw(&statement, values))?;
        Ok(())
    }

    pub(super) fn query(&self, text: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepared(text, || values.iter().map(Value::kind).collect())?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        Ok(block_on(self.client.query(&statement, &values))?)
    }

    /// Runs a statement over two columns of numbers and a third number.
    pub(super) fn pairs(&self, text: &str, third: i64, rows: &[(i64, i64)]) -> Result<(), StoreError> {
        let (first, second): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
        let statement = self.prepared(text, || vec![Type::INT8_ARRAY, Type::INT8_ARRAY, Type::INT8])?;
        block_on(self.client.execute(&statement, &[&first, &second, &third]))?;
        Ok(())
    }

    fn prepared(&self, text: &str, types: impl FnOnce() -> Vec<Type>) -> Result<Statement, StoreError> {
        if let Some(known) = self.statements.borrow().get(text) {
            return Ok(known.clone());
        }
        // No text of ours has a question mark that is no parameter.
        let statement = block_on(self.client.prepare_typed(&text.replace('?', "$"), &types()))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_KEPT {
            statements.clear();
        }
        statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }
}
