//! What the engine does for a frame and for a vote: one engine among a hundred, which hears what all others say of some
//! heights, once in frames that hold the votes for all instances and once vote by vote.

use super::super::super::thread_cpu_us;
use anyhow::{Context, Result, ensure};
use bxp_consensus::{
    Config, Effect, Engine, Input, Values, Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use bytes::Bytes;

const VALIDATORS: u16 = 100;
const HEIGHTS: u64 = 4;
/// Frames whose effects are taken together, as under load.
const FRAMES_PER_TURN: usize = 16;

/// Costs in microseconds of CPU time.
pub(super) struct EngineCosts {
    pub(super) frame_us: f64,
    pub(super) vote_us: f64,
}

pub(super) fn measure() -> Result<EngineCosts> {
    let votes = f64::from(VALIDATORS);
    let (whole_us, whole_frames) = heights(usize::from(VALIDATORS))?;
    let (single_us, single_frames) = heights(1)?;
    let frame_us = (single_us - whole_us) / (single_frames - whole_frames);
    let vote_us = (whole_us / whole_frames - frame_us) / votes;
    Ok(EngineCosts { frame_us: frame_us.max(0.0), vote_us: vote_us.max(0.0) })
}

/// CPU time of all heights' votes in frames of so many votes each, and the number of frames.
fn heights(votes_of_frame: usize) -> Result<(f64, f64)> {
    let config = Config::new(ValidatorIndex(0), VALIDATORS.into(), NetworkId([7; 32]));
    let mut engine = Engine::new(config).context("start consensus")?;
    let (mut cpu_us, mut frames) = (0, 0);
    for height in (1..=HEIGHTS).map(Height) {
        begin(&mut engine, height);
        let said = frames_of(height, votes_of_frame);
        let before = thread_cpu_us()?;
        let mut decided = false;
        for turn in said.chunks(FRAMES_PER_TURN) {
            for (from, message) in turn {
                engine.take_in(Input::Received { from: *from, message: message.clone() });
            }
            decided |= engine.effects().iter().any(|effect| matches!(effect, Effect::Decided(_)));
        }
        cpu_us += thread_cpu_us()? - before;
        frames += said.len();
        ensure!(decided, "votes of all validators decide nothing");
        engine.take_in(Input::Settled(height));
    }
    Ok((cpu_us as f64, frames as f64))
}

fn body_of(proposer: ValidatorIndex) -> Bytes {
    Bytes::copy_from_slice(&proposer.0.to_be_bytes())
}

fn others() -> impl Iterator<Item = ValidatorIndex> {
    (1..VALIDATORS).map(ValidatorIndex)
}

/// All bodies are there and valid; nobody has voted.
fn begin(engine: &mut Engine, height: Height) {
    engine.take_in(Input::Start { height, proposal: body_of(ValidatorIndex(0)) });
    for from in others() {
        let message = Envelope { height, message: Message::Init { body: body_of(from) } }.encode();
        engine.take_in(Input::Received { from, message });
    }
    let mut effects = engine.effects();
    while !effects.is_empty() {
        for effect in effects {
            if let Effect::Validate { height, proposer, digest, .. } = effect {
                engine.take_in(Input::Validated { height, proposer, digest, valid: true });
            }
        }
        effects = engine.effects();
    }
}

/// What all others say of a height, step by step.
fn frames_of(height: Height, votes_of_frame: usize) -> Vec<(ValidatorIndex, Bytes)> {
    let steps: [fn(ValidatorIndex) -> Vote; 4] = [
        |instance| Vote::Echo(Digest::of(&body_of(instance))),
        |instance| Vote::Ready(Digest::of(&body_of(instance))),
        |_| Vote::Auxiliary { round: 1, values: Values::only(true) },
        |_| Vote::Decided(true),
    ];
    let instances: Vec<ValidatorIndex> = (0..VALIDATORS).map(ValidatorIndex).collect();
    let mut frames = Vec::new();
    for step in steps {
        for from in others() {
            for part in instances.chunks(votes_of_frame) {
                let mut votes = Votes::new(VALIDATORS);
                for instance in part {
                    votes.insert(*instance, step(*instance));
                }
                let message = Envelope { height, message: Message::Votes(votes) }.encode();
                frames.push((from, message));
            }
        }
    }
    frames
}
