//! The table `[release]`: how de-identified charts leave for buyers.

use bxp_market::{ReleasePolicy, ReleaseProfile};
use serde::{Deserialize, Serialize};

/// How charts are released.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `safe-harbor`, or `expert-determination` where an expert has determined the risk (45 CFR 164.514(b)(1)).
    #[serde(default)]
    pub profile: ReleaseProfile,
    /// A chart leaves only if so many of this node's patients, with its own, have the same quasi-identifiers; by default
    /// 1 under Safe Harbor and 11 under an expert determination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k_min: Option<usize>,
}

impl Release {
    /// What the market holds to.
    #[must_use]
    pub fn policy(&self) -> ReleasePolicy {
        ReleasePolicy {
            profile: self.profile,
            k_min: self.k_min.unwrap_or_else(|| self.profile.k_min_default()),
        }
    }
}
