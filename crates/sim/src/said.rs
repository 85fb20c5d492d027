//! What a message says, in one line of a trace.

use bxp_chain::codec;
use bxp_consensus::{
    Bitmask, Values, Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_network::Channel;
use bxp_types::ValidatorIndex;
use bytes::Bytes;

/// Bytes of a digest that tell it from the others of a run.
const DIGEST_BYTES: usize = 3;

/// The message in words. It may be anything.
pub(crate) fn said(channel: Channel, bytes: &Bytes, validators: u16) -> String {
    match channel {
        Channel::Consensus | Channel::Bodies => match Envelope::decode(bytes, validators, usize::MAX) {
            Ok(Envelope { height, message }) => format!("height {height} {}", words(&message)),
            Err(error) => format!("no message ({error})"),
        },
        Channel::Attestation => match codec::decode_attestation(bytes) {
            Ok(attestation) => format!(
                "height {} ATTESTS {} by {}",
                attestation.height,
                short(attestation.block_hash.as_slice()),
                attestation.validator.0
            ),
            Err(_) => "no attestation".to_owned(),
        },
    }
}

fn words(message: &Message) -> String {
    match message {
        Message::Init { body } => format!("INIT of {} bytes", body.len()),
        Message::Body { proposer, body } => format!("BODY {} of {} bytes", proposer.0, body.len()),
        Message::Fetch { proposer, digest } => format!("FETCH {}:{}", proposer.0, short(digest.as_bytes())),
        Message::Pull { held } => format!("PULL, holds [{}]", set(held)),
        Message::Votes(votes) => all(votes),
    }
}

/// Votes by what they say, each with the instances of which it is said: `ECHO[0:3f21aa 2:90c3d1] EST1=1[0 2]`.
fn all(votes: &Votes) -> String {
    let mut sayings: Vec<(String, Vec<String>)> = Vec::new();
    for (instance, vote) in votes.iter() {
        let (saying, of) = one(instance, vote);
        match sayings.iter_mut().find(|(known, _)| *known == saying) {
            Some((_, instances)) => instances.push(of),
            None => sayings.push((saying, vec![of])),
        }
    }
    let shown = sayings.iter().map(|(saying, instances)| format!("{saying}[{}]", instances.join(" ")));
    shown.collect::<Vec<_>>().join(" ")
}

/// What a vote says, and of what.
fn one(instance: ValidatorIndex, vote: Vote) -> (String, String) {
    let of = instance.0;
    let of_digest = |digest: &[u8]| format!("{of}:{}", short(digest));
    match vote {
        Vote::Echo(digest) => ("ECHO".to_owned(), of_digest(digest.as_bytes())),
        Vote::Ready(digest) => ("READY".to_owned(), of_digest(digest.as_bytes())),
        Vote::Invalid(digest) => ("INVALID".to_owned(), of_digest(digest.as_bytes())),
        Vote::Estimate { round, value } => (format!("EST{round}={}", u8::from(value)), of.to_string()),
        Vote::Coordinator { round, value } => (format!("COORD{round}={}", u8::from(value)), of.to_string()),
        Vote::Auxiliary { round, values } => (format!("AUX{round}={}", both(values)), of.to_string()),
        Vote::Decided(value) => (format!("DECIDED={}", u8::from(value)), of.to_string()),
    }
}

fn both(values: Values) -> &'static str {
    match (values.contains(false), values.contains(true)) {
        (true, true) => "01",
        (true, false) => "0",
        (false, true) => "1",
        (false, false) => "",
    }
}

fn set(mask: &Bitmask) -> String {
    mask.iter().map(|index| index.0.to_string()).collect::<Vec<_>>().join(" ")
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::{Attestation, B256, Digest, Height};

    fn consensus(message: Message) -> String {
        said(Channel::Consensus, &Envelope { height: Height(7), message }.encode(), 4)
    }

    #[test]
    fn votes_are_told_by_what_they_say_and_of_whom() {
        let mut votes = Votes::new(4);
        let [first, second] = [0, 2].map(ValidatorIndex);
        votes.insert(first, Vote::Echo(Digest([0x3f; 32])));
        votes.insert(second, Vote::Echo(Digest([0x90; 32])));
        for (instance, value) in [(first, true), (ValidatorIndex(1), false), (second, true)] {
            votes.insert(instance, Vote::Estimate { round: 1, value });
        }
        votes.insert(first, Vote::Auxiliary { round: 2, values: Values::BOTH });
        votes.insert(first, Vote::Decided(true));
        votes.insert(first, Vote::Invalid(Digest([1; 32])));
        assert_eq!(
            consensus(Message::Votes(votes)),
            "height 7 ECHO[0:3f3f3f 2:909090] EST1=1[0 2] EST1=0[1] AUX2=01[0] DECIDED=1[0] INVALID[0:010101]"
        );
    }

    #[test]
    fn everything_else_is_told_too_and_so_is_nonsense() {
        let body = Bytes::from_static(b"body");
        assert_eq!(consensus(Message::Init { body: body.clone() }), "height 7 INIT of 4 bytes");
        let proposer = ValidatorIndex(3);
        assert_eq!(consensus(Message::Body { proposer, body }), "height 7 BODY 3 of 4 bytes");
        let digest = Digest([0xab; 32]);
        assert_eq!(consensus(Message::Fetch { proposer, digest }), "height 7 FETCH 3:ababab");
        let mut held = Bitmask::new(4);
        held.insert(proposer);
        assert_eq!(consensus(Message::Pull { held }), "height 7 PULL, holds [3]");
        assert!(said(Channel::Bodies, &Bytes::from_static(b"?"), 4).starts_with("no message (read message"));
        assert_eq!(said(Channel::Attestation, &Bytes::new(), 4), "no attestation");
        let attestation = Attestation {
            height: Height(9),
            block_hash: B256::repeat_byte(0x11),
            validator: proposer,
            signature: [0; 64],
        };
        let bytes = Bytes::from(codec::encode_attestation(&attestation));
        assert_eq!(said(Channel::Attestation, &bytes, 4), "height 9 ATTESTS 111111 by 3");
    }
}
