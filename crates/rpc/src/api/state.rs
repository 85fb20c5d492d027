//! Accounts, code and storage of the newest state.

use crate::{context::Context, fault::Fault, select};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};

/// The newest state. A block parameter (EIP-1898) of an older block is an error, since only the newest is kept.
#[rpc(server, namespace = "eth")]
trait State {
    /// The account's balance in wei.
    #[method(name = "getBalance")]
    async fn balance(&self, address: Address, block: Option<BlockId>) -> Result<U256, Fault>;

    /// Transactions that the account has sent; with `pending`, those that wait in this node's pool included.
    #[method(name = "getTransactionCount")]
    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Result<U64, Fault>;

    /// The contract's runtime code; empty where there is none.
    #[method(name = "getCode")]
    async fn code(&self, address: Address, block: Option<BlockId>) -> Result<Bytes, Fault>;

    /// One storage slot.
    #[method(name = "getStorageAt")]
    async fn storage_at(&self, address: Address, slot: U256, block: Option<BlockId>) -> Result<B256, Fault>;
}

struct Methods(Context);

#[async_trait]
impl StateServer for Methods {
    async fn balance(&self, address: Address, block: Option<BlockId>) -> Result<U256, Fault> {
        let read = move |ledger: &dyn Ledger| {
            select::require_newest(ledger, block)?;
            Ok(ledger.account(address)?.balance)
        };
        self.0.run("eth_getBalance", read).await
    }

    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Result<U64, Fault> {
        let read = move |ledger: &dyn Ledger| {
            if block == Some(BlockId::Number(BlockNumberOrTag::Pending)) {
                return Ok(U64::from(ledger.pending_nonce(address)?));
            }
            select::require_newest(ledger, block)?;
            Ok(U64::from(ledger.account(address)?.nonce))
        };
        self.0.run("eth_getTransactionCount", read).await
    }

    async fn code(&self, address: Address, block: Option<BlockId>) -> Result<Bytes, Fault> {
        let read = move |ledger: &dyn Ledger| {
            select::require_newest(ledger, block)?;
            Ok(ledger.code(address)?)
        };
        self.0.run("eth_getCode", read).await
    }

    async fn storage_at(&self, address: Address, slot: U256, block: Option<BlockId>) -> Result<B256, Fault> {
        let read = move |ledger: &dyn Ledger| {
            select::require_newest(ledger, block)?;
            Ok(B256::from(ledger.storage(address, slot)?))
        };
        self.0.run("eth_getStorageAt", read).await
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
