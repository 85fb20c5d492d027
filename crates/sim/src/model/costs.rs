//! What work costs on one core of an AMD server processor in dev profile. Each cost says whether it was measured
//! (`docs/benchmarks.md` has the runs), derived from such runs, or assumed.

use serde::Serialize;

/// Costs in CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Recovering a sender from its signature: `recovery_cpu_us` of `bxp bench transfers`.
    pub recovery_us: f64,
    /// What one thread does to run a transfer, while the block below is hashed: plain transfers run one after the other.
    /// `transactions_cpu_us` of `bxp bench execute`.
    ///
    /// This and the next four are from one run of it: a million accounts, blocks of 28,000, `transfers` of the JSON in
    /// docs/benchmarks.md, "Rows made ready".
    pub running_us: f64,
    /// What all cores can share of hashing its part of a block and of making its rows ready: what [`Self::hashing_serial_us`]
    /// leaves of `roots_cpu_us` and `rows_cpu_us`.
    pub hashing_shared_us: f64,
    /// What one thread alone does of it, block after block. Derived: of work w on two threads that takes the real time r, 2 r - w
    /// is serial if no thread is idle otherwise, so it is too much rather than too little.
    pub hashing_serial_us: f64,
    /// What one thread does to write it, while the next blocks are made: `writing_cpu_us`.
    pub writing_us: f64,
    /// What the database's own thread does of it behind that, by one block at most: `background_cpu_us`.
    pub settling_us: f64,
    /// Bytes that it adds to the database's journal beside its own: accounts, nodes of the trie, and what they were before. Of a
    /// million accounts and blocks of 28,000: rows of some 34 MB and as many bytes of history.
    pub written_bytes: f64,
    /// Bytes that the database's own thread writes of it: all that the process of that run wrote, 6.1 kB a transaction, less those.
    pub settled_bytes: f64,
    /// Both ends of an encrypted connection: `transport_cpu_s_per_gb` of `bxp bench consensus`.
    pub transport_s_per_gb: f64,
    /// SHA-256 over a body: `sha256_cpu_s_per_gb` of `bxp bench consensus`.
    pub sha256_s_per_gb: f64,
    /// Appending to the write-ahead log: `log_cpu_s_per_gb` of `bxp bench consensus`.
    pub log_s_per_gb: f64,
    /// Sending one frame to one peer, and receiving one, beside its bytes: half of `frame_cpu_us` of `bxp bench consensus`.
    pub frame_send_us: f64,
    /// See [`Self::frame_send_us`].
    pub frame_receive_us: f64,
    /// What consensus does for a frame, beside its votes: `frame_engine_cpu_us` of `bxp bench consensus`.
    pub frame_driver_us: f64,
    /// Decoding and counting one vote: `vote_cpu_us` of `bxp bench consensus`. At n = 100 and more it counts.
    pub vote_us: f64,
    /// A node's taking in of one opaque transaction from its client, and answering it. From `bxp bench consensus` at
    /// saturation: about what transport, hashes, logs and frames of a transaction leave of the nodes' CPU time, which
    /// was 1.0 to 1.8 us. So the model's CPU time at n = 4 on one machine is not independent of the real one. A signed one
    /// takes JSON-RPC and a row in the database of the pool as well, which is not in it.
    pub intake_us: f64,
    /// The client's own side of one transaction, which counts where it shares the machine: `client_cpu_us_per_tx`.
    pub client_us: f64,
    /// What one flush of the log takes: `flush_ms` of `bxp bench consensus`.
    pub sync_ms: f64,
    /// What the disk takes in: `disk_gb_per_s` of `bxp bench consensus`.
    pub disk_gb_per_s: f64,
}

impl Costs {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> [f64; 19] {
        let Self {
            recovery_us,
            running_us,
            hashing_shared_us,
            hashing_serial_us,
            writing_us,
            settling_us,
            written_bytes,
            settled_bytes,
            transport_s_per_gb,
            sha256_s_per_gb,
            log_s_per_gb,
            frame_send_us,
            frame_receive_us,
            frame_driver_us,
            vote_us,
            intake_us,
            client_us,
            sync_ms,
            disk_gb_per_s,
        } = *self;
        [
            recovery_us,
            running_us,
            hashing_shared_us,
            hashing_serial_us,
            writing_us,
            settling_us,
            written_bytes,
            settled_bytes,
            transport_s_per_gb,
            sha256_s_per_gb,
            log_s_per_gb,
            frame_send_us,
            frame_receive_us,
            frame_driver_us,
            vote_us,
            intake_us,
            client_us,
            sync_ms,
            disk_gb_per_s,
        ]
    }
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            recovery_us: 32.2,
            running_us: 2.1,
            hashing_shared_us: 13.5,
            hashing_serial_us: 2.0,
            writing_us: 6.1,
            settling_us: 4.6,
            written_bytes: 2_360.0,
            settled_bytes: 3_740.0,
            transport_s_per_gb: 1.6,
            sha256_s_per_gb: 0.5,
            log_s_per_gb: 0.37,
            frame_send_us: 4.9,
            frame_receive_us: 4.9,
            frame_driver_us: 0.2,
            vote_us: 0.05,
            intake_us: 1.5,
            client_us: 0.18,
            sync_ms: 0.15,
            disk_gb_per_s: 1.2,
        }
    }
}
