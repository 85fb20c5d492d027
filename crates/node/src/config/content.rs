//! The table `[content]`: the content store, and the private swarm in which it speaks bitswap.

use bxp_content::Quota;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf};

/// The content store and its swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Where IPFS peers reach this node; without it, the node is in no swarm. Another socket than the validators'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// The swarm key's file, in the format of Kubo's `swarm.key`; `bxp content swarm-key` makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm_key: Option<PathBuf>,
    /// The most bytes of blocks.
    #[serde(default = "default_quota_bytes")]
    pub quota_bytes: u64,
    /// Bytes that stay free on the disk: with less, the content store takes nothing more.
    #[serde(default = "default_disk_free_bytes_min")]
    pub disk_free_bytes_min: u64,
}

impl Default for Content {
    fn default() -> Self {
        let Quota { bytes_max, disk_free_bytes_min } = Quota::default();
        Self { listen: None, swarm_key: None, quota_bytes: bytes_max, disk_free_bytes_min }
    }
}

impl Content {
    /// How much the store may hold.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        Quota { bytes_max: self.quota_bytes, disk_free_bytes_min: self.disk_free_bytes_min }
    }
}

fn default_quota_bytes() -> u64 {
    Quota::default().bytes_max
}

fn default_disk_free_bytes_min() -> u64 {
    Quota::default().disk_free_bytes_min
}
