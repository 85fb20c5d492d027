//! Byzantine validators: around a real node, whose words are changed on their way, or speaking for themselves.

mod distort;
mod forge;
mod speak;

use bxp_chain::proposal::ProposalRules;
use bxp_network::Channel;
use bxp_types::{Address, Genesis, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// How a Byzantine validator breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Never says anything.
    Silent,
    /// Takes part, but half of the validators never hear of it.
    SilentToSome,
    /// Takes part, each message up to three seconds late.
    Late,
    /// Proposes one body to one half and another to the other, and stands by both.
    TwoBodies,
    /// Proposes another body to everyone.
    BodyForEach,
    /// Turns two thirds of its votes around, another third for each peer.
    FlippedVotes,
    /// Says 0 and 1 wherever it says one of them.
    VotesForBoth,
    /// Says 0 to one half and 1 to the other.
    SplitVotes,
    /// Says the contrary of each outcome.
    DeniesDecisions,
    /// Tells its ECHO and READY to one half only.
    SelectiveEchoes,
    /// Tells everyone another half of its votes.
    SelectiveVotes,
    /// Serves wrong bodies for right hashes.
    WrongBodies,
    /// Proposes to a few and serves no bodies at all.
    NoBodies,
    /// Says again what it said at earlier heights.
    ReplaysOldHeights,
    /// Says what others said, as its own.
    MimicsOthers,
    /// Proposes nothing, whatever its pool holds.
    EmptyProposals,
    /// Proposes what is in blocks already, twice over and in the wrong order.
    ReplaysTransactions,
    /// Proposes bodies with invalid signatures, of another chain, or no bodies at all, and votes for them.
    InvalidProposals,
    /// Proposes more bytes than anyone may.
    OversizedBodies,
    /// Proposes with a clock that is years off.
    LyingClock,
    /// Attests other hashes, in its own name and in that of others.
    ForgedAttestations,
    /// Attests, with good signatures, blocks that do not exist, far ahead.
    AttestsAnything,
    /// Answers requests for blocks with certificates that nobody signed.
    ForgedCertificates,
    /// Answers requests for blocks with right certificates on wrong blocks.
    WrongBlocks,
    /// Answers requests for blocks by naming a height that nobody has reached.
    LiesAboutHeight,
    /// Never answers a request for blocks.
    NeverAnswers,
    /// Forgets what it has said whenever it starts, and starts often.
    Amnesiac,
    /// Connects and disconnects all the time.
    Flapper,
    /// Sends bytes that mean nothing.
    Garbage,
    /// Speaks of heights and rounds that nobody has reached.
    FarFuture,
    /// Asks for bodies and repetitions without end.
    FloodsRequests,
    /// Says anything to anyone.
    Chaos,
    /// Two nodes with one key, each of which talks to some of the others.
    Twins,
    /// Reports every body as valid, unseen, and proposes invalid ones itself.
    FalseValid,
    /// Reports every body as invalid.
    FalseInvalid,
    /// Reports every body as valid to one half and as invalid to the other.
    TwoReports,
    /// Takes part, but never reports on the body of another.
    SilentVerifier,
    /// Names other accounts as the senders of its transactions, and vouches for that.
    WrongSenders,
}

impl Behaviour {
    /// All that have nothing to do with who verifies.
    pub const ALL: [Self; 33] = [
        Self::Silent,
        Self::SilentToSome,
        Self::Late,
        Self::TwoBodies,
        Self::BodyForEach,
        Self::FlippedVotes,
        Self::VotesForBoth,
        Self::SplitVotes,
        Self::DeniesDecisions,
        Self::SelectiveEchoes,
        Self::SelectiveVotes,
        Self::WrongBodies,
        Self::NoBodies,
        Self::ReplaysOldHeights,
        Self::MimicsOthers,
        Self::EmptyProposals,
        Self::ReplaysTransactions,
        Self::InvalidProposals,
        Self::OversizedBodies,
        Self::LyingClock,
        Self::ForgedAttestations,
        Self::AttestsAnything,
        Self::ForgedCertificates,
        Self::WrongBlocks,
        Self::LiesAboutHeight,
        Self::NeverAnswers,
        Self::Amnesiac,
        Self::Flapper,
        Self::Garbage,
        Self::FarFuture,
        Self::FloodsRequests,
        Self::Chaos,
        Self::Twins,
    ];

