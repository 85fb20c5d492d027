//! What a Byzantine validator makes up: bodies, attestations, answers to requests for blocks.

use super::{Behaviour, Byzantine};
use crate::host::signing_key;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use bxp_chain::{codec, proposal::Proposal};
use bxp_types::{Address, Attestation, B256, Certificate, Height, RecoveredTransaction, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, seq::IteratorRandom};

/// The answer to a request for blocks, as `bxp_chain::sync` writes it.
#[derive(RlpEncodable, RlpDecodable)]
struct Answer {
    certified: u64,
    items: Vec<Item>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Item {
    block: alloy_primitives::Bytes,
    certificate: alloy_primitives::Bytes,
}

impl Byzantine {
    /// The body that `to` gets in the place of the node's own one.
    pub(super) fn replaced(&mut self, to: ValidatorIndex, height: Height, body: Bytes) -> Bytes {
        let variant = self.variant(to);
        if let Some(known) = self.bodies.get(&(height, variant)) {
            return known.clone();
        }
        let Some(made) = self.made_up(variant, &body) else { return body };
        self.bodies.insert((height, variant), made.clone());
        made
    }

    fn made_up(&mut self, variant: u16, body: &Bytes) -> Option<Bytes> {
        let own = Proposal::check(body, self.rules).ok()?;
        let proposal = match self.behaviour {
            Behaviour::TwoBodies | Behaviour::BodyForEach => {
                Proposal { time_ms: own.time_ms + u64::from(variant), ..own }
            }
            Behaviour::EmptyProposals => Proposal { transactions: Vec::new(), ..own },
            Behaviour::LyingClock => {
                let time_ms = if self.rng.random() { u64::MAX / 2 } else { self.rng.random_range(0..10) };
                Proposal { time_ms, ..own }
            }
            Behaviour::ReplaysTransactions => self.replayed_transactions(own),
            Behaviour::InvalidProposals | Behaviour::FalseValid => return Some(self.invalid_body(&own)),
            Behaviour::WrongSenders => return Some(self.wrongly_named(own)),
            Behaviour::OversizedBodies => {
                // Large enough to be refused; few, since each costs every node a hash over all of it.
                self.words_left = self.words_left.saturating_sub(800);
                let large = self.words_left > 0;
                return large.then(|| vec![0; self.rules.bytes_max + 1].into());
            }
            _ => return None,
        };
        Some(self.encode(&proposal))
    }

    fn encode(&self, proposal: &Proposal) -> Bytes {
        if self.names_senders { proposal.encode_with_senders() } else { proposal.encode() }.into()
    }

    /// The same transactions in the name of others who have money: whoever believes it executes theft.
    fn wrongly_named(&self, own: Proposal) -> Bytes {
        let named = |(place, transaction): (usize, RecoveredTransaction)| {
            let others = self.accounts.iter().filter(|account| **account != transaction.signer());
            let other = others.cycle().nth(place).copied().unwrap_or(Address::ZERO);
            RecoveredTransaction::new_unchecked(transaction.into_inner(), other)
        };
        let transactions = own.transactions.into_iter().enumerate().map(named).collect();
        Proposal { time_ms: own.time_ms, transactions }.encode_with_senders().into()
    }

    /// The node's proposal, turned round, twice, with whatever others have proposed before.
    fn replayed_transactions(&self, own: Proposal) -> Proposal {
        let mut transactions = own.transactions;
        let rules = self.rules;
        let earlier = self.heard.iter().filter_map(|body| Proposal::check(body, rules).ok());
        transactions.extend(earlier.flat_map(|proposal| proposal.transactions));
        transactions.reverse();
        transactions.truncate(200);
        transactions.extend(transactions.clone());
        Proposal { time_ms: own.time_ms, transactions }
    }

