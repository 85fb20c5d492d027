//! HL7 v2 messages of a feed: taken in before they are acknowledged, answered once, and never lost.
//!
//! A message is ingested durably, then its answer is kept, then the answer goes out. After a crash in between the
//! sender sends again: the same message makes nothing new, because ids come from what it is about. The same message
//! again is answered from what is kept. One that cannot be taken whole is refused and kept as a dead letter, sealed,
//! to be replayed when the reason is gone.
//!
//! It knows no socket. What it logs and counts has no value of a message in it.

mod answer;
mod letters;
pub(crate) mod tables;

pub use letters::{DeadLetter, Replayed};

use crate::{
    ClinicalError,
    ingest::{Ingest, Report},
};
use answer::{Answering, reasons};
use bxp_enclave::Enclave;
use bxp_hl7v2::{AckCode, Decoded, Hl7Error, Limits, Message, Wish, decode, patient_candidates, wish};
use bxp_vault::Clock;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tables::Tables;

/// Locks that keep messages about one patient apart; patients who share one wait for each other.
const LOCKS: usize = 64;
/// Reasons that an answer lists.
pub(crate) const REASONS_MAX: usize = 10;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken in.
    Accepted,
    /// It was here before; answered as then.
    Duplicate,
    /// Refused, and kept as a dead letter.
    Refused,
    /// Not readable as HL7 v2; kept as a dead letter.
    Unreadable,
    /// The node itself failed; the sender is to send again.
    Failed,
}

impl Outcome {
    /// As metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
        }
    }
}

/// What is said to the sender.
#[derive(Clone, Debug)]
pub struct Received {
    /// What became of the message.
    pub outcome: Outcome,
    /// The messages to send, in order: none, a commit or an application acknowledgement, or both.
    pub answers: Vec<String>,
}

/// The inbox. Clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    ingest: Ingest,
    enclave: Enclave,
    clock: Clock,
    order: Vec<Mutex<()>>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// The inbox before `ingest`; its tables are opened with that.
    #[must_use]
    pub fn new(enclave: Enclave, ingest: Ingest, clock: Clock) -> Self {
        let order = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Self(Arc::new(Inner { ingest, enclave, clock, order }))
    }

    /// Takes a message in and gives the answers. What is accepted is on disk.
    #[must_use]
    #[tracing::instrument(name = "clinical.receive", skip_all)]
    pub fn receive(&self, bytes: &[u8]) -> Received {
        let received = self.0.receive(bytes);
        metrics::counter!("bxp_hl7v2_messages_total", "outcome" => received.outcome.as_str()).increment(1);
        received
    }

    /// The dead letters, oldest first.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Enclave`], [`ClinicalError::Damaged`].
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, ClinicalError> {
        self.0.tables().letters()
    }

    /// Tries a dead letter again, or all of them in their order where no number is given. Those that are taken now are
    /// no dead letters any more.
    ///
    /// # Errors
    /// As [`Inbox::dead_letters`], and where the node itself fails.
    pub fn replay(&self, number: Option<u64>) -> Result<Vec<Replayed>, ClinicalError> {
        self.0.replay(number)
    }
}

/// A message that can be read.
struct Readable<'a> {
    message: Message<'a>,
    wish: Wish,
    /// Keyed fingerprint of sender, control id and content.
    key: [u8; 32],
}

impl Inner {
    fn tables(&self) -> &Tables {
        &self.ingest.0.inbox
    }

