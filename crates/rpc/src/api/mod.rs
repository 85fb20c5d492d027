//! The methods, one file for one family.

mod blocks;
mod bxp;
mod calls;
mod config;
mod debug;
mod developer;
mod fees;
mod log_filters;
mod network;
mod otterscan;
mod simulation;
mod state;
mod submit;
mod subscriptions;
mod transactions;
mod txpool;

use crate::context::Context;
use jsonrpsee::{Methods, server::RegisterMethodError};

/// All methods.
pub(crate) fn methods(context: &Context) -> Result<Methods, RegisterMethodError> {
    let mut all = Methods::new();
    all.merge(network::methods(context)?)?;
    all.merge(blocks::methods(context))?;
    all.merge(transactions::methods(context))?;
    all.merge(state::methods(context))?;
    all.merge(calls::methods(context))?;
    all.merge(fees::methods(context))?;
    all.merge(submit::methods(context))?;
    all.merge(log_filters::methods(context))?;
    all.merge(subscriptions::methods(context))?;
    all.merge(bxp::methods(context))?;
    all.merge(simulation::methods(context))?;
    all.merge(debug::methods(context))?;
    all.merge(txpool::methods(context))?;
    all.merge(config::methods(context))?;
    all.merge(otterscan::methods(context)?)?;
    match &context.info.developer {
        Some(developer) => all.merge(developer::methods(context, developer)?)?,
        None => all.merge(network::no_accounts(context))?,
    }
    Ok(all)
}
