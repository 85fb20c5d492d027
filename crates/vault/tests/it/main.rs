//! The vault as its callers meet it: a store on disk, an enclave, permits from `privacy`.

mod batches;
mod canary;
mod crash;
mod disclosures;
mod erasure;
mod keeping;
mod node;
mod opening;
mod replication;
mod scrubbing;
