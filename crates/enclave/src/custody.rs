//! The accounts in custody: an append-only file of sealed frames, one frame for each batch of new accounts.
//!
//! File: `BXPACC1\n`, then frames `length (u32 BE) || sealed`, where `sealed` holds `address (20) || private key (32)`
//! for each account and is bound to the frame's number, so that frames can be neither swapped nor dropped from the
//! middle. A frame is on disk before its addresses are returned; what a crash leaves of an unfinished last frame was
//! therefore promised to no one and is cut off.

use crate::{
    EnclaveError,
    ecdsa::AccountKey,
    files::{self, failed},
    master::Master,
};
use alloy_primitives::Address;
use bxp_types::Secret;
use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const HEADER: &[u8; 8] = b"BXPACC1\n";
const ACCOUNT_LEN: usize = 20 + 32;
/// Accounts in one frame: bounds what one write and one read hold in memory (3.4 MB).
const FRAME_ACCOUNTS_MAX: usize = 65_536;

/// The accounts of one folder.
pub(crate) struct Custody {
    file: File,
    path: PathBuf,
    end: u64,
    frames: u64,
    /// Set when a failed write could not be undone.
    poisoned: bool,
    /// In the order of creation.
    order: Vec<Address>,
    keys: HashMap<Address, Secret<[u8; 32]>>,
}

impl Custody {
    /// Writes the file without accounts.
    pub(crate) fn create(path: &Path) -> Result<(), EnclaveError> {
        files::write_new(path, HEADER)
    }

    /// Reads all accounts.
    pub(crate) fn open(path: &Path, master: &Master) -> Result<Self, EnclaveError> {
        let bytes = files::read_private(path)?;
        let file =
            files::private_options().write(true).open(path).map_err(failed("open account file", path))?;
        let damaged = |what| EnclaveError::Damaged { path: path.to_owned(), what };
        let mut rest =
            bytes.strip_prefix(HEADER).ok_or_else(|| damaged("it does not start as an account file"))?;
        let mut custody = Self {
            file,
            path: path.to_owned(),
            end: HEADER.len() as u64,
            frames: 0,
            poisoned: false,
            order: Vec::new(),
            keys: HashMap::new(),
        };
        while let Some((sealed, after)) = next_frame(rest) {
            let plaintext = master
                .open_at_rest(sealed, &context(custody.frames))
                .map(Zeroizing::new)
                .map_err(|_| damaged("a frame of accounts does not open"))?;
            let (accounts, []) = plaintext.as_chunks::<ACCOUNT_LEN>() else {
                return Err(damaged("a frame holds part of an account"));
            };
            accounts.iter().for_each(|account| custody.remember(account));
            custody.frames += 1;
            custody.end += (rest.len() - after.len()) as u64;
            rest = after;
        }
        if !rest.is_empty() {
            custody.cut_off()?;
        }
        Ok(custody)
    }

    /// Makes `count` accounts with one sync per 65,536 of them.
    pub(crate) fn create_accounts(
        &mut self,
        master: &Master,
        count: usize,
    ) -> Result<Vec<Address>, EnclaveError> {
        if self.poisoned {
            return Err(EnclaveError::Poisoned);
        }
        let first = self.order.len();
        let mut left = count;
        while left > 0 {
            let batch = left.min(FRAME_ACCOUNTS_MAX);
            let mut plaintext = Zeroizing::new(Vec::with_capacity(batch * ACCOUNT_LEN));
            for _ in 0..batch {
                let key = AccountKey::random()?;
                plaintext.extend_from_slice(key.address().as_slice());
                plaintext.extend_from_slice(key.secret().expose());
            }
            self.append(&master.seal_at_rest(&plaintext, &context(self.frames))?)?;
            let (accounts, _) = plaintext.as_chunks::<ACCOUNT_LEN>();
            accounts.iter().for_each(|account| self.remember(account));
            left -= batch;
        }
        Ok(self.order[first..].to_vec())
    }

    /// The private key of an account here.
    pub(crate) fn key(&self, address: &Address) -> Option<&Secret<[u8; 32]>> {
        self.keys.get(address)
    }

