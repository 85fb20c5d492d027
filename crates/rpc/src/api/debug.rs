//! `debug_`: blocks and transactions as they are encoded, and traces of what they did.

mod raw;
pub(super) mod traces;

use crate::context::Context;
use jsonrpsee::Methods;

pub(super) fn methods(context: &Context) -> Methods {
    let mut all = raw::methods(context);
    // The two traits have no name in common.
    let _ = all.merge(traces::methods(context));
    all
}