    fn invalid_body(&mut self, own: &Proposal) -> Bytes {
        let mut body = self.encode(own).to_vec();
        match self.rng.random_range(0..4) {
            0 => body.push(0),
            1 => body.truncate(body.len() / 2),
            2 => {
                // A signature that recovers to nobody, or to somebody who has nothing; or another sender.
                if let Some(byte) = body.last_mut() {
                    *byte ^= 0x55;
                }
            }
            _ => return Bytes::from_static(b"no proposal"),
        }
        body.into()
    }

    pub(super) fn forged_attestations(&mut self, to: ValidatorIndex, bytes: &Bytes) -> Vec<Bytes> {
        let Ok(own) = codec::decode_attestation(bytes) else { return Vec::new() };
        let key = signing_key(self.me);
        let other = B256::repeat_byte(self.rng.random());
        let sign = |as_whom, hash| Attestation::sign(&key, as_whom, self.network, own.height, hash);
        let mut damaged = own.clone();
        damaged.signature[5] ^= 1;
        let forged = [sign(self.me, other), sign(to, own.block_hash), damaged];
        let truth = self.is_favoured(to).then_some(own);
        forged
            .into_iter()
            .chain(truth)
            .map(|attestation| codec::encode_attestation(&attestation).into())
            .collect()
    }

    /// An attestation of a block that does not exist, with a good signature.
    pub(super) fn baseless_attestation(&mut self) -> Bytes {
        let ahead = *[1, 2, 8, 70, 1 << 40].iter().choose(&mut self.rng).unwrap_or(&1);
        let height = Height(self.height.0.saturating_add(self.rng.random_range(0..=ahead)));
        let hash = B256::repeat_byte(self.rng.random());
        let attestation = Attestation::sign(&signing_key(self.me), self.me, self.network, height, hash);
        codec::encode_attestation(&attestation).into()
    }

    /// What it answers to a request for blocks, when its node would answer `honest`; nothing when it does not answer.
    pub(crate) fn answer(&mut self, honest: Option<Bytes>) -> Option<Bytes> {
        match self.behaviour {
            Behaviour::NeverAnswers | Behaviour::Silent => None,
            Behaviour::Garbage | Behaviour::Chaos => Some(Bytes::from_static(b"\xc3\x01\x02\x03")),
            Behaviour::LiesAboutHeight | Behaviour::FarFuture | Behaviour::FloodsRequests => {
                Some(alloy_rlp::encode(Answer { certified: u64::MAX, items: Vec::new() }).into())
            }
            Behaviour::ForgedCertificates => self.changed_answer(honest, Self::forge_certificate),
            Behaviour::WrongBlocks => self.changed_answer(honest, Self::change_block),
            _ => honest,
        }
    }

    fn changed_answer(&mut self, honest: Option<Bytes>, change: fn(&Self, &mut Item)) -> Option<Bytes> {
        let mut answer: Answer = alloy_rlp::decode_exact(honest?).ok()?;
        answer.items.iter_mut().for_each(|item| change(self, item));
        Some(alloy_rlp::encode(answer).into())
    }

    /// Its own signature in everybody's name, over another hash.
    fn forge_certificate(&self, item: &mut Item) {
        let Ok(honest) = codec::decode_certificate(&item.certificate) else { return };
        let hash = B256::repeat_byte(0x66);
        let key = signing_key(self.me);
        let sign = |as_whom| Attestation::sign(&key, as_whom, self.network, honest.height, hash).signature;
        let signatures = (0..self.validators).map(ValidatorIndex).map(|v| (v, sign(v))).collect();
        let forged = Certificate { height: honest.height, block_hash: hash, signatures };
        item.certificate = codec::encode_certificate(&forged).into();
    }

    /// The right header over other transactions, or with another time.
    fn change_block(&self, item: &mut Item) {
        if item.block.is_empty() {
            return;
        }
        let Ok(mut block) = codec::decode_block_from_peer(&item.block, crate::wallet::CHAIN_ID) else {
            return;
        };
        if block.transactions.pop().is_none() {
            block.time_ms += 1;
        }
        item.block = codec::encode_block_for_peer(&block).into();
    }
}
