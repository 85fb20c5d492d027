//! The table `[segments]`: when old blocks leave the database for immutable compressed files (ADR 76).

use bxp_chain::SegmentRules;
use serde::{Deserialize, Serialize};

/// When old blocks become segments.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Segments {
    /// Blocks of one file; with 0 all stay in the database.
    pub blocks: u64,
    /// Blocks below the newest certified one that stay in the database at least.
    pub behind: u64,
}

impl Default for Segments {
    fn default() -> Self {
        let SegmentRules { blocks, behind } = SegmentRules::default();
        Self { blocks, behind }
    }
}

impl Segments {
    /// What the chain holds to.
    #[must_use]
    pub fn rules(self) -> Option<SegmentRules> {
        (self.blocks > 0).then_some(SegmentRules { blocks: self.blocks, behind: self.behind })
    }
}
