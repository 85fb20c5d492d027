//! Ids of subscriptions.

use jsonrpsee::{server::IdProvider, types::SubscriptionId};

/// Gives ids as geth does: random, in hexadecimal.
#[derive(Debug)]
pub(super) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#x}", rand::random::<u128>()).into())
    }
}
