//! The inbox on disk: answers that were given, and dead letters. Keys are fingerprints and numbers, values are sealed.

use super::DeadLetter;
use crate::ClinicalError;
use bxp_enclave::Enclave;
use bxp_storage::{Durability, Store, Table};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How long answers are kept for messages that come again: a sender that is cut off for a month has other worries.
const ANSWER_KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// Answers that are forgotten when one is kept.
const FORGOTTEN_AT_ONCE: usize = 2;
/// The most dead letters; with more, messages are refused as if the disk were full, and their senders keep them.
const LETTERS_MAX: u64 = 10_000;

const DAMAGED: ClinicalError = ClinicalError::Damaged("a row of the inbox");
const FULL: ClinicalError =
    ClinicalError::Damaged("the dead letters: there are too many; replay or look into them first");

/// The tables of the inbox.
pub(crate) struct Tables {
    store: Store,
    enclave: Enclave,
    /// Fingerprint of a message -> time (u64 BE) || sealed answers.
    answers: Table,
    /// Time (u64 BE) || fingerprint -> nothing.
    answer_times: Table,
    /// Number (u64 BE) -> sealed [`Letter`].
    letters: Table,
    /// Fingerprint of a message -> number (u64 BE): the same message is one dead letter.
    letter_numbers: Table,
    writing: Mutex<()>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

/// A dead letter as it lies on disk.
#[derive(Serialize, Deserialize)]
struct Letter {
    received_ms: u64,
    reasons: Vec<String>,
    message: Vec<u8>,
}

impl Tables {
    pub(crate) fn open(store: &Store, enclave: Enclave) -> Result<Self, ClinicalError> {
        Ok(Self {
            answers: store.table("hl7v2.answers")?,
            answer_times: store.table("hl7v2.answer-times")?,
            letters: store.table("hl7v2.dead-letters")?,
            letter_numbers: store.table("hl7v2.dead-letter-numbers")?,
            store: store.clone(),
            enclave,
            writing: Mutex::new(()),
        })
    }

    /// The answers that a message got.
    pub(super) fn answer(&self, key: &[u8; 32]) -> Result<Option<Vec<String>>, ClinicalError> {
        let Some(row) = self.answers.get(key)? else { return Ok(None) };
        let sealed = row.get(8..).ok_or(DAMAGED)?;
        let opened = self.enclave.open_at_rest(sealed, &context("answer", key))?;
        serde_json::from_slice(&opened).map(Some).map_err(|_| DAMAGED)
    }

    /// Keeps the answers of a message, and forgets some that are too old.
    pub(super) fn keep_answer(
        &self,
        key: &[u8; 32],
        answers: &[String],
        now_ms: u64,
    ) -> Result<(), ClinicalError> {
        let text = serde_json::to_vec(answers).map_err(|_| DAMAGED)?;
        let sealed = self.enclave.seal_at_rest(&text, &context("answer", key))?;
        let time = now_ms.to_be_bytes();
        let mut batch = self.store.batch();
        batch.put(&self.answers, key, [time.as_slice(), &sealed].concat());
        batch.put(&self.answer_times, [time.as_slice(), key].concat(), []);
        let horizon = now_ms.saturating_sub(ANSWER_KEPT_MS).to_be_bytes();
        for old in self.answer_times.range(..horizon.to_vec()).take(FORGOTTEN_AT_ONCE) {
            let (old, _) = old?;
            batch.remove(&self.answers, old.get(8..).ok_or(DAMAGED)?);
            batch.remove(&self.answer_times, &old);
        }
        Ok(batch.commit(Durability::Synced)?)
    }

