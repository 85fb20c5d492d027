//! Coming back from the log (lines W1-W4): what was said is said, and never its contrary.

use bxp_types::{Height, ValidatorIndex};
use bytes::Bytes;

use crate::broadcast::Broadcast;
use crate::config::Settings;
use crate::engine::Engine;
use crate::error::ConsensusError;
use crate::height::{HeightState, index};
use crate::mutant::Mutant;
use crate::record;
use crate::votes::Votes;
use crate::wire::{Envelope, Message, SECTIONS_MAX};

impl Engine {
    /// Rebuilds the heights of the log that are not settled, after [`crate::Input::Settled`] and before anything else
    /// is handed in. Records of settled heights may be there or not. What follows from the log (timers, votes that
    /// were due, superblocks decided before) comes with the effects of the first call of [`Engine::handle`].
    ///
    /// # Errors
    /// If a record is damaged, or was written by another validator or for another network. The engine must not be
    /// used then: it might contradict what it does not remember.
    pub fn recover(&mut self, records: impl IntoIterator<Item = Bytes>) -> Result<(), ConsensusError> {
        for (position, record) in records.into_iter().enumerate() {
            let Envelope { height, message } = record::decode(&self.settings, position, &record)?;
            if height <= self.settled {
                continue;
            }
            let settings = &self.settings;
            let state = self.heights.entry(height).or_insert_with(|| HeightState::new(height, settings));
            match message {
                Message::Init { body } => state.restore_own(body, settings), // W2
                Message::Body { proposer, body } => state.restore_body(proposer, body),
                Message::Votes(votes) => state.restore_votes(&votes, settings), // W3
                Message::Fetch { .. } | Message::Pull { .. } => {}
            }
        }
        self.resume_recovered();
        Ok(())
    }

    /// The records that [`Engine::recover`] needs for all heights not settled: write them to a fresh log, sync it,
    /// and the old one may go.
    #[must_use]
    pub fn records(&self) -> Vec<Bytes> {
        let encode =
            |height: Height, message| record::encode(&self.settings, &Envelope { height, message }).0;
        let messages = self.heights.iter().flat_map(|(height, state)| {
            state.log(&self.settings).into_iter().map(move |message| encode(*height, message))
        });
        messages.collect()
    }
}

impl Engine {
    /// How many heights are open, begun or only listened to.
    #[must_use]
    pub fn open_heights(&self) -> usize {
        self.heights.len()
    }

    /// Bytes of the bodies that open heights hold.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.heights.values().flat_map(|state| &state.broadcasts).map(Broadcast::body_bytes).sum()
    }
}

impl HeightState {
    /// The own proposal: the height had been started.
    fn restore_own(&mut self, body: Bytes, settings: &Settings) {
        self.started = true;
        self.restore_body(settings.me(), body);
    }

    /// A body that was about to be echoed.
    fn restore_body(&mut self, proposer: ValidatorIndex, body: Bytes) {
        if let Some(broadcast) = self.broadcasts.get_mut(index(proposer)) {
            broadcast.vouch(body);
        }
    }

    /// Own votes count as said, and count for oneself.
    fn restore_votes(&mut self, votes: &Votes, settings: &Settings) {
        if settings.mutated(Mutant::VotesForgotten) {
            return;
        }
        self.voice.said.merge(votes);
        for (instance, vote) in votes.iter() {
            self.count(settings.me(), instance, vote, settings);
        }
    }

    /// What [`Engine::recover`] needs to bring this height back.
    fn log(&self, settings: &Settings) -> Vec<Message> {
        if !self.started {
            return Vec::new();
        }
        let mut messages = Vec::new();
        for (proposer, broadcast) in settings.all().zip(&self.broadcasts) {
            let Some((_, body)) = broadcast.vouched() else { continue };
            let body = body.clone();
            messages.push(if proposer == settings.me() {
                Message::Init { body }
            } else {
                Message::Body { proposer, body }
            });
        }
        messages.extend(self.voice.said.split(SECTIONS_MAX).into_iter().map(Message::Votes));
        messages
    }
}
