//! Filters that clients install and poll. Their number is bounded, and one that is not polled expires.

use crate::fault::Fault;
use alloy_primitives::U128;
use alloy_rpc_types_eth::Filter;
use bxp_types::Height;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Filters at once, of all clients.
const FILTERS_MAX: usize = 1024;
/// Filters of one client at once, so that it leaves some to the others.
const CLIENT_FILTERS_MAX: usize = 64;
/// How long a filter lives without being polled, as geth has it.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// What a filter looks for.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// New blocks.
    Blocks,
    /// New logs.
    Logs(Arc<Filter>),
    /// Transactions that the pool takes in: their hashes, or the transactions themselves.
    Arrivals {
        /// Whether themselves.
        full: bool,
    },
}

#[derive(Debug)]
struct Installed {
    kind: Kind,
    /// Whose it is; none where no limit holds for the client (ADR 67).
    client: Option<IpAddr>,
    /// The first block, or arrival, that the client has not been told of.
    next: Height,
    polled: Instant,
}

/// The installed filters, by id.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    installed: Mutex<BTreeMap<U128, Installed>>,
}

impl Filters {
    /// Installs a filter for what comes from `next` on: a block's height, or an arrival's number.
    pub(crate) fn install(&self, kind: Kind, client: Option<IpAddr>, next: Height) -> Result<U128, Fault> {
        self.install_at(kind, client, next, Instant::now())
    }

    fn install_at(
        &self,
        kind: Kind,
        client: Option<IpAddr>,
        next: Height,
        now: Instant,
    ) -> Result<U128, Fault> {
        let mut installed = self.installed.lock();
        installed.retain(|_, filter| now.duration_since(filter.polled) < LIFETIME);
        if installed.len() >= FILTERS_MAX {
            return Err(Fault::TooManyFilters(FILTERS_MAX));
        }
        let own = installed.values().filter(|filter| client.is_some() && filter.client == client).count();
        if own >= CLIENT_FILTERS_MAX {
            return Err(Fault::TooManyFiltersOfClient(CLIENT_FILTERS_MAX));
        }
        let id = U128::from(rand::random::<u128>());
        installed.insert(id, Installed { kind, client, next, polled: now });
        Ok(id)
    }

    /// What the filter looks for.
    pub(crate) fn kind(&self, id: U128) -> Result<Kind, Fault> {
        self.take(id, Instant::now(), |_| None).map(|(kind, _)| kind)
    }

    /// What the filter looks for and the first block that its client has not been told of. Blocks up to
    /// `told_until(first)` count as told from now on.
    pub(crate) fn advance(
        &self,
        id: U128,
        told_until: impl FnOnce(Height) -> Option<Height>,
    ) -> Result<(Kind, Height), Fault> {
        self.take(id, Instant::now(), told_until)
    }

    fn take(
        &self,
        id: U128,
        now: Instant,
        told_until: impl FnOnce(Height) -> Option<Height>,
    ) -> Result<(Kind, Height), Fault> {
        let mut installed = self.installed.lock();
        let filter = installed
            .get_mut(&id)
            .filter(|filter| now.duration_since(filter.polled) < LIFETIME)
            .ok_or(Fault::FilterNotFound)?;
        filter.polled = now;
        let first = filter.next;
        if let Some(last) = told_until(first) {
            filter.next = last.next();
        }
        Ok((filter.kind.clone(), first))
    }

    /// Takes back what [`Self::advance`] counted as told, down to `next`.
    pub(crate) fn go_back(&self, id: U128, next: Height) {
        if let Some(filter) = self.installed.lock().get_mut(&id) {
            filter.next = filter.next.min(next);
        }
    }

    /// Forgets the filter. False if there is none.
    pub(crate) fn uninstall(&self, id: U128) -> bool {
        self.installed.lock().remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_expires_unless_it_is_polled() {
        let filters = Filters::default();
        let start = Instant::now();
        let id = filters.install_at(Kind::Blocks, None, Height(5), start).unwrap();
        let soon = start + LIFETIME - Duration::from_secs(1);
        assert_eq!(filters.take(id, soon, |first| Some(Height(first.0 + 2))).unwrap().1, Height(5));
        let later = soon + LIFETIME - Duration::from_secs(1);
        assert_eq!(filters.take(id, later, |_| None).unwrap().1, Height(8));
        filters.go_back(id, Height(6));
        assert_eq!(filters.take(id, later, |_| None).unwrap().1, Height(6));
        assert!(matches!(filters.take(id, later + LIFETIME, |_| None), Err(Fault::FilterNotFound)));
    }

    #[test]
    fn filters_are_bounded_and_expired_ones_make_room() {
        let filters = Filters::default();
        let start = Instant::now();
        for _ in 0..FILTERS_MAX {
            filters.install_at(Kind::Blocks, None, Height(0), start).unwrap();
        }
        let full = filters.install_at(Kind::Blocks, None, Height(0), start);
        assert!(matches!(full, Err(Fault::TooManyFilters(FILTERS_MAX))));
        let id = filters.install_at(Kind::Blocks, None, Height(0), start + LIFETIME).unwrap();
        assert_eq!(filters.installed.lock().len(), 1);
        assert!(filters.uninstall(id));
        assert!(!filters.uninstall(id));
    }

    #[test]
    fn a_client_leaves_filters_to_the_others() {
        let (filters, start) = (Filters::default(), Instant::now());
        let install = |client: [u8; 4], now: Instant| {
            filters.install_at(Kind::Blocks, Some(IpAddr::from(client)), Height(0), now)
        };
        let first = install([192, 0, 2, 1], start).unwrap();
        for _ in 1..CLIENT_FILTERS_MAX {
            install([192, 0, 2, 1], start).unwrap();
        }
        let full = install([192, 0, 2, 1], start);
        assert!(matches!(full, Err(Fault::TooManyFiltersOfClient(CLIENT_FILTERS_MAX))));
        install([192, 0, 2, 2], start).unwrap();
        assert!(filters.uninstall(first));
        install([192, 0, 2, 1], start).unwrap();
        assert!(install([192, 0, 2, 1], start).is_err());
        install([192, 0, 2, 1], start + LIFETIME).unwrap();
    }
}