    /// Those of validators that verify falsely: they come up where verification is sharded (V1 to V5 of
    /// `specs/consensus.md`), beside all others. A list of its own, so that seeds without sharding mean what they did.
    pub const VERIFIERS: [Self; 5] =
        [Self::FalseValid, Self::FalseInvalid, Self::TwoReports, Self::SilentVerifier, Self::WrongSenders];

    /// Whether a real node runs behind it.
    pub(crate) const fn runs_a_node(self) -> bool {
        !matches!(self, Self::Silent | Self::Garbage | Self::FarFuture | Self::FloodsRequests | Self::Chaos)
    }
}

/// A message that a Byzantine validator sends.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) to: ValidatorIndex,
    pub(crate) channel: Channel,
    pub(crate) bytes: Bytes,
    /// How long it holds the message back.
    pub(crate) after: Duration,
}

/// Messages that one of them may add to those of its node, so that a run ends.
const WORDS_MAX: u32 = 2_500;
/// Messages of itself and of others that it remembers.
const MEMORY_MAX: usize = 256;

pub(crate) struct Byzantine {
    pub(crate) behaviour: Behaviour,
    me: ValidatorIndex,
    validators: u16,
    network: NetworkId,
    rules: ProposalRules,
    rng: ChaCha8Rng,
    /// Makes the choices that it sticks to.
    salt: u64,
    /// For twins: which of the two it is.
    twin: u64,
    /// Whether its bodies name the senders.
    names_senders: bool,
    /// Accounts with money, in whose name it would like to pay.
    accounts: Vec<Address>,
    words_left: u32,
    heard: VecDeque<Bytes>,
    said: VecDeque<Bytes>,
    /// The bodies that it proposes in the place of its node's, by height and by whom they are for.
    bodies: BTreeMap<(Height, u16), Bytes>,
    /// The highest height that anybody spoke of within reason.
    height: Height,
}

impl Byzantine {
    pub(crate) fn new(
        behaviour: Behaviour,
        me: ValidatorIndex,
        twin: u64,
        genesis: &Genesis,
        names_senders: bool,
        seed: u64,
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(me.0) << 32));
        // Twins share the salt, so that they agree on who talks to whom.
        let salt = rng.random();
        Self {
            behaviour,
            me,
            validators: u16::try_from(genesis.validator_count()).unwrap_or(u16::MAX),
            network: genesis.network_id(),
            rules: ProposalRules::of(genesis),
            rng,
            salt,
            twin,
            names_senders,
            accounts: genesis.accounts.keys().copied().collect(),
            words_left: WORDS_MAX,
            heard: VecDeque::new(),
            said: VecDeque::new(),
            bodies: BTreeMap::new(),
            height: Height(0),
        }
    }

    pub(crate) fn forgets_its_journal(&self) -> bool {
        self.behaviour == Behaviour::Amnesiac
    }

    /// A number below `bound` that is the same whenever the same is asked.
    fn choice(&self, what: u64, bound: u64) -> u64 {
        let mixed =
            (self.salt ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed >> 33) % bound
    }

    /// Whether `peer` is in the half that is told the one thing and not the other.
    fn is_favoured(&self, peer: ValidatorIndex) -> bool {
        self.choice(u64::from(peer.0), 2) == 0
    }

    fn peers(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        let me = self.me;
        (0..self.validators).map(ValidatorIndex).filter(move |peer| *peer != me)
    }

    fn remember(memory: &mut VecDeque<Bytes>, bytes: &Bytes) {
        if memory.len() >= MEMORY_MAX {
            memory.pop_front();
        }
        memory.push_back(bytes.clone());
    }

    fn now(to: ValidatorIndex, channel: Channel, bytes: Bytes) -> Sent {
        Sent { to, channel, bytes, after: Duration::ZERO }
    }
}
