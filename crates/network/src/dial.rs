//! Keeps dialling one validator, patiently but not slowly: a restarted one is back within two seconds.

use crate::{Limits, driver::Command, roster::Peer, session::Fared, shared::Shared};
use bxp_types::ValidatorIndex;
use libp2p::{Multiaddr, multiaddr::Protocol};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Dials `peer` whenever there is no connection to it, until the network stops.
pub(crate) async fn keep_connected(shared: Arc<Shared>, peer: Peer) {
    let patience = Patience::new(&shared.limits, shared.roster.me.index, peer.index);
    let mut failures = 0_u32;
    loop {
        if let Some(until) = shared.bans.until(peer.index, Instant::now()) {
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
        let fared = tokio::select! {
            () = shared.stop.cancelled() => return,
            fared = dial_once(&shared, &peer) => fared,
        };
        failures = if fared == Fared::Worked { 0 } else { failures.saturating_add(1) };
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(patience.pause(failures)) => {}
        }
    }
}

/// Dials and returns when the dial has failed or its session is over.
async fn dial_once(shared: &Shared, peer: &Peer) -> Fared {
    // Names are looked up anew each time: a node that moved is found again.
    let addresses = match tokio::net::lookup_host(peer.address.as_str()).await {
        Ok(addresses) => addresses.map(multiaddr).collect(),
        Err(error) => {
            tracing::debug!(peer = %peer.index, %error, "look up the validator's address");
            return Fared::Failed;
        }
    };
    let (fared, told) = oneshot::channel();
    if shared.commands.send(Command::Dial { id: peer.id, addresses, fared }).await.is_err() {
        return Fared::Failed;
    }
    told.await.unwrap_or(Fared::Failed)
}

/// `/ip4/…/tcp/…` or `/ip6/…/tcp/…`.
pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// Pauses between dials: doubling, bounded, and shortened by up to a quarter, differently for each pair of
/// validators, so that many do not dial a restarted one at the same moments.
struct Patience {
    least: Duration,
    most: Duration,
    pair: u32,
}

impl Patience {
    fn new(limits: &Limits, me: ValidatorIndex, peer: ValidatorIndex) -> Self {
        let pair = u32::from(me.0).wrapping_mul(31).wrapping_add(u32::from(peer.0).wrapping_mul(17));
        Self { least: limits.redial_delay_min, most: limits.redial_delay_max, pair }
    }

    /// The pause after `failures` failed dials in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.least.saturating_mul(1 << doublings).min(self.most);
        let share = self.pair.wrapping_add(failures.wrapping_mul(7)) % 64;
        full - full * share / 256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ_between_pairs() {
        let patience = |peer| Patience::new(&Limits::default(), ValidatorIndex(0), ValidatorIndex(peer));
        for peer in 1..200 {
            let pauses: Vec<_> = (0..40).map(|failures| patience(peer).pause(failures)).collect();
            assert!(pauses[0] <= Duration::from_millis(250) && pauses[1] <= Duration::from_millis(250));
            assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(150)));
            assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(2)));
            assert!(pauses[39] >= Duration::from_millis(1500));
        }
        assert_ne!(patience(1).pause(1), patience(2).pause(1));
        assert_eq!(patience(3).pause(5), patience(3).pause(5));
    }

    #[test]
    fn socket_addresses_become_multiaddresses() {
        assert_eq!(multiaddr("127.0.0.1:7000".parse().unwrap()).to_string(), "/ip4/127.0.0.1/tcp/7000");
        assert_eq!(multiaddr("[::1]:7000".parse().unwrap()).to_string(), "/ip6/::1/tcp/7000");
    }
}
