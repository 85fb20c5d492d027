//! What a peer wants on one connection: wants that wait for an answer, and those that wait for the block to appear.

use super::message::{Entry, Wants};
use cid::Cid;
use std::collections::{HashMap, VecDeque};

/// A want and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    wants: Wants,
    /// The peer knows that it is not here.
    told: bool,
    /// Tells wants apart that came one after the other for one CID.
    number: u64,
}

/// A want that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) cid: Cid,
    pub(crate) wants: Wants,
    pub(crate) told: bool,
    number: u64,
}

/// The wants of one connection.
#[derive(Debug, Default)]
pub(crate) struct Wantlist {
    open: HashMap<Cid, Open>,
    due: VecDeque<(Cid, u64)>,
    next: u64,
}

impl Wantlist {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes an entry in. `room` is how many more wants the peer may have; says whether the entry was taken.
    pub(crate) fn apply(&mut self, entry: &Entry, room: usize) -> bool {
        if entry.wants == Wants::Cancel {
            self.open.remove(&entry.cid);
            return true;
        }
        if !self.open.contains_key(&entry.cid) && room == 0 {
            return false;
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(entry.cid, Open { wants: entry.wants, told: false, number });
        self.due.push_back((entry.cid, number));
        // Cancelled and repeated wants leave entries behind; there are never more of them than wants.
        if self.due.len() > 2 * self.open.len() + 16 {
            let open = &self.open;
            self.due.retain(|(cid, number)| open.get(cid).is_some_and(|one| one.number == *number));
        }
        true
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.due.clear();
    }

    /// Everything that is open may be there now.
    pub(crate) fn look_again(&mut self) {
        self.due = self.open.iter().map(|(cid, open)| (*cid, open.number)).collect();
    }

    /// The next wants to answer, at most `max`.
    pub(crate) fn take_due(&mut self, max: usize) -> Vec<Due> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some((cid, number)) = self.due.pop_front() else { break };
            if let Some(open) = self.open.get(&cid).filter(|open| open.number == number) {
                taken.push(Due { cid, wants: open.wants, told: open.told, number });
            }
        }
        taken
    }

    /// The want was answered with what it asked for.
    pub(crate) fn answered(&mut self, due: &Due) {
        if self.open.get(&due.cid).is_some_and(|open| open.number == due.number) {
            self.open.remove(&due.cid);
        }
    }

    /// The block is not here; the want stays open.
    pub(crate) fn not_here(&mut self, due: &Due) {
        if let Some(open) = self.open.get_mut(&due.cid).filter(|open| open.number == due.number) {
            open.told = true;
        }
    }

    /// The want was not looked at after all.
    pub(crate) fn put_back(&mut self, due: &Due) {
        self.due.push_front((due.cid, due.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, block::cid_of};

    const BLOCK: Wants = Wants::Block { send_dont_have: true };

    fn entry(seed: u8, wants: Wants) -> Entry {
        Entry { cid: cid_of(Codec::Raw, &[seed]).unwrap(), wants }
    }

    #[test]
    fn a_want_is_answered_once_and_a_cancelled_one_never() {
        let mut list = Wantlist::default();
        assert!(list.apply(&entry(1, BLOCK), 9) && list.apply(&entry(2, BLOCK), 8));
        assert!(list.apply(&entry(2, Wants::Cancel), 0));
        let due = list.take_due(9);
        assert_eq!(due.iter().map(|due| due.cid).collect::<Vec<_>>(), [entry(1, BLOCK).cid]);
        list.answered(&due[0]);
        assert_eq!((list.len(), list.take_due(9)), (0, Vec::new()));
    }

    #[test]
    fn what_is_not_here_stays_open_until_something_appears() {
        let mut list = Wantlist::default();
        list.apply(&entry(1, BLOCK), 9);
        let due = list.take_due(9);
        list.not_here(&due[0]);
        assert_eq!(list.take_due(9), []);
        list.look_again();
        let again = list.take_due(9);
        assert!(again[0].told, "it is not told twice that it is not here");
        list.apply(&entry(1, BLOCK), 0);
        list.answered(&again[0]);
        assert_eq!(list.len(), 1, "the newer want of the same block is not answered by the older answer");
    }

    #[test]
    fn there_is_no_room_above_the_bound_and_no_heap_of_old_wants() {
        let mut list = Wantlist::default();
        assert!(!list.apply(&entry(1, BLOCK), 0));
        for _ in 0..10_000 {
            list.apply(&entry(1, BLOCK), 1);
        }
        assert_eq!(list.len(), 1);
        assert!(list.due.len() <= 18);
        assert_eq!(list.take_due(9).len(), 1);
    }
}
