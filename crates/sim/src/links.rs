//! The connections between hosts: up or down, and in each direction stalled or not.

use bxp_network::Channel;
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    up: bool,
    /// Counts the connections, so that what was under way on an earlier one is lost.
    number: u32,
    /// Nobody reconnects before this time.
    down_until: Duration,
}

/// Connections of all pairs.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<(usize, usize), Link>,
    stalled: BTreeMap<(usize, usize), Duration>,
    /// When the newest message of a channel arrives.
    last: BTreeMap<(usize, usize, usize), Duration>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn place(channel: Channel) -> usize {
    Channel::ALL.iter().position(|other| *other == channel).unwrap_or_default()
}

impl Links {
    /// The number of the connection, if it is up.
    pub(crate) fn number(&self, a: usize, b: usize) -> Option<u32> {
        self.links.get(&pair(a, b)).filter(|link| link.up).map(|link| link.number)
    }

    /// Breaks the connection for at least until `down_until`. Returns whether it was up.
    pub(crate) fn cut(&mut self, a: usize, b: usize, down_until: Duration) -> bool {
        let link = self.links.entry(pair(a, b)).or_default();
        link.down_until = link.down_until.max(down_until);
        std::mem::replace(&mut link.up, false)
    }

    /// When the two may connect.
    pub(crate) fn down_until(&self, a: usize, b: usize) -> Duration {
        self.links.get(&pair(a, b)).map_or(Duration::ZERO, |link| link.down_until)
    }

    /// Connects the two. Returns whether they were not connected.
    pub(crate) fn connect(&mut self, a: usize, b: usize) -> bool {
        let link = self.links.entry(pair(a, b)).or_default();
        if link.up {
            return false;
        }
        (link.up, link.number) = (true, link.number + 1);
        for channel in 0..Channel::ALL.len() {
            self.last.remove(&(a, b, channel));
            self.last.remove(&(b, a, channel));
        }
        true
    }

    /// Nothing arrives at `to` from `from` before `until`.
    pub(crate) fn stall(&mut self, from: usize, to: usize, until: Duration) {
        let stalled = self.stalled.entry((from, to)).or_default();
        *stalled = until.max(*stalled);
    }

    /// When a message that would take until `at` arrives.
    pub(crate) fn arrival(
        &mut self,
        from: usize,
        to: usize,
        channel: Channel,
        at: Duration,
        ordered: bool,
    ) -> Duration {
        let at = at.max(self.stalled.get(&(from, to)).copied().unwrap_or_default());
        if !ordered {
            return at;
        }
        let last = self.last.entry((from, to, place(channel))).or_default();
        *last = at.max(*last + Duration::from_micros(1));
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_an_end_an_order_and_a_number() {
        let (mut links, ms) = (Links::default(), Duration::from_millis);
        assert_eq!(links.number(1, 0), None);
        assert!(links.connect(0, 1) && !links.connect(1, 0));
        assert_eq!(links.number(1, 0), Some(1));
        assert_eq!(links.arrival(0, 1, Channel::Consensus, ms(5), true), ms(5));
        assert!(links.arrival(0, 1, Channel::Consensus, ms(3), true) > ms(5));
        assert_eq!(links.arrival(0, 1, Channel::Consensus, ms(3), false), ms(3));
        links.stall(0, 1, ms(9));
        assert_eq!(links.arrival(0, 1, Channel::Attestation, ms(3), false), ms(9));
        assert_eq!(links.arrival(1, 0, Channel::Attestation, ms(3), false), ms(3), "the other way works");
        assert!(links.cut(0, 1, ms(20)) && !links.cut(0, 1, ms(10)));
        assert_eq!((links.number(0, 1), links.down_until(1, 0)), (None, ms(20)));
        assert!(links.connect(0, 1));
        assert_eq!(links.number(0, 1), Some(2));
    }
}
