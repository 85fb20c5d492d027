//! What clients have handed in and no superblock holds yet, already in the form of a proposal.
//!
//! ```text
//! body        = transaction*
//! transaction = length (4, big endian), bytes
//! ```

use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use std::{collections::VecDeque, mem};
use tokio::sync::Notify;

/// Bytes before each transaction.
pub(super) const LENGTH_BYTES: usize = 4;

/// Some transactions of the client in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// The place of the first one among all that the client has sent.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u64,
    pub(super) body: Bytes,
}

/// The pool of one node. It is bounded: a client that sends faster is read no further.
#[derive(Debug)]
pub(super) struct Pool {
    inner: Mutex<Inner>,
    batch_bytes_max: usize,
    waiting_bytes_max: usize,
    /// Something came in.
    pub(super) grew: Notify,
    /// Something was taken out.
    room: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Full batches, and those that consensus left out and that come again.
    ready: VecDeque<Batch>,
    ready_bytes: usize,
    growing: BytesMut,
    growing_count: u64,
    taken_in: u64,
}

/// How many whole transactions stand at the front of `bytes`, and how many bytes they take, up to `bytes_max`.
/// Nothing where one is longer than that.
pub(super) fn whole(bytes: &[u8], bytes_max: usize) -> Option<(u64, usize)> {
    let (mut count, mut end) = (0, 0);
    while let Some(length) = bytes.get(end..).and_then(|rest| rest.first_chunk::<LENGTH_BYTES>()) {
        let length = u32::from_be_bytes(*length) as usize + LENGTH_BYTES;
        if length > bytes_max {
            return None;
        }
        if end + length > bytes.len().min(bytes_max) {
            break;
        }
        end += length;
        count += 1;
    }
    Some((count, end))
}

impl Pool {
    pub(super) fn new(batch_bytes_max: usize, waiting_bytes_max: usize) -> Self {
        let (grew, room) = (Notify::new(), Notify::new());
        Self { inner: Mutex::default(), batch_bytes_max, waiting_bytes_max, grew, room }
    }

    /// Takes the whole transactions off the front of `bytes`, once there is room for them. False where `bytes` begins
    /// with one that fits no proposal.
    pub(super) async fn take_in(&self, bytes: &mut BytesMut) -> bool {
        loop {
            let Some((count, end)) = whole(bytes, self.batch_bytes_max) else { return false };
            if count == 0 {
                return true;
            }
            loop {
                let room = self.room.notified();
                if self.inner.lock().waiting() + end <= self.waiting_bytes_max {
                    break;
                }
                room.await;
            }
            self.inner.lock().push(&bytes[..end], count, self.batch_bytes_max);
            bytes.advance(end);
            self.grew.notify_one();
        }
    }

    /// The next proposal, and whether there was anything to propose.
    pub(super) fn next(&self) -> Batch {
        let mut inner = self.inner.lock();
        if inner.ready.is_empty() {
            inner.close();
        }
        let batch = inner.ready.pop_front().unwrap_or_default();
        inner.ready_bytes -= batch.body.len();
        drop(inner);
        self.room.notify_one();
        batch
    }

    /// A batch that its superblock left out comes first in the next proposal.
    pub(super) fn again(&self, batch: Batch) {
        let mut inner = self.inner.lock();
        inner.ready_bytes += batch.body.len();
        inner.ready.push_front(batch);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inner.lock().waiting() == 0
    }

    /// Whether a proposal would be full.
    pub(super) fn is_full(&self) -> bool {
        !self.inner.lock().ready.is_empty()
    }
}

impl Inner {
    fn waiting(&self) -> usize {
        self.ready_bytes + self.growing.len()
    }

    fn push(&mut self, bytes: &[u8], count: u64, batch_bytes_max: usize) {
        if self.growing.len() + bytes.len() > batch_bytes_max {
            self.close();
        }
        if self.growing.is_empty() {
            self.growing.reserve(batch_bytes_max);
        }
        self.growing.extend_from_slice(bytes);
        self.growing_count += count;
    }

    /// Makes the growing batch a ready one.
    fn close(&mut self) {
        if self.growing.is_empty() {
            return;
        }
        let count = mem::take(&mut self.growing_count);
        let body = mem::take(&mut self.growing).freeze();
        self.ready_bytes += body.len();
        self.ready.push_back(Batch { first: self.taken_in, count, body });
        self.taken_in += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transactions(count: usize) -> BytesMut {
        (0..count).flat_map(|_| [0, 0, 0, 2, 7, 7]).collect::<Vec<u8>>().as_slice().into()
    }

    #[tokio::test]
    async fn batches_are_in_order_bounded_and_whole() {
        let pool = Pool::new(12, 60);
        let mut bytes = transactions(5);
        bytes.extend_from_slice(&[0, 0]);
        assert!(pool.take_in(&mut bytes).await);
        assert_eq!(bytes.as_ref(), [0, 0], "the beginning of the next one stays");
        assert!(pool.is_full());
        let (first, second) = (pool.next(), pool.next());
        assert_eq!((first.first, first.count, first.body.len()), (0, 2, 12));
        assert_eq!((second.first, second.count), (2, 2));
        pool.again(first.clone());
        assert_eq!(pool.next(), first);
        assert_eq!((pool.next().first, pool.is_empty()), (4, true));
        assert_eq!(pool.next(), Batch::default());
        assert!(!pool.take_in(&mut BytesMut::from([0, 0, 0, 9].as_slice())).await, "fits no proposal");
    }

    #[tokio::test]
    async fn a_full_pool_makes_its_client_wait() {
        let pool = Pool::new(12, 12);
        let mut bytes = transactions(4);
        tokio::select! {
            biased;
            _ = pool.take_in(&mut bytes) => panic!("there was room for two"),
            () = async { while !pool.is_full() && pool.is_empty() { tokio::task::yield_now().await } } => {}
        }
        assert_eq!(bytes.len(), 12);
        assert_eq!(pool.next().count, 2);
        assert!(pool.take_in(&mut bytes).await && bytes.is_empty());
    }
}
