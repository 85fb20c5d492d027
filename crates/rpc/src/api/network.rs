//! `web3_`, `net_`, and what `eth_` says of the network and the node.

use crate::{context::Context, fault::Fault};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rpc_types_eth::{SyncInfo, SyncStatus};
use bxp_types::Height;
use jsonrpsee::{core::async_trait, proc_macros::rpc, server::RegisterMethodError};

/// The program and its hash function.
#[rpc(server, namespace = "web3")]
trait Web3 {
    /// The program's name and version.
    #[method(name = "clientVersion")]
    fn client_version(&self) -> Result<String, Fault>;

    /// keccak256 of the bytes.
    #[method(name = "sha3")]
    fn sha3(&self, bytes: Bytes) -> Result<B256, Fault>;
}

/// The network.
#[rpc(server, namespace = "net")]
trait Net {
    /// The chain id, in decimal.
    #[method(name = "version")]
    fn version(&self) -> Result<String, Fault>;

    /// True: a running node listens to its peers.
    #[method(name = "listening")]
    fn listening(&self) -> Result<bool, Fault>;

    /// Validators to which there is a connection.
    #[method(name = "peerCount")]
    fn peer_count(&self) -> Result<U64, Fault>;
}

/// The chain as a whole.
#[rpc(server, namespace = "eth")]
trait Chain {
    /// The EIP-155 chain id.
    #[method(name = "chainId")]
    fn chain_id(&self) -> Result<U64, Fault>;

    /// The newest block's number.
    #[method(name = "blockNumber")]
    fn block_number(&self) -> Result<U64, Fault>;

    /// False, or how far the node is where it knows of blocks that it does not have.
    #[method(name = "syncing")]
    fn syncing(&self) -> Result<SyncStatus, Fault>;
}

/// Accounts of a node that signs for nobody.
#[rpc(server, namespace = "eth")]
trait NoAccounts {
    /// Empty: the node signs for nobody.
    #[method(name = "accounts")]
    fn accounts(&self) -> Result<Vec<Address>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl Web3Server for Methods {
    fn client_version(&self) -> Result<String, Fault> {
        Ok(self.0.info.version.clone())
    }

    fn sha3(&self, bytes: Bytes) -> Result<B256, Fault> {
        Ok(keccak256(bytes))
    }
}

#[async_trait]
impl NetServer for Methods {
    fn version(&self) -> Result<String, Fault> {
        Ok(self.0.ledger.genesis().chain_id.to_string())
    }

    fn listening(&self) -> Result<bool, Fault> {
        Ok(true)
    }

    fn peer_count(&self) -> Result<U64, Fault> {
        Ok(U64::from(self.0.info.status.peer_count()))
    }
}

#[async_trait]
impl ChainServer for Methods {
    fn chain_id(&self) -> Result<U64, Fault> {
        Ok(U64::from(self.0.ledger.genesis().chain_id))
    }

    fn block_number(&self) -> Result<U64, Fault> {
        Ok(U64::from(self.0.ledger.head().height().0))
    }

    fn syncing(&self) -> Result<SyncStatus, Fault> {
        let quantity = |height: Height| U256::from(height.0);
        let (current, highest) = (self.0.ledger.head().height(), self.0.info.status.highest_block());
        if highest <= current {
            return Ok(SyncStatus::None);
        }
        Ok(SyncStatus::Info(Box::new(SyncInfo {
            starting_block: quantity(self.0.started_at),
            current_block: quantity(current),
            highest_block: quantity(highest),
            ..SyncInfo::default()
        })))
    }
}

impl NoAccountsServer for Methods {
    fn accounts(&self) -> Result<Vec<Address>, Fault> {
        Ok(Vec::new())
    }
}

pub(super) fn no_accounts(context: &Context) -> jsonrpsee::Methods {
    NoAccountsServer::into_rpc(Methods(context.clone())).into()
}

pub(super) fn methods(context: &Context) -> Result<jsonrpsee::Methods, RegisterMethodError> {
    let mut all = ChainServer::into_rpc(Methods(context.clone()));
    all.merge(Web3Server::into_rpc(Methods(context.clone())))?;
    all.merge(NetServer::into_rpc(Methods(context.clone())))?;
    Ok(all.into())
}
