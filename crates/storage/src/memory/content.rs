//! The bytes of one file, and which of them a crash leaves.

/// Bytes of garbage that a torn sector may hold.
const SECTOR_BYTES: u64 = 512;

#[derive(Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// Bytes from the front that are on disk.
    synced: usize,
    /// Where the file was cut below what is on disk, and what stood behind.
    cut: Option<(usize, Vec<u8>)>,
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, length: usize) {
        if length < self.synced {
            let mut behind = self.bytes.split_off(length);
            behind.truncate(self.synced - length);
            // A second cut keeps what the first one put aside.
            if let Some((at, earlier)) = self.cut.take() {
                behind.truncate(at.saturating_sub(length));
                behind.extend(earlier);
            }
            self.cut = Some((length, behind));
            self.synced = length;
        } else {
            self.bytes.truncate(length);
        }
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
        self.cut = None;
    }

    pub(super) fn damage(&mut self, position: usize) {
        if let Some(byte) = self.bytes.get_mut(position) {
            *byte ^= 0x10;
        }
    }

    /// `choose` gives a number below its argument.
    pub(super) fn crash(&mut self, choose: &mut impl FnMut(u64) -> u64) {
        if let Some((at, behind)) = self.cut.take()
            && choose(2) == 0
        {
            self.bytes.truncate(at);
            self.bytes.extend(behind);
            return self.sync();
        }
        let length = self.bytes.len();
        let unsynced = (length - self.synced) as u64;
        if unsynced > 0 {
            let kept = usize::try_from(choose(unsynced + 1)).unwrap_or(0);
            self.bytes.truncate(self.synced + kept);
            let rest = length - self.bytes.len();
            match choose(4) {
                // The file had grown, but its last sectors were not written.
                0 => self.bytes.resize(length, 0),
                // The sector under way was torn.
                1 => {
                    let garbage = choose(SECTOR_BYTES.min(rest as u64) + 1);
                    self.bytes.extend((0..garbage).map(|_| u8::try_from(choose(256)).unwrap_or(0)));
                }
                _ => {}
            }
        }
        self.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chooses the next number of a list, over and over.
    fn chooser(numbers: &'static [u64]) -> impl FnMut(u64) -> u64 {
        let mut at = 0;
        move |below| {
            at += 1;
            numbers[(at - 1) % numbers.len()] % below
        }
    }

    #[test]
    fn synced_bytes_survive_whatever_is_chosen() {
        for numbers in [&[0][..], &[1], &[2, 0], &[3, 1, 1], &[255, 0, 7], &[5, 2]] {
            let mut content = Content::default();
            content.append(b"synced");
            content.sync();
            content.append(b"not synced");
            content.crash(&mut chooser(numbers));
            assert!(content.bytes().starts_with(b"synced"), "{numbers:?}");
            assert!(content.bytes().len() <= 16);
        }
    }

    #[test]
    fn a_cut_that_was_not_synced_may_be_undone_and_a_synced_one_not() {
        let mut content = Content::default();
        content.append(b"abcdef");
        content.sync();
        content.truncate(4);
        content.truncate(2);
        content.append(b"xy");
        content.crash(&mut chooser(&[0]));
        assert_eq!(content.bytes(), b"abcdef");
        content.truncate(2);
        content.sync();
        content.crash(&mut chooser(&[0]));
        assert_eq!(content.bytes(), b"ab");
    }
}
