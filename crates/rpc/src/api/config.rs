//! What this chain is and what this node keeps: `eth_config` (EIP-7910), `eth_capabilities`, prices of the next block.

use crate::{context::Context, fault::Fault};
use alloy_primitives::{B256, U64, U256};
use bxp_types::{Height, Ledger, LedgerError};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use serde_json::Value;

/// What the node keeps.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) struct CapabilitiesJson {
    head: HeadJson,
    state: KeptJson,
    tx: KeptJson,
    logs: KeptJson,
    receipts: KeptJson,
    blocks: KeptJson,
    stateproofs: KeptJson,
}

#[derive(Clone, Debug, Serialize)]
struct HeadJson {
    number: U64,
    hash: B256,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptJson {
    disabled: bool,
    oldest_block: U64,
}

/// The chain and the node.
#[rpc(server, namespace = "eth")]
trait Config {
    /// The forks' parameters: current, next and last (EIP-7910).
    #[method(name = "config")]
    fn config(&self) -> Result<Value, Fault>;

    /// From which block on the node keeps what.
    #[method(name = "capabilities")]
    async fn capabilities(&self) -> Result<CapabilitiesJson, Fault>;

    /// The base fee of the next block in wei.
    #[method(name = "baseFee")]
    fn base_fee(&self) -> Result<U256, Fault>;

    /// The price of blob gas in the next block, in wei.
    #[method(name = "blobBaseFee")]
    fn blob_base_fee(&self) -> Result<U256, Fault>;
}

struct Methods(Context);

#[async_trait]
impl ConfigServer for Methods {
    fn config(&self) -> Result<Value, Fault> {
        let head = self.0.ledger.head();
        let genesis = self.0.ledger.block(Height(0))?.ok_or(Fault::MissingBlock(Height(0)))?;
        Ok(bxp_simulate::config(&self.0.info.spec, genesis.hash, &head.header))
    }

    async fn capabilities(&self) -> Result<CapabilitiesJson, Fault> {
        let read = |ledger: &dyn Ledger| {
            let head = ledger.head();
            let all = KeptJson { disabled: false, oldest_block: U64::ZERO };
            let state = KeptJson { disabled: false, oldest_block: U64::from(oldest_state(ledger)?.0) };
            Ok(CapabilitiesJson {
                head: HeadJson { number: U64::from(head.header.number), hash: head.hash },
                state,
                tx: all,
                logs: all,
                receipts: all,
                blocks: all,
                stateproofs: state,
            })
        };
        self.0.run("eth_capabilities", read).await
    }

    fn base_fee(&self) -> Result<U256, Fault> {
        Ok(U256::from(self.0.ledger.next_base_fee()))
    }

    fn blob_base_fee(&self) -> Result<U256, Fault> {
        let head = self.0.ledger.head();
        Ok(U256::from(bxp_simulate::next_blob_base_fee(&self.0.info.spec, &head.header)))
    }
}

/// The oldest block whose state is kept.
fn oldest_state(ledger: &dyn Ledger) -> Result<Height, Fault> {
    match ledger.state(Height(0)) {
        Ok(_) => Ok(Height(0)),
        Err(LedgerError::StateNotKept { oldest, .. }) => Ok(oldest),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
