//! Decoders of bytes that come from outside as fuzz targets: peers, clients, files, the disk.
//!
//! A target takes any bytes and panics where a rule is broken: that decoding ends, that what decodes encodes to the same
//! again, that a split record joins to the original. The tests of this crate run each target with its seeds, with changed
//! seeds and with every input that once broke it; `make fuzz` runs it under libFuzzer, guided by what code it reaches.

pub mod mutate;
mod targets;

use std::{fs, io, path::Path};

/// One decoder, or several that belong together.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Takes any bytes; panics where a rule is broken.
    pub run: fn(&[u8]),
    /// Real encodings to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The longest input worth trying, in bytes.
    pub bytes_max: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "consensus_message",
        run: targets::consensus::message,
        seeds: targets::consensus::messages,
        bytes_max: 4_096,
    },
    Target {
        name: "consensus_conversation",
        run: targets::consensus::conversation,
        seeds: targets::consensus::conversations,
        bytes_max: 4_096,
    },
    Target {
        name: "consensus_log",
        run: targets::consensus::log,
        seeds: targets::consensus::logs,
        bytes_max: 4_096,
    },
    Target {
        name: "proposal",
        run: targets::chain::proposal,
        seeds: targets::chain::proposals,
        bytes_max: 8_192,
    },
    Target {
        name: "transaction",
        run: targets::chain::transaction,
        seeds: targets::chain::transactions,
        bytes_max: 4_096,
    },
    Target { name: "block", run: targets::chain::block, seeds: targets::chain::blocks, bytes_max: 8_192 },
    Target {
        name: "sync",
        run: targets::chain::sync,
        seeds: targets::chain::questions_and_answers,
        bytes_max: 8_192,
    },
    Target { name: "logs", run: targets::logs::logs, seeds: targets::logs::encoded, bytes_max: 4_096 },
    Target { name: "chain_rows", run: targets::logs::rows, seeds: targets::logs::first_rows, bytes_max: 64 },
    Target {
        name: "network",
        run: targets::network::portion,
        seeds: targets::network::portions,
        bytes_max: 2_048,
    },
    Target {
        name: "journal",
        run: targets::storage::journal,
        seeds: targets::storage::files,
        bytes_max: 2_048,
    },
    Target {
        name: "segment",
        run: targets::segments::segment,
        seeds: targets::segments::files,
        bytes_max: 4_096,
    },
    Target { name: "vault", run: targets::vault::records, seeds: targets::vault::seeds, bytes_max: 2_048 },
    Target { name: "sealed", run: targets::vault::sealed, seeds: targets::vault::sealings, bytes_max: 1_024 },
    Target {
        name: "manifest",
        run: targets::vault_disk::manifest,
        seeds: targets::vault_disk::manifests,
        bytes_max: 4_096,
    },
    Target {
        name: "vault_rows",
        run: targets::vault_disk::rows,
        seeds: targets::vault_disk::written,
        bytes_max: 1_024,
    },
    Target {
        name: "padding",
        run: targets::vault_disk::padding,
        seeds: targets::vault_disk::packed,
        bytes_max: 2_048,
    },
    Target {
        name: "keeping",
        run: targets::keeping::answers,
        seeds: targets::keeping::said,
        bytes_max: 1_024,
    },
    Target {
        name: "erasure",
        run: targets::keeping::erasures,
        seeds: targets::keeping::erased,
        bytes_max: 1_024,
    },
    Target {
        name: "delivery",
        run: targets::delivery::delivery,
        seeds: targets::delivery::deliveries,
        bytes_max: 1_024,
    },
    Target { name: "fhir_json", run: targets::fhir::json, seeds: targets::fhir::bundles, bytes_max: 16_384 },
    Target {
        name: "fhir_ndjson",
        run: targets::fhir::ndjson,
        seeds: targets::fhir::lines,
        bytes_max: 16_384,
    },
    Target { name: "split", run: targets::fhir::split, seeds: targets::fhir::resources, bytes_max: 8_192 },
    Target {
        name: "remainder",
        run: targets::fhir::remainder,
        seeds: targets::fhir::remainders,
        bytes_max: 4_096,
    },
    Target { name: "search", run: targets::fhir::search, seeds: targets::fhir::searches, bytes_max: 512 },
    Target {
        name: "criterion",
        run: targets::fhir::criterion,
        seeds: targets::fhir::criteria,
        bytes_max: 2_048,
    },
    Target { name: "hl7v2", run: targets::hl7v2::message, seeds: targets::hl7v2::messages, bytes_max: 4_096 },
    Target { name: "ccda", run: targets::ccda::document, seeds: targets::ccda::documents, bytes_max: 32_768 },
    Target { name: "mllp", run: targets::hl7v2::frames, seeds: targets::hl7v2::streams, bytes_max: 1_024 },
    Target {
        name: "bitswap",
        run: targets::content::message,
        seeds: targets::content::messages,
        bytes_max: 4_096,
    },
    Target { name: "car", run: targets::content::car, seeds: targets::content::cars, bytes_max: 4_096 },
    Target {
        name: "dag_cbor",
        run: targets::content::dag_cbor,
        seeds: targets::content::values,
        bytes_max: 2_048,
    },
    Target {
        name: "dag_pb",
        run: targets::content::dag_pb,
        seeds: targets::content::nodes,
        bytes_max: 2_048,
    },
    Target { name: "shard", run: targets::gateway::shards, seeds: targets::gateway::ways, bytes_max: 1_024 },
    Target {
        name: "gateway",
        run: targets::gateway::request,
        seeds: targets::gateway::requests,
        bytes_max: 512,
    },
    Target {
        name: "content_rows",
        run: targets::content_disk::rows,
        seeds: targets::content_disk::sealed_rows,
        bytes_max: 512,
    },
    Target {
        name: "swarm_key",
        run: targets::content_disk::swarm_key,
        seeds: targets::content_disk::swarm_keys,
        bytes_max: 256,
    },
    Target {
        name: "genesis",
        run: targets::ethereum::genesis,
        seeds: targets::ethereum::files,
        bytes_max: 8_192,
    },
    Target {
        name: "proof",
        run: targets::ethereum::proof,
        seeds: targets::ethereum::proofs,
        bytes_max: 2_048,
    },
    Target {
        name: "payments",
        run: targets::ethereum::payments,
        seeds: targets::ethereum::calls,
        bytes_max: 1_024,
    },
    Target {
        name: "chain_file",
        run: targets::ethereum::chain_file,
        seeds: targets::ethereum::chain_files,
        bytes_max: 8_192,
    },
    Target { name: "rpc", run: targets::rpc::request, seeds: targets::rpc::requests, bytes_max: 4_096 },
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The inputs that once broke a target: `found/TARGET/*.hex` of this crate, hexadecimal.
///
/// # Errors
/// What the operating system says; a file that is not hexadecimal is invalid data.
pub fn found(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(name);
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let read = |file: io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(file?.path())?;
        alloy_primitives::hex::decode(text.trim())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    files.map(read).collect()
}
