//! The server without a port, before a chain that holds nothing: for the fuzz targets.

mod empty;

use crate::{api, context::Context, info::NodeInfo, server::direct::Direct};
use bxp_execution::ChainSpec;
use bxp_types::Ledger;
use empty::{CHAIN_ID, Empty};
use jsonrpsee::Methods;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

/// Nothing is read, run or waited for: an answer that takes longer does not come.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// A server of every method there is, a developer's included, before a chain of block 0 whose state is not kept. What a
/// request says is read as always; what it asks for is not there.
pub struct Node {
    runtime: Runtime,
    server: Direct,
    methods: Methods,
}

impl Node {
    /// A server that is asked by [`Node::answer`] and [`Node::answer_frame`] alone.
    ///
    /// # Errors
    /// What the operating system says; two methods of one name are [`io::ErrorKind::Other`].
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let empty = Arc::new(Empty::new());
        let info = NodeInfo {
            version: "bxp/fuzz".to_owned(),
            validator: None,
            status: empty.clone(),
            spec: Arc::new(ChainSpec::bxp(CHAIN_ID)),
            developer: Some(empty.clone()),
        };
        let ledger: Arc<dyn Ledger> = empty;
        let methods = api::methods(&Context::new(Arc::clone(&ledger), info)).map_err(io::Error::other)?;
        Ok(Self { runtime, server: Direct::new(methods.clone(), ledger), methods })
    }

    /// What the body of a request, single or a batch, is answered over HTTP; nothing for notifications alone.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where no answer comes.
    pub fn answer(&self, body: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let answer = self.server.answer(body.to_vec());
        self.runtime.block_on(async { timeout(ANSWER_TIME_MAX, answer).await }).map_err(io::Error::from)
    }

    /// What the text of a frame is answered over a WebSocket, where a client may also subscribe; nothing where the text is
    /// no single request. Batches and notifications are read as over HTTP.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where no answer comes.
    pub fn answer_frame(&self, text: &str) -> io::Result<Option<String>> {
        let answer = self.methods.raw_json_request(text, 1);
        let answer = self.runtime.block_on(async { timeout(ANSWER_TIME_MAX, answer).await })?;
        Ok(answer.ok().map(|(answer, _)| answer.get().to_owned()))
    }
}
