//! What validators say to each other, and what they wrote down of it.

use super::{joined, pieces};
use bxp_consensus::{Config, Effect, Engine, Input, Verification, wire::Envelope};
use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;

const VALIDATORS: u16 = 4;
const BODY_BYTES_MAX: usize = 1_024;
/// Heights that a conversation opens.
const HEIGHTS: u64 = 2;

fn config(me: u16) -> Config {
    let mut config = Config::new(ValidatorIndex(me), usize::from(VALIDATORS), NetworkId([7; 32]));
    config.body_bytes_max = BODY_BYTES_MAX;
    config
}

fn engine(me: u16, verification: Verification) -> Engine {
    let config = Config { verification, ..config(me) };
    Engine::new(config).expect("a configuration of four validators")
}

/// A message decodes to what encodes to the same message.
pub(crate) fn message(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(envelope) = Envelope::decode(&bytes, VALIDATORS, BODY_BYTES_MAX) {
        let again = Envelope::decode(&envelope.encode(), VALIDATORS, BODY_BYTES_MAX);
        assert_eq!(again.as_ref(), Ok(&envelope));
    }
}

/// Three peers say anything to a validator: it neither breaks nor contradicts itself, and what it keeps is bounded.
pub(crate) fn conversation(bytes: &[u8]) {
    for verification in [Verification::All, Verification::Sharded] {
        let mut engine = engine(0, verification);
        let mut decided = Vec::new();
        let mut take = |engine: &mut Engine, input: Input| {
            let mut waiting = engine.handle(input);
            while let Some(effect) = waiting.pop() {
                match effect {
                    Effect::Validate { height, proposer, digest, body } => {
                        let valid = body.first() != Some(&0);
                        let answer = Input::Validated { height, proposer, digest, valid };
                        waiting.extend(engine.handle(answer));
                    }
                    Effect::Decided(superblock) => decided.push(superblock.height),
                    _ => {}
                }
            }
        };
        for height in 1..=HEIGHTS {
            let proposal = Bytes::from(vec![1; 16]);
            take(&mut engine, Input::Start { height: Height(height), proposal });
        }
        for piece in pieces(bytes) {
            let Some((from, message)) = piece.split_first() else { continue };
            let from = ValidatorIndex(1 + u16::from(*from) % (VALIDATORS - 1));
            take(&mut engine, Input::Received { from, message: Bytes::copy_from_slice(message) });
            assert!(engine.open_heights() <= 16, "heights are bounded");
        }
        decided.sort_unstable();
        assert!(decided.is_sorted_by(|a, b| a < b), "a height is decided once: {decided:?}");
    }
}

/// A log that holds anything is recovered from or refused.
pub(crate) fn log(bytes: &[u8]) {
    let mut engine = engine(0, Verification::All);
    let records: Vec<Bytes> = pieces(bytes).into_iter().map(Bytes::copy_from_slice).collect();
    if engine.recover(records).is_ok() {
        let records = engine.records();
        let mut again = self::engine(0, Verification::All);
        assert_eq!(again.recover(records.clone()), Ok(()), "what it writes it reads");
        assert_eq!(again.records(), records);
    }
}

/// Everything that four validators say in one height, with who said it, and what the first one wrote down.
fn height() -> (Vec<(u16, Bytes)>, Vec<Bytes>) {
    let mut engines: Vec<Engine> = (0..VALIDATORS).map(|me| engine(me, Verification::All)).collect();
    let (mut said, mut records) = (Vec::new(), Vec::new());
    let mut queue: Vec<(u16, Input)> = (0..VALIDATORS)
        .map(|me| {
            let proposal = Bytes::from(vec![u8::try_from(me).unwrap_or(0) + 1; 24]);
            (me, Input::Start { height: Height(1), proposal })
        })
        .collect();
    while let Some((me, input)) = queue.pop() {
        for effect in engines[usize::from(me)].handle(input) {
            match effect {
                Effect::Broadcast { message } => {
                    said.push((me, message.clone()));
                    let others = (0..VALIDATORS).filter(|to| *to != me);
                    let received =
                        |to| (to, Input::Received { from: ValidatorIndex(me), message: message.clone() });
                    queue.splice(0..0, others.map(received));
                }
                Effect::Validate { height, proposer, digest, .. } => {
                    queue.push((me, Input::Validated { height, proposer, digest, valid: true }));
                }
                Effect::Persist(record) if me == 0 => records.push(record),
                _ => {}
            }
        }
    }
    (said, records)
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let fetch = bxp_consensus::wire::Message::Fetch { proposer: ValidatorIndex(1), digest: Digest([9; 32]) };
    let fetch = Envelope { height: Height(1), message: fetch }.encode();
    height().0.into_iter().map(|(_, message)| message.to_vec()).chain([fetch.to_vec()]).collect()
}

pub(crate) fn conversations() -> Vec<Vec<u8>> {
    let said = height().0;
    let of_others = said.iter().filter(|(from, _)| *from != 0);
    let pieces =
        of_others.map(|(from, message)| [&[u8::try_from(from - 1).unwrap_or(0)], &message[..]].concat());
    vec![joined(pieces)]
}

pub(crate) fn logs() -> Vec<Vec<u8>> {
    vec![joined(height().1)]
}
