//! The methods, one file for one family.

mod blocks;
mod bxp;
mod calls;
mod estimate;
mod fees;
mod log_filters;
mod network;
mod state;
mod submit;
mod subscriptions;
mod transactions;

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
    Ok(all)
}
