//! How much one client may ask: by address, so that none takes the node from the others (ADR 67).

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

/// Addresses that are remembered at most; more of them at once are not served.
const CLIENTS_MAX: usize = 65_536;
/// From this number on, those that have long been quiet are forgotten when another one comes.
const FORGET_FROM: usize = 4_096;

/// What one client may ask. A client is an IPv4 address, or the first 64 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Calls a second in the long run, each call of a batch counted.
    pub calls_per_second: u32,
    /// Calls at once after a pause; a batch of more than these is always refused.
    pub burst_calls: u32,
    /// Connections at once.
    pub connections: u32,
    /// Whether programs on this machine are held to it. They are the operator's own, or a proxy that speaks for many.
    pub loopback: bool,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { calls_per_second: 1_000, burst_calls: 2_000, connections: 64, loopback: false }
    }
}

/// The clients that are connected, or were a moment ago.
#[derive(Debug)]
pub(super) struct Clients {
    limits: ClientLimits,
    by_address: Mutex<HashMap<IpAddr, Account>>,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    connections: u32,
    /// When what was asked so far will have been worth its time at the long-run rate.
    paid_until: Instant,
}

/// A connection of a client; the client has one fewer when it is dropped.
#[derive(Debug)]
pub(super) struct Client {
    clients: Arc<Clients>,
    /// Whose; none where no limit holds.
    address: Option<IpAddr>,
}

impl Clients {
    pub(super) fn new(limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self { limits, by_address: Mutex::default() })
    }

    pub(super) const fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Takes in a connection; none where the client has too many, or where there are too many clients.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Client> {
        let address = client_of(address);
        if address.is_loopback() && !self.limits.loopback {
            return Some(Client { clients: Arc::clone(self), address: None });
        }
        let mut by_address = self.by_address.lock();
        if by_address.len() >= FORGET_FROM && !by_address.contains_key(&address) {
            by_address.retain(|_, account| account.connections > 0 || account.paid_until > now);
            if by_address.len() >= CLIENTS_MAX {
                return None;
            }
        }
        let account = by_address.entry(address).or_insert(Account { connections: 0, paid_until: now });
        if account.connections >= self.limits.connections {
            return None;
        }
        account.connections += 1;
        drop(by_address);
        Some(Client { clients: Arc::clone(self), address: Some(address) })
    }
}

impl Client {
    /// Whose connection it is; none where no limit holds.
    pub(super) const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn limits(&self) -> &ClientLimits {
        self.clients.limits()
    }

    /// Counts `calls` that came together at `now`.
    ///
    /// # Errors
    /// How long to wait before asking again, where they are too many; then none is counted.
    pub(super) fn ask(&self, calls: usize, now: Instant) -> Result<(), Duration> {
        let Some(address) = self.address else { return Ok(()) };
        let limits = &self.clients.limits;
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let each = Duration::from_secs(1) / limits.calls_per_second.max(1);
        let mut by_address = self.clients.by_address.lock();
        let account = by_address.entry(address).or_insert(Account { connections: 1, paid_until: now });
        let paid_until = account.paid_until.max(now) + each.saturating_mul(calls);
        let ahead = paid_until.duration_since(now).saturating_sub(each.saturating_mul(limits.burst_calls));
        if ahead > Duration::ZERO {
            return Err(ahead);
        }
        account.paid_until = paid_until;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut by_address = self.clients.by_address.lock();
        let Some(account) = by_address.get_mut(&address) else { return };
        account.connections = account.connections.saturating_sub(1);
        if account.connections == 0 && account.paid_until <= Instant::now() {
            by_address.remove(&address);
        }
    }
}

/// Who an address stands for: one line's IPv6 addresses are its first 64 bits.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClientLimits =
        ClientLimits { calls_per_second: 10, burst_calls: 20, connections: 2, loopback: false };

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let client = Clients::new(LIMITS).connect(ip("192.0.2.1"), start).unwrap();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(client.ask(20, at(0)), Ok(()));
        assert_eq!(client.ask(1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(client.ask(1, at(99)), Err(Duration::from_millis(1)));
        assert_eq!(client.ask(1, at(100)), Ok(()), "one call is worth 100 ms");
        assert_eq!(
            client.ask(5, at(300)),
            Err(Duration::from_millis(300)),
            "and what was refused costs nothing"
        );
        assert_eq!(client.ask(2, at(300)), Ok(()));
        assert_eq!(
            client.ask(20, at(60_000)),
            Ok(()),
            "after a pause the burst is back, and no more than it"
        );
        assert_eq!(client.ask(1, at(60_000)), Err(Duration::from_millis(100)));
        assert!(client.ask(21, at(600_000)).is_err());
        assert!(client.ask(usize::MAX, at(600_000)).is_err());
    }

    #[test]
    fn clients_do_not_spend_each_others_calls() {
        let (clients, now) = (Clients::new(LIMITS), Instant::now());
        let connect = |address: &str| clients.connect(ip(address), now);
        let (one, again, other) = (connect("192.0.2.1"), connect("192.0.2.1"), connect("192.0.2.2"));
        let (one, again, other) = (one.unwrap(), again.unwrap(), other.unwrap());
        assert_eq!(one.ask(20, now), Ok(()));
        assert!(again.ask(1, now).is_err(), "two connections are one client");
        assert_eq!(other.ask(20, now), Ok(()));
        assert!(connect("192.0.2.1").is_none(), "a third connection");
        assert!(connect("::ffff:192.0.2.1").is_none(), "of the same address in another writing");
        drop(again);
        assert!(connect("192.0.2.1").is_some());
        let (a, b) = (connect("2001:db8::1").unwrap(), connect("2001:db8::2").unwrap());
        assert_eq!(a.ask(20, now), Ok(()));
        assert!(b.ask(1, now).is_err(), "one line's addresses are one client");
        assert!(connect("2001:db8:0:1::1").unwrap().ask(20, now).is_ok());
    }

    #[test]
    fn a_client_does_not_get_its_calls_back_by_connecting_anew() {
        let (clients, now) = (Clients::new(LIMITS), Instant::now() + Duration::from_secs(60));
        let client = clients.connect(ip("192.0.2.1"), now).unwrap();
        assert_eq!(client.ask(20, now), Ok(()));
        drop(client);
        assert!(clients.connect(ip("192.0.2.1"), now).unwrap().ask(1, now).is_err());
    }

    #[test]
    fn this_machine_is_free_unless_it_is_not_to_be() {
        let now = Instant::now();
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let clients = Clients::new(LIMITS);
            let many: Vec<_> = (0..100).map(|_| clients.connect(ip(address), now).unwrap()).collect();
            assert!(many.iter().all(|client| client.ask(1_000, now).is_ok()), "{address}");
            let clients = Clients::new(ClientLimits { loopback: true, ..LIMITS });
            let client = clients.connect(ip(address), now).unwrap();
            assert!(client.ask(21, now).is_err(), "{address}");
        }
    }

    #[test]
    fn quiet_clients_are_forgotten() {
        let (clients, now) = (Clients::new(LIMITS), Instant::now());
        for number in 0..u32::try_from(FORGET_FROM).unwrap() + 10 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + number));
            let _ = clients.connect(address, now).unwrap().ask(1, now);
        }
        let later = now + Duration::from_secs(60);
        let _kept = clients.connect(ip("192.0.2.1"), later).unwrap();
        assert_eq!(clients.by_address.lock().len(), 1);
    }
}
