//! What the node says of itself.

use bxp_execution::ChainSpec;
use bxp_types::{Developer, Height, ValidatorIndex};
use std::{fmt, sync::Arc};

/// Facts about the node that the ledger does not hold.
#[derive(Clone)]
pub struct NodeInfo {
    /// Name and version of the program, such as `bxp/v0.1.0/x86_64-linux`: the answer to `web3_clientVersion`.
    pub version: String,
    /// Which validator of the genesis document this node is; none for a node that only follows.
    pub validator: Option<ValidatorIndex>,
    /// What changes while the node runs.
    pub status: Arc<dyn NodeStatus>,
    /// The rules by which the chain's blocks run.
    pub spec: Arc<ChainSpec>,
    /// The controls of a developer's chain; none in a network.
    pub developer: Option<Arc<dyn Developer>>,
}

impl fmt::Debug for NodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeInfo")
            .field("version", &self.version)
            .field("validator", &self.validator)
            .finish_non_exhaustive()
    }
}

/// What changes while the node runs. Answers come at once, from memory.
pub trait NodeStatus: Send + Sync + 'static {
    /// Validators to which there is a connection now.
    fn peer_count(&self) -> usize;

    /// The highest block that the node knows to be decided anywhere; `eth_syncing` tells of it while the node's own
    /// head is below. A node that has not heard of any says 0.
    fn highest_block(&self) -> Height;
}
