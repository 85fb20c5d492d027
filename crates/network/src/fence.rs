//! The residency fence (white paper row A12): identifying blocks stay with nodes of the patient's country.

use crate::{metric, roster::Roster};
use bxp_types::{BlockClass, ValidatorIndex};
use cid::Cid;

/// At which end of a block's way the fence looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Sender,
    Receiver,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }
}

/// Whether `holder` may hold a block; a refusal is counted and logged, by ids alone. `with` is the other node.
pub(crate) fn lets_pass(
    roster: &Roster,
    end: End,
    (holder, with): (ValidatorIndex, ValidatorIndex),
    cid: &Cid,
    class: BlockClass,
) -> bool {
    let jurisdiction = roster.country(holder);
    let passes = match jurisdiction {
        Some(jurisdiction) => class.may_be_held_in(jurisdiction),
        None => class == BlockClass::Deidentified,
    };
    if !passes {
        metrics::counter!(metric::FENCE_REFUSALS, "end" => end.name()).increment(1);
        tracing::warn!(
            %cid, ?class, end = end.name(), peer = %with, %holder, ?jurisdiction,
            "refuse to carry a block over the residency fence"
        );
    }
    passes
}