    /// The accounts in the order of their creation.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.order
    }

    fn remember(&mut self, account: &[u8; ACCOUNT_LEN]) {
        let (address, key) = account.split_at(20);
        let address = Address::from_slice(address);
        let mut secret = [0; 32];
        secret.copy_from_slice(key);
        self.order.push(address);
        self.keys.insert(address, Secret::new(secret));
    }

    fn append(&mut self, sealed: &[u8]) -> Result<(), EnclaveError> {
        let length = u32::try_from(sealed.len()).map_err(|_| EnclaveError::TooLong(sealed.len()))?;
        let frame = [&length.to_be_bytes(), sealed].concat();
        if let Err(source) = self.file.write_all_at(&frame, self.end).and_then(|()| self.file.sync_all()) {
            // Whether the frame reached the disk is unknown; if it cannot be taken back, nothing may follow it.
            self.poisoned = self.cut_off().is_err();
            return Err(failed("write account file", &self.path)(source));
        }
        self.end += frame.len() as u64;
        self.frames += 1;
        Ok(())
    }

    fn cut_off(&self) -> Result<(), EnclaveError> {
        let cut = self.file.set_len(self.end).and_then(|()| self.file.sync_all());
        cut.map_err(failed("cut off the unfinished end of account file", &self.path))
    }
}

/// The next frame and what follows it; `None` at the end and at an unfinished frame, which is short or, where the
/// file had grown before its content arrived, all zeros.
fn next_frame(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, body) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if rest.iter().all(|byte| *byte == 0) {
        return None;
    }
    body.split_at_checked(length)
}

fn context(frame: u64) -> Vec<u8> {
    [b"BXP enclave accounts v1".as_slice(), &frame.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder() -> (tempfile::TempDir, PathBuf, Master) {
        let dir = tempfile::tempdir().unwrap();
        let master = Master::create(&dir.path().join("master.key"), None).unwrap();
        let path = dir.path().join("accounts.log");
        Custody::create(&path).unwrap();
        (dir, path, master)
    }

    #[test]
    fn accounts_come_back_in_order() {
        let (_dir, path, master) = folder();
        let mut custody = Custody::open(&path, &master).unwrap();
        let mut made = custody.create_accounts(&master, 3).unwrap();
        made.extend(custody.create_accounts(&master, 2).unwrap());
        let again = Custody::open(&path, &master).unwrap();
        assert_eq!(again.addresses(), made);
        for address in &made {
            let key = AccountKey::new(again.key(address).unwrap().clone()).unwrap();
            assert_eq!(key.address(), *address);
        }
    }

    #[test]
    fn an_unfinished_end_is_cut_off_at_every_length() {
        let (_dir, path, master) = folder();
        let mut custody = Custody::open(&path, &master).unwrap();
        let first = custody.create_accounts(&master, 2).unwrap();
        let kept = fs::read(&path).unwrap().len();
        custody.create_accounts(&master, 1).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in kept..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Custody::open(&path, &master).unwrap();
            assert_eq!(again.addresses(), first);
            assert_eq!(fs::read(&path).unwrap().len(), kept);
            if cut == whole.len() - 1 {
                assert_eq!(again.create_accounts(&master, 1).unwrap().len(), 1);
                assert_eq!(Custody::open(&path, &master).unwrap().addresses().len(), 3);
            }
        }
        fs::write(&path, [&whole[..kept], &[0; 40]].concat()).unwrap();
        assert_eq!(Custody::open(&path, &master).unwrap().addresses(), first, "a tail of zeros");
    }

    #[test]
    fn damage_swaps_and_another_master_key_are_errors() {
        let (_dir, path, master) = folder();
        let mut custody = Custody::open(&path, &master).unwrap();
        custody.create_accounts(&master, 1).unwrap();
        custody.create_accounts(&master, 1).unwrap();
        let whole = fs::read(&path).unwrap();
        let frame = (whole.len() - HEADER.len()) / 2;
        let damaged = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            matches!(Custody::open(&path, &master), Err(EnclaveError::Damaged { .. }))
        };
        let mut flipped = whole.clone();
        flipped[HEADER.len() + 30] ^= 1;
        assert!(damaged(&flipped));
        let (head, frames) = whole.split_at(HEADER.len());
        assert!(damaged(&[head, &frames[frame..], &frames[..frame]].concat()), "swapped");
        assert!(damaged(&[head, &frames[frame..]].concat()), "the first one dropped");
        assert!(damaged(&frames[..frame]), "no header");
        fs::write(&path, &whole).unwrap();
        let other_dir = tempfile::tempdir().unwrap();
        let other = Master::create(&other_dir.path().join("master.key"), None).unwrap();
        assert!(matches!(Custody::open(&path, &other), Err(EnclaveError::Damaged { .. })));
    }
}
