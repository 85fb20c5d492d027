//! Replication: every record reaches all other nodes, identity sides only those of the country that placement names.
//!
//! Hand-overs wait in a table until the receiver has acknowledged that it stored them; they survive restarts, and are
//! small enough to be one portion of the network each.

use crate::{
    ClinicalError,
    ingest::Ingest,
    turns::{Rests, serve_others, take_turns},
};
use bxp_network::Network;
use bxp_privacy::{Facts, Permit, Purpose, Request, Scope, decide};
use bxp_storage::{Durability, Store};
use bxp_types::{BlockClass, RecordId, SealedBlock, ValidatorIndex};
use bxp_vault::{Accepted, Clock, Recipient, Replica, Vault};
use std::{future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

/// Nodes come and go: in quiet, it is looked that often whether one that was away is back.
const RESTS: Rests = Rests {
    quiet: Duration::from_secs(2),
    failed: Duration::from_millis(400),
    failed_max: Duration::from_secs(2),
};

/// Block bytes of one hand-over, below what the network carries in one portion.
const HANDOVER_BYTES_MAX: usize = 7 << 20;

/// Carries sealed blocks to another node and returns when they are stored there.
pub trait Carrier: Clone + Send + Sync + 'static {
    /// Whether the node can be reached now; while it cannot, nothing is prepared for it.
    fn reaches(&self, to: ValidatorIndex) -> bool;

    /// Hands over `replica`. An error says why not, in words without identifying data.
    fn carry(&self, to: ValidatorIndex, replica: Replica) -> impl Future<Output = Result<(), String>> + Send;
}

impl Carrier for Network {
    fn reaches(&self, to: ValidatorIndex) -> bool {
        self.connected().contains(&to)
    }

    async fn carry(&self, to: ValidatorIndex, replica: Replica) -> Result<(), String> {
        let manifest = bytes::Bytes::from(replica.manifest);
        self.send_blocks(to, manifest, replica.blocks).await.map_err(|error| error.to_string())
    }
}

/// Hands records over to the other nodes.
#[derive(Clone, Debug)]
pub struct Replication<C> {
    ingest: Ingest,
    carrier: C,
}

impl<C: Carrier> Replication<C> {
    /// Hands over what `ingest` writes.
    pub const fn new(ingest: Ingest, carrier: C) -> Self {
        Self { ingest, carrier }
    }

    /// Works until `stop`, for all nodes at once. A node that is away gets everything when it is back.
    pub async fn run(self, stop: CancellationToken) {
        serve_others(&self.ingest, |peer| self.clone().serve(peer, stop.clone())).await;
    }

    async fn serve(self, to: ValidatorIndex, stop: CancellationToken) {
        let turn = async || {
            let handed = self.hand_over_all(to).await;
            handed
                .inspect_err(|error| tracing::debug!(%to, ?error, "hand records over; trying again"))
                .is_ok()
        };
        take_turns(&self.ingest, &stop, RESTS, turn).await;
    }

    /// Hands over everything that waits for `to`, oldest first. To a node that the directory does not name, nothing.
    async fn hand_over_all(&self, to: ValidatorIndex) -> Result<(), ClinicalError> {
        while self.carrier.reaches(to) {
            let Some((number, records)) = self.ingest.0.tables.next_outgoing(to)? else { break };
            let Some(recipient) = self.ingest.0.vault.directory().recipient(to) else { break };
            self.hand_over(&recipient, &records).await?;
            let mut batch = self.ingest.0.store.batch();
            self.ingest.0.tables.remove_outgoing(&mut batch, to, number);
            // Losing this mark costs a second hand-over, which changes nothing at the receiver.
            batch.commit(Durability::Buffered)?;
            metrics::counter!("clinical_records_replicated").increment(records.len() as u64);
        }
        Ok(())
    }

    async fn hand_over(&self, to: &Recipient, records: &[RecordId]) -> Result<(), ClinicalError> {
        let vault = &self.ingest.0.vault;
        let mut rest = vec![records.to_vec()];
        while let Some(mut records) = rest.pop() {
            // Records that were erased in the meantime are gone.
            let mut here = Vec::with_capacity(records.len());
            for record in records.drain(..) {
                here.extend(vault.entry(record)?.map(|entry| entry.record_id));
            }
            let (whole, others) = vault.split_by_placement(&here, to)?;
            if !whole.is_empty() && !others.is_empty() {
                rest.extend([others, whole]);
                continue;
            }
            if here.is_empty() {
                continue;
            }
            let permit = own_records_permit(vault, to, &self.ingest.0.clock)?;
            let replica = vault.replicate(&here, to, &permit)?;
            let bytes: usize = replica.blocks.iter().map(|block| block.bytes.len()).sum();
            if bytes > HANDOVER_BYTES_MAX && here.len() > 1 {
                let second = here.split_off(here.len() / 2);
                rest.extend([second, here]);
                continue;
            }
            let carried = self.carrier.carry(to.validator, replica).await;
            carried.map_err(|reason| ClinicalError::NotStored { peer: to.validator, reason })?;
        }
        Ok(())
    }
}

/// The holder's own leave to hand its records over; to a node of the country with the identity side.
fn own_records_permit(vault: &Vault, to: &Recipient, clock: &Clock) -> Result<Permit, ClinicalError> {
    let home = vault.home();
    let class = if to.jurisdiction == home { BlockClass::Identity(home) } else { BlockClass::Deidentified };
    holder_permit(vault, clock, class)
}

/// The holder's leave to open all of its own records for its own operations (45 CFR 164.506(c)(1)).
///
/// # Errors
/// [`ClinicalError::Denied`] never for the own country's class or the de-identified one.
pub fn holder_permit(vault: &Vault, clock: &Clock, class: BlockClass) -> Result<Permit, ClinicalError> {
    let request =
        Request { requester: vault.me(), scope: Scope::OwnRecords, class, purpose: Purpose::Operations };
    let facts = Facts {
        now_ms: clock.now_ms(),
        member: true,
        holder: true,
        regulator: false,
        requester_jurisdiction: vault.home(),
        residency: None,
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    Ok(decide(&request, &facts)?)
}

/// Takes in what node `from` handed over: checked, and on disk when this returns.
///
/// # Errors
/// [`ClinicalError::Vault`] says what was wrong; then nothing was stored.
pub fn accept_replica(
    vault: &Vault,
    store: &Store,
    from: ValidatorIndex,
    manifest: &[u8],
    blocks: &[SealedBlock],
) -> Result<Accepted, ClinicalError> {
    let sealing = vault.sealing();
    let mut batch = store.batch();
    let accepted = vault.stage_replica(&mut batch, from, manifest, blocks, &sealing)?;
    batch.commit(Durability::Synced)?;
    metrics::counter!("clinical_replicas_accepted").increment(accepted.records as u64);
    Ok(accepted)
}
