//! The wire and log format: pinned bytes, and arbitrary ones.

use bxp_consensus::wire::{Envelope, Message, SECTIONS_MAX, WireError};
use bxp_consensus::{Bitmask, Config, Effect, Engine, Input, Values, Vote, Votes};
use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;
use proptest::prelude::*;

const N: u16 = 10;

fn round_trip(message: Message, expected: &str) {
    let envelope = Envelope { height: Height(0x0102), message };
    let bytes = envelope.encode();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.replace(' ', ""));
    assert_eq!(Envelope::decode(&bytes, N, 100), Ok(envelope));
}

#[test]
fn the_format_is_pinned() {
    let body = Bytes::from_static(b"body");
    round_trip(Message::Init { body: body.clone() }, "01 00 0000000000000102 626f6479");
    round_trip(
        Message::Fetch { proposer: ValidatorIndex(3), digest: Digest([0xab; 32]) },
        &format!("01 02 0000000000000102 0003 {}", "ab".repeat(32)),
    );
    round_trip(Message::Body { proposer: ValidatorIndex(9), body }, "01 03 0000000000000102 0009 626f6479");
    let mut held = Bitmask::new(N);
    held.insert(ValidatorIndex(0));
    held.insert(ValidatorIndex(9));
    round_trip(Message::Pull { held }, "01 04 0000000000000102 0102");
    let mut votes = Votes::new(N);
    votes.insert(ValidatorIndex(0), Vote::Echo(Digest([1; 32])));
    votes.insert(ValidatorIndex(8), Vote::Echo(Digest([2; 32])));
    votes.insert(ValidatorIndex(0), Vote::Ready(Digest([1; 32])));
    votes.insert(ValidatorIndex(1), Vote::Estimate { round: 1, value: false });
    votes.insert(ValidatorIndex(1), Vote::Estimate { round: 2, value: false });
    votes.insert(ValidatorIndex(1), Vote::Estimate { round: 2, value: true });
    votes.insert(ValidatorIndex(2), Vote::Coordinator { round: 3, value: true });
    votes.insert(ValidatorIndex(2), Vote::Auxiliary { round: 1, values: Values::only(true) });
    votes.insert(ValidatorIndex(3), Vote::Auxiliary { round: 1, values: Values::BOTH });
    votes.insert(ValidatorIndex(9), Vote::Decided(true));
    votes.insert(ValidatorIndex(4), Vote::Invalid(Digest([3; 32])));
    let expected = format!(
        "01 01 0000000000000102 01 0101 {} {} 02 0100 {} 03 00000001 0200 0000 03 00000002 0200 0200 \
         04 00000003 0000 0400 05 00000001 0800 0c00 06 00000000 0000 0002 07 1000 {}",
        "01".repeat(32),
        "02".repeat(32),
        "01".repeat(32),
        "03".repeat(32),
    );
    round_trip(Message::Votes(votes), &expected);
}

#[test]
fn log_records_are_pinned_and_name_their_owner() {
    let config = Config::new(ValidatorIndex(2), 4, NetworkId([0x77; 32]));
    let mut engine = Engine::new(config).unwrap();
    let effects = engine.handle(Input::Start { height: Height(1), proposal: Bytes::from_static(b"b") });
    let records: Vec<String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Persist(record) => Some(record.iter().map(|byte| format!("{byte:02x}")).collect()),
            _ => None,
        })
        .collect();
    let digest = Digest::of(b"b");
    assert_eq!(
        records,
        [
            "7777777777777777000201000000000000000001".to_owned() + "62",
            "7777777777777777000201010000000000000001".to_owned() + "0104" + &digest.to_string(),
        ]
    );
}

fn decode(hex: &str) -> Result<Envelope, WireError> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    Envelope::decode(&Bytes::from(bytes), N, 3)
}

