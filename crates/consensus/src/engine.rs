//! The engine: routes inputs to heights, and decides which heights to listen to (lines H1-H6).

use std::collections::BTreeMap;

use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::config::{Config, Settings};
use crate::error::ConsensusError;
use crate::gather::Gathering;
use crate::height::{HeightState, index};
use crate::interface::{Effect, Input, Timer};
use crate::turn::{Desk, Outbox};
use crate::wire::{Envelope, Message};

/// Consensus of one validator over all heights that are not settled.
#[derive(Debug)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) heights: BTreeMap<Height, HeightState>,
    pub(crate) settled: Height,
    /// The highest height that was started or settled.
    top: Height,
    peers: Vec<Peer>,
    /// The last height reported by [`Effect::Behind`].
    behind: Height,
    pub(crate) outbox: Outbox,
    pub(crate) gathering: Gathering,
}

/// What is remembered of a peer across heights.
#[derive(Clone, Copy, Debug, Default)]
struct Peer {
    /// The highest height it spoke of.
    reached: Height,
    /// The lowest and highest height of which a message of it was dropped for being too far ahead.
    dropped: Option<(Height, Height)>,
}

impl Engine {
    /// An engine that knows of nothing. After a restart [`Engine::recover`] comes next, and [`Input::Settled`] with
    /// the height of the last final block after that.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn new(config: Config) -> Result<Self, ConsensusError> {
        let settings = Settings::new(config)?;
        let peers = vec![Peer::default(); settings.validators.into()];
        Ok(Self {
            settings,
            heights: BTreeMap::new(),
            settled: Height(0),
            top: Height(0),
            peers,
            behind: Height(0),
            outbox: Outbox::default(),
            gathering: Gathering::default(),
        })
    }

    /// Takes one input in and returns what is to be done, in order. Never panics, whatever a peer sends.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.take_in(input);
        self.effects()
    }

    /// Takes one input in, and keeps what is to be done for [`Engine::effects`]. Under load the votes that many inputs
    /// call for so share one record and one frame.
    pub fn take_in(&mut self, input: Input) {
        match input {
            Input::Start { height, proposal } => self.start(height, proposal),
            Input::Received { from, message } => self.received(from, &message),
            Input::Validated { height, proposer, digest, valid } => {
                self.outbox.check_ends();
                self.at(height, |state, desk| state.validated(proposer, digest, valid, desk));
            }
            Input::TimerFired(timer) => self.timer_fired(timer),
            Input::PeerConnected(peer) => self.peer_connected(peer),
            Input::Settled(height) => self.settle(height),
        }
    }

    /// What is to be done after all inputs taken in since the last call, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        self.flush_votes();
        self.outbox.take()
    }

    /// H1: takes part in a height.
    fn start(&mut self, height: Height, proposal: Bytes) {
        if height <= self.settled || self.heights.get(&height).is_some_and(|state| state.started) {
            return;
        }
        if proposal.len() > self.settings.config.body_bytes_max {
            return self.outbox.push(Effect::ProposalTooLarge { height });
        }
        self.top = self.top.max(height);
        self.heights.entry(height).or_insert_with(|| HeightState::new(height, &self.settings));
        let missed: Vec<ValidatorIndex> = self
            .settings
            .all()
            .zip(&self.peers)
            .filter(|(_, peer)| peer.missed(height))
            .map(|(v, _)| v)
            .collect();
        self.at(height, |state, desk| {
            state.start(proposal, desk);
            missed.into_iter().for_each(|peer| state.pull(Some(peer), desk)); // H3
        });
    }

    fn received(&mut self, from: ValidatorIndex, bytes: &Bytes) {
        if from == self.settings.me() || from.0 >= self.settings.validators {
            return;
        }
        let Ok(envelope) =
            Envelope::decode(bytes, self.settings.validators, self.settings.config.body_bytes_max)
        else {
            return self.outbox.push(Effect::Misbehaved { peer: from });
        };
        let Envelope { height, message } = envelope;
        self.note_height(from, height);
        let listens = matches!(message, Message::Init { .. } | Message::Votes(_));
        if height <= self.settled || (listens && !self.listen(from, height)) {
            return;
        }
        self.at(height, |state, desk| match message {
            Message::Init { body } => state.receive_init(from, body, desk),
            Message::Votes(votes) => state.receive_votes(from, &votes, desk),
            Message::Fetch { proposer, digest } => state.serve(from, proposer, digest, desk),
            Message::Body { proposer, body } => state.receive_body(from, proposer, body, desk),
            Message::Pull { held } => state.answer_pull(from, &held, desk),
        });
    }

    /// H2, H3: makes room for a height that others work on, if it is near enough.
    fn listen(&mut self, from: ValidatorIndex, height: Height) -> bool {
        if self.heights.contains_key(&height) {
            return true;
        }
        if height.0 > self.window_end() {
            if let Some(peer) = self.peers.get_mut(index(from)) {
                let (low, high) = peer.dropped.unwrap_or((height, height));
                peer.dropped = Some((low.min(height), high.max(height)));
            }
            return false;
        }
        self.heights.insert(height, HeightState::new(height, &self.settings));
        self.outbox.push(Effect::Wanted { height });
        true
    }

    /// H3: reports once for every new height that t+1 peers have reached beyond the window.
    fn note_height(&mut self, from: ValidatorIndex, height: Height) {
        if let Some(peer) = self.peers.get_mut(index(from)) {
            peer.reached = peer.reached.max(height);
        }
        if height.0 > self.window_end() && height > self.behind {
            let reached = self.reached_by_one_correct();
            if reached.0 > self.window_end() && reached > self.behind {
                self.behind = reached;
                self.outbox.push(Effect::Behind { height: reached });
            }
        }
    }

    fn timer_fired(&mut self, timer: Timer) {
        match timer {
            Timer::Grace { height } => self.at(height, HeightState::grace_fired),
            Timer::Round { height, instance, round, step } => {
                self.at(height, |state, desk| state.round_fired(instance, round, step, desk));
            }
            Timer::Fetch { height, proposer } => {
                self.at(height, |state, desk| state.fetch_fired(proposer, desk));
            }
            Timer::Verify { height, proposer } => {
                self.at(height, |state, desk| state.verify_fired(proposer, desk));
            }
            Timer::Tick { height } => self.tick(height),
            Timer::Gather => self.gathering = Gathering::Over,
        }
    }

    /// H5: a height that stays undecided while others are past it may never be repeated by them.
    fn tick(&mut self, height: Height) {
        let Some(state) = self.heights.get(&height) else { return };
        let reached = self.reached_by_one_correct();
        if !state.concluded && reached > height {
            self.outbox.push(Effect::Behind { height: reached });
        }
        self.at(height, HeightState::tick);
    }

    /// H4: whatever was under way to this peer may be lost.
    fn peer_connected(&mut self, peer: ValidatorIndex) {
        if peer == self.settings.me() || peer.0 >= self.settings.validators {
            return;
        }
        let mut desk = Desk { settings: &self.settings, outbox: &mut self.outbox };
        for state in self.heights.values_mut() {
            state.repeat(peer, true, &mut desk);
        }
    }

    fn settle(&mut self, height: Height) {
        if height > self.settled {
            self.settled = height;
            self.top = self.top.max(height);
            self.heights = self.heights.split_off(&height.next());
            self.outbox.settle(height);
        }
    }

    /// Other validators' bodies of a height that are decided to stay out and were found valid, here or by t+1 others. Their
    /// proposers will propose again what is in them. None once the height is settled.
    pub fn left_out(&self, height: Height) -> impl Iterator<Item = (Digest, &Bytes)> {
        self.heights.get(&height).into_iter().flat_map(|state| state.left_out(self.settings.me()))
    }

    /// W4: recovered heights go on where they were.
    pub(crate) fn resume_recovered(&mut self) {
        let mut desk = Desk { settings: &self.settings, outbox: &mut self.outbox };
        for (height, state) in self.heights.iter_mut().filter(|(_, state)| state.started) {
            self.top = self.top.max(*height);
            state.resume(&mut desk);
        }
    }

    /// Works on one height, if it is open.
    fn at(&mut self, height: Height, work: impl FnOnce(&mut HeightState, &mut Desk<'_>)) {
        if let Some(state) = self.heights.get_mut(&height) {
            work(state, &mut Desk { settings: &self.settings, outbox: &mut self.outbox });
        }
    }

    /// The highest height that is listened to.
    fn window_end(&self) -> u64 {
        self.top.0.saturating_add(self.settings.config.heights_ahead)
    }

    /// The highest height that t+1 peers have reached, so one correct one at least.
    #[must_use]
    pub fn reached_by_one_correct(&self) -> Height {
        let mut reached: Vec<Height> = self.peers.iter().map(|peer| peer.reached).collect();
        reached.sort_unstable_by(|left, right| right.cmp(left));
        reached.get(self.settings.faults()).copied().unwrap_or_default()
    }
}

impl Peer {
    fn missed(&self, height: Height) -> bool {
        self.dropped.is_some_and(|(low, high)| (low..=high).contains(&height))
    }
}