    /// Keeps a message as a dead letter. One that is there already gets the newest reasons.
    pub(super) fn bury(&self, message: &[u8], reasons: &[String], now_ms: u64) -> Result<(), ClinicalError> {
        let _writing = self.writing.lock();
        let print = self.fingerprint(message);
        let known = self.letter_numbers.get(print)?;
        let (number, received_ms) = match known {
            Some(number) => {
                let number = number_of(&number)?;
                (number, self.read(number)?.map_or(now_ms, |letter| letter.received_ms))
            }
            None => {
                let last = self.letters.last()?.map(|(key, _)| number_of(&key)).transpose()?;
                let first = self.letters.first()?.map(|(key, _)| number_of(&key)).transpose()?;
                let next = last.map_or(1, |last| last.saturating_add(1));
                if next - first.unwrap_or(next) >= LETTERS_MAX {
                    return Err(FULL);
                }
                (next, now_ms)
            }
        };
        let letter = Letter { received_ms, reasons: reasons.to_vec(), message: message.to_vec() };
        let text = serde_json::to_vec(&letter).map_err(|_| DAMAGED)?;
        let sealed = self.enclave.seal_at_rest(&text, &context("letter", &number.to_be_bytes()))?;
        let mut batch = self.store.batch();
        batch.put(&self.letters, number.to_be_bytes(), sealed);
        batch.put(&self.letter_numbers, print, number.to_be_bytes());
        Ok(batch.commit(Durability::Synced)?)
    }

    /// Takes a dead letter away.
    pub(super) fn unbury(&self, number: u64, message: &[u8]) -> Result<(), ClinicalError> {
        let _writing = self.writing.lock();
        let mut batch = self.store.batch();
        batch.remove(&self.letters, number.to_be_bytes());
        batch.remove(&self.letter_numbers, self.fingerprint(message));
        Ok(batch.commit(Durability::Synced)?)
    }

    /// The message of a dead letter.
    pub(super) fn letter(&self, number: u64) -> Result<Option<Vec<u8>>, ClinicalError> {
        Ok(self.read(number)?.map(|letter| letter.message))
    }

    /// All dead letters.
    pub(super) fn letters(&self) -> Result<Vec<DeadLetter>, ClinicalError> {
        let mut all = Vec::new();
        for row in self.letters.iter() {
            let (key, _) = row?;
            let number = number_of(&key)?;
            if let Some(letter) = self.read(number)? {
                let Letter { received_ms, reasons, message } = letter;
                all.push(DeadLetter { number, received_ms, bytes: message.len() as u64, reasons });
            }
        }
        Ok(all)
    }

    /// Whether there is a dead letter at all.
    pub(crate) fn has_letters(&self) -> Result<bool, ClinicalError> {
        Ok(self.letters.first()?.is_some())
    }

    /// Takes away the dead letters that `are_theirs` says yes to. Tells how many.
    pub(crate) fn forget(
        &self,
        are_theirs: impl Fn(&[u8]) -> Result<bool, ClinicalError>,
    ) -> Result<usize, ClinicalError> {
        let _writing = self.writing.lock();
        let (mut batch, mut count) = (self.store.batch(), 0);
        for row in self.letters.iter() {
            let (key, _) = row?;
            let Some(letter) = self.read(number_of(&key)?)? else { continue };
            if are_theirs(&letter.message)? {
                batch.remove(&self.letters, &*key);
                batch.remove(&self.letter_numbers, self.fingerprint(&letter.message));
                count += 1;
            }
        }
        batch.commit(Durability::Synced)?;
        Ok(count)
    }

    fn read(&self, number: u64) -> Result<Option<Letter>, ClinicalError> {
        let Some(sealed) = self.letters.get(number.to_be_bytes())? else { return Ok(None) };
        let opened = self.enclave.open_at_rest(&sealed, &context("letter", &number.to_be_bytes()))?;
        serde_json::from_slice(&opened).map(Some).map_err(|_| DAMAGED)
    }

    fn fingerprint(&self, message: &[u8]) -> [u8; 32] {
        self.enclave.fingerprint(&[b"hl7v2 letter\0".as_slice(), message].concat())
    }
}

fn number_of(key: &[u8]) -> Result<u64, ClinicalError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| DAMAGED)
}

fn context(kind: &str, key: &[u8]) -> Vec<u8> {
    [b"hl7v2/", kind.as_bytes(), b"/", key].concat()
}