    fn receive(&self, bytes: &[u8]) -> Received {
        let decoded = decode(bytes);
        let text = decoded.as_ref().map(|Decoded { text, .. }| text.as_str()).unwrap_or_default();
        let parsed = decoded
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|_| Message::parse(text, &Limits::default()))
            .and_then(|message| checked(&message).map(|()| message));
        match parsed {
            Ok(message) => {
                let wish = wish(&message);
                let key = self.key(&message, bytes);
                self.take(bytes, Readable { message, wish, key })
            }
            Err(error) => self.unreadable(bytes, &error),
        }
    }

    /// The same message is one from the same sender with the same control id and the same content; the time of sending
    /// (MSH-7) may differ. A control id alone is not enough: senders begin to count anew.
    fn key(&self, message: &Message<'_>, bytes: &[u8]) -> [u8; 32] {
        let header = message.header();
        let time = header.field(7).raw().as_bytes();
        let mut content = Vec::with_capacity(bytes.len() + 64);
        content.extend_from_slice(b"hl7v2 message\0");
        for field in [3, 4, 10] {
            content.extend_from_slice(header.field(field).raw().as_bytes());
            content.push(0);
        }
        let at = bytes.windows(time.len().max(1)).position(|window| !time.is_empty() && window == time);
        match at {
            Some(at) => {
                content.extend_from_slice(&bytes[..at]);
                content.extend_from_slice(&bytes[at + time.len()..]);
            }
            None => content.extend_from_slice(bytes),
        }
        self.enclave.fingerprint(&content)
    }

    /// Holds the order of the patients whom a message names.
    fn in_order(&self, message: &Message<'_>) -> Vec<MutexGuard<'_, ()>> {
        let mut numbers: Vec<usize> = patient_candidates(message)
            .iter()
            .map(|id| {
                id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % LOCKS
            })
            .collect();
        // Always in the same order, so that two messages never wait for each other.
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|number| self.order[number].lock()).collect()
    }

    fn take(&self, bytes: &[u8], readable: Readable<'_>) -> Received {
        let _order = self.in_order(&readable.message);
        let answering = Answering::new(Some(&readable.message), readable.wish, self.clock.now_ms());
        match self.tables().answer(&readable.key) {
            Ok(Some(answers)) => return Received { outcome: Outcome::Duplicate, answers },
            Ok(None) => {}
            Err(error) => return self.failed(&answering, &error),
        }
        match self.ingest.ingest_message("HL7 v2 message", bytes) {
            Ok(report) if report.refused == 0 => {
                let answers = answering.accept();
                match self.tables().keep_answer(&readable.key, &answers, self.clock.now_ms()) {
                    Ok(()) => Received { outcome: Outcome::Accepted, answers },
                    Err(error) => self.failed(&answering, &error),
                }
            }
            Ok(report) => self.refuse(bytes, &answering, reasons(&report)),
            Err(ClinicalError::Hl7v2 { source, .. }) => self.unreadable(bytes, &source),
            Err(error) => self.failed(&answering, &error),
        }
    }

    fn refuse(&self, bytes: &[u8], answering: &Answering<'_>, reasons: Vec<String>) -> Received {
        match self.tables().bury(bytes, &reasons, self.clock.now_ms()) {
            Ok(()) => {
                let problems = reasons.into_iter().map(|reason| (207, None, reason)).collect();
                let answers = answering.error(AckCode::ApplicationError, problems);
                Received { outcome: Outcome::Refused, answers }
            }
            Err(error) => self.failed(answering, &error),
        }
    }

    fn unreadable(&self, bytes: &[u8], error: &Hl7Error) -> Received {
        let decoded = decode(bytes);
        let text = decoded.as_ref().map(|decoded| decoded.text.as_str()).unwrap_or_default();
        let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
        let first = first.split('\r').next().unwrap_or_default();
        let header = Message::parse(first, &Limits::default()).ok();
        let wish = header.as_ref().map_or(ALWAYS, wish);
        let answering = Answering::new(header.as_ref(), wish, self.clock.now_ms());
        if let Err(error) = self.tables().bury(bytes, &[error.to_string()], self.clock.now_ms()) {
            return self.failed(&answering, &error);
        }
        let problems = vec![(error.condition().0, error.place(), error.to_string())];
        let answers = answering.error(AckCode::ApplicationReject, problems);
        Received { outcome: Outcome::Unreadable, answers }
    }

    fn failed(&self, answering: &Answering<'_>, error: &ClinicalError) -> Received {
        tracing::error!(error = %chain(error), "an HL7 v2 message could not be kept");
        let problem = (207, None, "the node failed; send the message again".to_owned());
        let answers = answering.error(AckCode::ApplicationReject, vec![problem]);
        Received { outcome: Outcome::Failed, answers }
    }

    fn replay(&self, number: Option<u64>) -> Result<Vec<Replayed>, ClinicalError> {
        let wanted = self.tables().letters()?.into_iter().map(|letter| letter.number);
        let wanted: Vec<u64> = wanted.filter(|one| number.is_none_or(|number| number == *one)).collect();
        wanted.into_iter().map(|number| self.replay_one(number)).collect()
    }

    fn replay_one(&self, number: u64) -> Result<Replayed, ClinicalError> {
        let Some(bytes) = self.tables().letter(number)? else {
            return Ok(Replayed {
                number,
                taken: false,
                reasons: vec!["it is not there any more".to_owned()],
            });
        };
        let report = match self.ingest.ingest_message("HL7 v2 message", &bytes) {
            Err(ClinicalError::Hl7v2 { source, .. }) => {
                return Ok(Replayed { number, taken: false, reasons: vec![source.to_string()] });
            }
            other => other?,
        };
        let reasons = reasons(&report);
        if reasons.is_empty() {
            self.tables().unbury(number, &bytes)?;
        }
        Ok(Replayed { number, taken: reasons.is_empty(), reasons })
    }
}

/// Who sends what has no header gets an answer.
const ALWAYS: Wish =
    Wish { enhanced: false, commit: bxp_hl7v2::When::Never, application: bxp_hl7v2::When::Always };

/// What a message of a feed must have beside its form: a type, a control id, a version that is known.
fn checked(message: &Message<'_>) -> Result<(), Hl7Error> {
    let header = message.header();
    for field in [9, 10] {
        if !header.has(field) {
            return Err(Hl7Error::Required(header.place(field)));
        }
    }
    let version = header.value(12);
    let known = version.is_empty() || (version.starts_with("2.") && version.len() <= 6);
    if known { Ok(()) } else { Err(Hl7Error::Version) }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether a report refuses nothing.
pub(crate) fn is_whole(report: &Report) -> bool {
    report.refused == 0
}
