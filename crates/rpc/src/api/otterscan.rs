//! `ots_` and the `erigon_` calls that go with it: what the Otterscan explorer asks of a node.

mod blocks;
mod history;
mod inside;

use crate::context::Context;
use jsonrpsee::{Methods, server::RegisterMethodError};

/// The version of the interface that is spoken.
const API_LEVEL: u64 = 8;

pub(super) fn methods(context: &Context) -> Result<Methods, RegisterMethodError> {
    let mut all = blocks::methods(context)?;
    all.merge(history::methods(context))?;
    all.merge(inside::methods(context))?;
    Ok(all)
}
