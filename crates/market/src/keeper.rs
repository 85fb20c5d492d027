//! The content store's gatekeeper: decides by `privacy`, from the vault and the chain, at every read.

use crate::DeliveryService;
use bxp_clinical::facts::ChainFacts;
use bxp_content::{Block, ContentError, Gatekeeper, PeerId, Reader, peer_of};
use bxp_privacy::{Purpose, Request, Scope, decide};
use bxp_types::{BlockClass, Genesis, RecordId, ValidatorIndex};
use bxp_vault::{Clock, Vault, decode_class};
use cid::Cid;
use std::{collections::BTreeMap, error::Error};

/// Knows the records of one node, its peers' ids, and what the chain says.
#[derive(Clone, Debug)]
pub struct ContentKeeper {
    vault: Vault,
    facts: ChainFacts,
    deliveries: DeliveryService,
    /// Validators by their id in the swarm, which is that of their key in genesis.
    validators: BTreeMap<PeerId, ValidatorIndex>,
    clock: Clock,
}

impl ContentKeeper {
    /// The gatekeeper of the node with this vault.
    #[must_use]
    pub fn new(
        vault: Vault,
        facts: ChainFacts,
        deliveries: DeliveryService,
        genesis: &Genesis,
        clock: Clock,
    ) -> Self {
        let peers = (0_u16..).zip(&genesis.validators);
        let validators = peers
            .filter_map(|(index, entry)| Some((peer_of(&entry.public_key.0)?, ValidatorIndex(index))))
            .collect();
        Self { vault, facts, deliveries, validators, clock }
    }

    /// In whose name a reader's right is decided. For research it is the holder, who acts for the buyer as in a delivery;
    /// for oversight and treatment the reader is a validator itself.
    fn requester(&self, reader: &Reader, purpose: Purpose) -> Option<ValidatorIndex> {
        match (reader, purpose) {
            (Reader::Operator, _) | (_, Purpose::Research { .. }) => Some(self.vault.me()),
            (Reader::Peer(peer), _) => self.validators.get(peer).copied(),
            (Reader::Token(_), _) => None,
        }
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> ContentError {
    ContentError::Gatekeeper(Box::new(error))
}

impl Gatekeeper for ContentKeeper {
    fn permits(
        &self,
        reader: &Reader,
        purpose: Purpose,
        record: Option<RecordId>,
    ) -> Result<bool, ContentError> {
        let Some(requester) = self.requester(reader, purpose) else { return Ok(false) };
        let Some(record) = record else {
            let Purpose::Research { request } = purpose else { return Ok(true) };
            // Links tell how many charts there are: nobody's, once the contract has ended.
            let contract = self.facts.contract(request).map_err(failed)?;
            return Ok(contract.is_some_and(|one| one.open && self.clock.now_ms() < one.term_end_ms));
        };
        let Some(entry) = self.vault.entry(record).map_err(failed)? else { return Ok(false) };
        let class = BlockClass::Deidentified;
        let asked = Request { requester, scope: Scope::Record(record), class, purpose };
        let facts = self.facts.of(requester, &entry, purpose).map_err(failed)?;
        match decide(&asked, &facts) {
            Ok(permit) => Ok(permit.opens(record, entry.subject, class, self.clock.now_ms())),
            Err(denial) => {
                tracing::debug!(code = denial.code(), "refuse a block");
                Ok(false)
            }
        }
    }

    fn is_identifying(&self, block: &Block) -> bool {
        matches!(decode_class(block.bytes()), Ok(BlockClass::Identity(_)))
    }

    fn is_anchored(&self, cid: &Cid) -> Result<bool, ContentError> {
        if self.deliveries.is_counted(cid).map_err(failed)? {
            return Ok(true);
        }
        let Some(entry) = self.vault.entry_of_block(cid).map_err(failed)? else { return Ok(false) };
        let placement = self.vault.placement(entry.record_id).map_err(failed)?;
        Ok(placement.is_some_and(|placement| placement.anchor.is_some()))
    }

    fn is_gone(&self, record: RecordId) -> Result<bool, ContentError> {
        Ok(self.vault.entry(record).map_err(failed)?.is_none())
    }

    fn now_s(&self) -> u64 {
        self.clock.now_ms() / 1_000
    }
}
