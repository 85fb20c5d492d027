//! What the tasks of one network share.

use crate::{
    ExchangeError, Limits,
    ban::Bans,
    budget::Budget,
    driver::Command,
    ending::{Ending, Reason},
    handle::Handle,
    metric,
    roster::Roster,
};
use bxp_types::ValidatorIndex;
use parking_lot::{Mutex, RwLock};
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// One validator's place: at most one session works in it at a time.
#[derive(Debug)]
struct Slot {
    /// Held by the session that works, so that one peer's events never interleave over two connections.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The newest session's end.
    newest: Mutex<Option<Arc<Ending>>>,
    /// The working session, while its channels work.
    live: RwLock<Option<Arc<Handle>>>,
    /// What the validator's exchanges may cost, over all of its connections: one that comes back owes what it owed.
    exchanges: Budget,
}

impl Slot {
    fn new(limits: &Limits) -> Self {
        Self {
            turn: Arc::default(),
            newest: Mutex::default(),
            live: RwLock::default(),
            exchanges: Budget::of_exchanges(limits, Instant::now()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) roster: Arc<Roster>,
    pub(crate) limits: Limits,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) bans: Arc<Bans>,
    slots: Vec<Slot>,
}

impl Shared {
    pub(crate) fn new(
        roster: Arc<Roster>,
        limits: Limits,
        bans: Arc<Bans>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        let slots = (0..roster.count()).map(|_| Slot::new(&limits)).collect();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { roster, limits, commands, stop, tasks, bans, slots }
    }

    fn slot(&self, index: ValidatorIndex) -> Option<&Slot> {
        self.slots.get(usize::from(index.0))
    }

    /// Ends the peer's older session in favour of a new one, and waits until it is gone.
    pub(crate) async fn take_turn(
        &self,
        peer: ValidatorIndex,
        ending: &Arc<Ending>,
    ) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        let slot = self.slot(peer)?;
        if let Some(older) = slot.newest.lock().replace(Arc::clone(ending)) {
            older.end(Reason::Replaced);
        }
        Some(Arc::clone(&slot.turn).lock_owned().await)
    }

    /// Makes a session the one that sends go to.
    pub(crate) fn set_live(&self, handle: Arc<Handle>) {
        if let Some(slot) = self.slot(handle.peer) {
            *slot.live.write() = Some(handle);
            metrics::gauge!(metric::CONNECTED_PEERS).increment(1.0);
        }
    }

    /// Takes the session that sends went to away.
    pub(crate) fn clear_live(&self, peer: ValidatorIndex) {
        if self.slot(peer).is_some_and(|slot| slot.live.write().take().is_some()) {
            metrics::gauge!(metric::CONNECTED_PEERS).decrement(1.0);
        }
    }

    /// The working session of a peer.
    pub(crate) fn live(&self, peer: ValidatorIndex) -> Option<Arc<Handle>> {
        self.slot(peer)?.live.read().clone()
    }

    /// The working session of a peer, or the error of an exchange.
    pub(crate) fn reach(&self, peer: ValidatorIndex) -> Result<Arc<Handle>, ExchangeError> {
        self.live(peer).ok_or(ExchangeError::NotConnected(peer))
    }

    /// What the exchanges that a peer begins may cost.
    pub(crate) fn exchange_budget(&self, peer: ValidatorIndex) -> Option<&Budget> {
        self.slot(peer).map(|slot| &slot.exchanges)
    }

    /// The working sessions of all peers, by index.
    pub(crate) fn all_live(&self) -> Vec<Arc<Handle>> {
        self.slots.iter().filter_map(|slot| slot.live.read().clone()).collect()
    }
}
