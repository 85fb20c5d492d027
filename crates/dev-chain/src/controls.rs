//! [`Developer`] for [`DevChain`].

use crate::{DevChain, DevChainError, undo::Undo};
use alloy_consensus::{SignableTransaction, TxEnvelope, TypedTransaction, transaction::Recovered};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use bxp_execution::AccountEdit;
use bxp_storage::Durability;
use bxp_types::{Developer, Edit, LedgerError, SubmitError};
use secp256k1::{Message, SECP256K1, SecretKey};
use std::time::Duration;

impl Developer for DevChain {
    fn accounts(&self) -> Vec<Address> {
        self.shared.accounts.iter().map(|account| account.address).collect()
    }

    fn sign(&self, account: Address, hash: B256) -> Option<Signature> {
        self.shared.keys.get(&account).map(|key| sign(key, hash))
    }

    fn send(&self, from: Address, transaction: TypedTransaction) -> Result<B256, SubmitError> {
        let hash = transaction.signature_hash();
        let impersonated = {
            let work = self.shared.work.lock();
            work.impersonate_all || work.impersonated.contains(&from)
        };
        let signature = match self.shared.keys.get(&from) {
            Some(key) => sign(key, hash),
            None if impersonated => stand_in(from),
            None => return Err(SubmitError::InvalidSender),
        };
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        self.shared.take(Recovered::new_unchecked(signed, from))
    }

    fn impersonate(&self, account: Address, on: bool) {
        let mut work = self.shared.work.lock();
        if on {
            work.impersonated.insert(account);
        } else {
            work.impersonated.remove(&account);
        }
    }

    fn impersonate_all(&self, on: bool) {
        self.shared.work.lock().impersonate_all = on;
    }

    fn edit(&self, account: Address, edit: Edit) -> Result<(), LedgerError> {
        let edit = match edit {
            Edit::Balance(balance) => AccountEdit { balance: Some(balance), ..AccountEdit::default() },
            Edit::Nonce(nonce) => AccountEdit { nonce: Some(nonce), ..AccountEdit::default() },
            Edit::Code(code) => AccountEdit { code: Some(code), ..AccountEdit::default() },
            Edit::Slot(slot, value) => AccountEdit { slot: Some((slot, value)), ..AccountEdit::default() },
        };
        let shared = &self.shared;
        let mut work = shared.work.lock();
        let mut batch = shared.store.batch();
        let changes = shared.state.amend(&mut batch, account, &edit).map_err(DevChainError::from)?;
        batch.commit(Durability::Buffered).map_err(DevChainError::from)?;
        work.undo.push(Undo::Edit { changes });
        if let Some(nonce) = edit.nonce {
            work.pool.account_moved(account, nonce);
        }
        Ok(())
    }

    fn mine(&self, blocks: u64, seconds_between: u64) -> Result<(), LedgerError> {
        Ok(self.shared.mine(blocks, seconds_between)?)
    }

    fn automine(&self) -> bool {
        self.shared.work.lock().automine
    }

    fn set_automine(&self, on: bool) {
        self.shared.work.lock().automine = on;
    }

    fn set_interval(&self, interval: Option<Duration>) {
        self.shared.interval.send_replace(interval);
    }

    fn increase_time(&self, seconds: u64) -> u64 {
        self.shared.work.lock().clock.increase(seconds)
    }

    fn set_next_time(&self, seconds: u64) -> Result<(), LedgerError> {
        let newest = self.shared.head().header.timestamp;
        if seconds <= newest {
            return Err(LedgerError::InvalidCall(format!(
                "Timestamp {seconds} is lower than or equal to previous block's timestamp {newest}"
            )));
        }
        self.shared.work.lock().clock.set_next(seconds);
        Ok(())
    }

    fn set_next_base_fee(&self, wei: u64) {
        self.shared.work.lock().next_base_fee = Some(wei);
    }

    fn set_next_mix_hash(&self, hash: B256) {
        self.shared.work.lock().next_mix_hash = Some(hash);
    }

    fn drop_transaction(&self, hash: B256) -> bool {
        let mut work = self.shared.work.lock();
        let waits = work.pool.get(hash).is_some();
        work.pool.remove(hash);
        waits
    }

    fn snapshot(&self) -> u64 {
        self.shared.take_snapshot()
    }

    fn revert(&self, snapshot: u64) -> Result<bool, LedgerError> {
        Ok(self.shared.revert_to(snapshot)?)
    }

    fn reset(&self) -> Result<(), LedgerError> {
        Ok(self.shared.begin_again()?)
    }
}

fn sign(key: &SecretKey, hash: B256) -> Signature {
    let message = Message::from_digest(hash.0);
    let (parity, bytes) = SECP256K1.sign_ecdsa_recoverable(&message, key).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(parity) == 1)
}

/// What stands where an impersonated account's signature would: it names the account, so that equal transactions of two
/// accounts have different hashes, and recovers to nobody's.
fn stand_in(from: Address) -> Signature {
    let named = keccak256([b"impersonated".as_slice(), from.as_slice()].concat());
    Signature::new(U256::from_be_bytes(named.0) >> 1, U256::from(1), false)
}