#[test]
fn what_is_not_canonical_is_refused() {
    let votes = "01 01 0000000000000001";
    for (hex, error) in [
        (String::new(), WireError::Short),
        ("02 00 0000000000000001".into(), WireError::Version(2)),
        ("01 05 0000000000000001".into(), WireError::Kind(5)),
        ("01 00 00000000000001".into(), WireError::Short),
        ("01 00 0000000000000001 61626364".into(), WireError::TooLarge),
        ("01 03 0000000000000001 000a 61".into(), WireError::NotCanonical),
        ("01 04 0000000000000001 0004".into(), WireError::NotCanonical),
        ("01 04 0000000000000001 0001 00".into(), WireError::Trailing),
        (votes.into(), WireError::Short),
        (format!("{votes} 08"), WireError::Kind(8)),
        (format!("{votes} 07"), WireError::Short),
        (format!("{votes} 07 0000"), WireError::NotCanonical),
        (format!("{votes} 07 0100 {} 06 00000000 0100 0000", "aa".repeat(32)), WireError::NotCanonical),
        (format!("{votes} 01 0000"), WireError::NotCanonical),
        (format!("{votes} 01 0100 aa"), WireError::Short),
        (format!("{votes} 03 00000000 0100 0000"), WireError::NotCanonical),
        (format!("{votes} 03 00000001 0000 0000"), WireError::NotCanonical),
        (format!("{votes} 04 00000003 0100 0100"), WireError::NotCanonical),
        (format!("{votes} 06 00000001 0100 0000"), WireError::NotCanonical),
        (format!("{votes} 03 00000002 0100 0000 03 00000001 0100 0000"), WireError::NotCanonical),
        (format!("{votes} 05 00000001 0100 0000 03 00000001 0100 0000"), WireError::NotCanonical),
        (format!("{votes} 03 00000001 0100 0000 03 00000001 0100 0000"), WireError::NotCanonical),
    ] {
        assert_eq!(decode(&hex), Err(error), "{hex}");
    }
    let sections =
        |count: u32| -> String { (1..=count).map(|round| format!("03{round:08x}01000000")).collect() };
    let most = u32::try_from(SECTIONS_MAX).unwrap();
    assert!(decode(&format!("{votes}{}", sections(most))).is_ok());
    assert_eq!(decode(&format!("{votes}{}", sections(most + 1))), Err(WireError::TooLarge));
}

fn any_vote() -> impl Strategy<Value = Vote> {
    let digest = any::<[u8; 32]>().prop_map(Digest);
    let values = prop_oneof![Just(Values::only(false)), Just(Values::only(true)), Just(Values::BOTH)];
    prop_oneof![
        digest.clone().prop_map(Vote::Echo),
        digest.clone().prop_map(Vote::Ready),
        digest.prop_map(Vote::Invalid),
        (1..5u32, any::<bool>()).prop_map(|(round, value)| Vote::Estimate { round, value }),
        (1..5u32, any::<bool>()).prop_map(|(round, value)| Vote::Coordinator { round, value }),
        (1..5u32, values).prop_map(|(round, values)| Vote::Auxiliary { round, values }),
        any::<bool>().prop_map(Vote::Decided),
    ]
}

proptest! {
    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(
        kind in 0..7u8, rest in proptest::collection::vec(any::<u8>(), 0..300), n in 1..40u16,
    ) {
        let bytes = Bytes::from([&[1, kind][..], &[0; 7], &rest].concat());
        if let Ok(envelope) = Envelope::decode(&bytes, n, 1_000) {
            prop_assert_eq!(envelope.encode(), bytes);
        }
    }

    #[test]
    fn votes_come_back_as_they_were(votes in proptest::collection::vec((0..N, any_vote()), 1..60)) {
        let mut book = Votes::new(N);
        for (instance, vote) in votes {
            book.insert(ValidatorIndex(instance), vote);
        }
        let envelope = Envelope { height: Height(9), message: Message::Votes(book) };
        prop_assert_eq!(Envelope::decode(&envelope.encode(), N, 0), Ok(envelope));
    }

    #[test]
    fn arbitrary_bytes_never_stop_an_engine(
        messages in proptest::collection::vec((0..6u16, 0..7u8, proptest::collection::vec(any::<u8>(), 0..200)), 1..20),
    ) {
        let mut engine = Engine::new(Config::new(ValidatorIndex(0), 4, NetworkId([0; 32]))).unwrap();
        engine.handle(Input::Start { height: Height(1), proposal: Bytes::new() });
        for (from, kind, rest) in messages {
            let message = Bytes::from([&[1, kind][..], &1u64.to_be_bytes(), &rest].concat());
            engine.handle(Input::Received { from: ValidatorIndex(from), message: message.slice(2..) });
            engine.handle(Input::Received { from: ValidatorIndex(from), message });
        }
    }
}
