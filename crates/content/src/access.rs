//! Who may read what: readers, terms, and the gatekeeper that is asked at every read.

use crate::{Block, ContentError};
use bxp_privacy::Purpose;
use bxp_types::RecordId;
use cid::Cid;
use libp2p::PeerId;
use sha2::{Digest as _, Sha256};
use std::str::FromStr;

/// Who reads. A publication names its readers; everyone else gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reader {
    /// This node's own operator, who reads as the holder of the records (45 CFR 164.506(c)(1)).
    Operator,
    /// A peer of the swarm, who has proven the key behind this id.
    Peer(PeerId),
    /// Who shows the gateway a token with this SHA-256. The token itself is nowhere on disk.
    Token([u8; 32]),
}

impl Reader {
    /// The reader who shows `token`.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        Self::Token(Sha256::digest(token.as_bytes()).into())
    }
}

/// What a publication may be read for, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The purpose, which is decided anew at every read.
    pub purpose: Purpose,
    /// Nothing is given out from then on, in seconds since the epoch.
    pub until_s: u64,
}

/// Knows records and the law. The store asks it at every read and every write.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Whether `reader` may now read for `purpose` a block that holds `record`, or no record but only links.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`]; the block is then not given out.
    fn permits(
        &self,
        reader: &Reader,
        purpose: Purpose,
        record: Option<RecordId>,
    ) -> Result<bool, ContentError>;

    /// Whether a block holds identifying data, sealed or not: such a block is neither kept nor given out.
    fn is_identifying(&self, block: &Block) -> bool;

    /// Whether the chain vouches for the block, so that garbage collection keeps it and what it links to.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`]; nothing is then collected.
    fn is_anchored(&self, cid: &Cid) -> Result<bool, ContentError>;

    /// Whether the record was erased.
    ///
    /// # Errors
    /// [`ContentError::Gatekeeper`].
    fn is_gone(&self, record: RecordId) -> Result<bool, ContentError>;

    /// Seconds since the epoch.
    fn now_s(&self) -> u64;
}

/// The names of purposes in rows and in commands.
const RESEARCH: &str = "research";
const OVERSIGHT: &str = "oversight";
const TREATMENT: &str = "treatment";

/// A purpose's name, where content is published for it.
#[must_use]
pub const fn purpose_name(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Research { .. } => Some(RESEARCH),
        Purpose::Oversight => Some(OVERSIGHT),
        Purpose::Treatment => Some(TREATMENT),
        Purpose::Operations | Purpose::PatientAccess => None,
    }
}

/// The purpose called `name`; research names its request.
///
/// # Errors
/// [`ContentError::Draft`].
pub fn purpose_named(name: &str, request: Option<&str>) -> Result<Purpose, ContentError> {
    match (name, request) {
        (RESEARCH, Some(request)) => {
            let request = FromStr::from_str(request);
            let request = request.map_err(|_| ContentError::Draft("request is no address of a contract"))?;
            Ok(Purpose::Research { request })
        }
        (RESEARCH, None) => Err(ContentError::Draft("research names the data request that it is for")),
        (OVERSIGHT, None) => Ok(Purpose::Oversight),
        (TREATMENT, None) => Ok(Purpose::Treatment),
        _ => Err(ContentError::Draft("purpose is research with a request, oversight, or treatment")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_names_and_research_has_a_request() {
        let request = "0x1111111111111111111111111111111111111111";
        let research = purpose_named("research", Some(request)).unwrap();
        assert_eq!(purpose_name(research), Some("research"));
        assert_eq!(purpose_named("oversight", None).unwrap(), Purpose::Oversight);
        for (name, request) in [("research", None), ("research", Some("0x11")), ("oversight", Some(request))]
        {
            assert!(purpose_named(name, request).is_err(), "{name} {request:?}");
        }
        assert!(
            purpose_named("operations", None).is_err(),
            "that is the operator's, who needs no publication"
        );
    }

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let reader = Reader::of_token("secret");
        assert_eq!(reader, Reader::of_token("secret"));
        assert_ne!(reader, Reader::of_token("Secret"));
        assert!(!format!("{reader:?}").contains("secret"));
    }
}
