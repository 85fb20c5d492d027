//! What Hardhat and Foundry users expect of a chain of their own: `evm_`, `hardhat_`, `anvil_`, and the accounts whose
//! keys the node holds. Registered on a developer's chain only.

mod accounts;
mod number;
mod state;
mod time;
mod transaction;

use crate::context::Context;
use bxp_types::Developer;
use jsonrpsee::{Methods, RpcModule, server::RegisterMethodError};
use std::sync::Arc;

/// What the methods work with.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) context: Context,
    pub(super) developer: Arc<dyn Developer>,
}

pub(super) fn methods(
    context: &Context,
    developer: &Arc<dyn Developer>,
) -> Result<Methods, RegisterMethodError> {
    let bench = Bench { context: context.clone(), developer: Arc::clone(developer) };
    let mut module = RpcModule::new(bench);
    accounts::register(&mut module)?;
    state::register(&mut module)?;
    time::register(&mut module)?;
    Ok(module.into())
}
