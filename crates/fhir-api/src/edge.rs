//! What the composition root hands to the server.

use async_trait::async_trait;
use bxp_clinical::{
    ClinicalError, facts::ChainFacts, inbox::Inbox, ingest::Ingest, release::fetch_key,
    sender::TransactionSender,
};
use bxp_content::bitswap::Bitswap;
use bxp_enclave::Enclave;
use bxp_market::{DeliveryService, Publisher, RequestReader};
use bxp_network::Network;
use bxp_privacy::Purpose;
use bxp_storage::Store;
use bxp_types::{Jurisdiction, Ledger, RecordId, Secret, ValidatorIndex};
use bxp_vault::Vault;
use std::sync::Arc;

/// The rooms behind the server. The node's name and country are those of its vault and of genesis.
#[derive(Clone)]
pub struct Edge {
    /// The way in, and the vault behind it.
    pub ingest: Ingest,
    /// The node's tables: exports are kept in them.
    pub store: Store,
    /// Messages of HL7 v2 feeds that could not be taken.
    pub inbox: Inbox,
    /// The facts by which permits are decided.
    pub facts: ChainFacts,
    /// Sends transactions of the node's own account; a clone of the one that anchors.
    pub sender: TransactionSender,
    /// Signs for the patients' accounts in custody.
    pub enclave: Enclave,
    /// Gets keys of records that other nodes hold.
    pub keys: Arc<dyn KeyReleases>,
    /// This holder's sealed deliveries.
    pub deliveries: DeliveryService,
    /// Publishes charts in the content store, and has the store.
    pub publisher: Publisher,
    /// The swarm of IPFS peers, where the node is in one.
    pub swarm: Option<Bitswap>,
    /// The market's requests.
    pub requests: RequestReader,
    /// What the operator's programs show. At least 16 random characters.
    pub operator_token: Secret<String>,
    /// The largest body of a submission in bytes; [`Edge::BODY_BYTES_MAX`] unless there is a reason.
    pub body_bytes_max: usize,
}

impl Edge {
    /// The usual bound on a submission: 256 MiB.
    pub const BODY_BYTES_MAX: usize = 256 << 20;

    pub(crate) fn vault(&self) -> &Vault {
        self.ingest.vault()
    }

    pub(crate) fn ledger(&self) -> &Arc<dyn Ledger> {
        self.sender.ledger()
    }

    pub(crate) fn home(&self) -> Jurisdiction {
        self.vault().home()
    }

    /// The name of this node in genesis.
    pub(crate) fn name(&self) -> String {
        self.name_of(self.vault().me())
    }

    /// The name of a validator in genesis.
    pub(crate) fn name_of(&self, validator: ValidatorIndex) -> String {
        let entry = self.ledger().genesis().validator(validator);
        entry.map_or_else(|| validator.to_string(), |entry| entry.name.clone())
    }
}

/// Gets the keys of records from their holders.
#[async_trait]
pub trait KeyReleases: Send + Sync + 'static {
    /// Asks the record's holder for the key of its de-identified side and keeps it in the vault.
    ///
    /// # Errors
    /// [`ClinicalError::NotReleased`], [`ClinicalError::Vault`].
    async fn fetch(&self, record: RecordId, purpose: Purpose) -> Result<(), ClinicalError>;
}

/// Asks over the network.
#[derive(Clone)]
pub struct NetworkKeys {
    /// Where the keys go.
    pub vault: Vault,
    /// The way to the holders.
    pub network: Network,
}

#[async_trait]
impl KeyReleases for NetworkKeys {
    async fn fetch(&self, record: RecordId, purpose: Purpose) -> Result<(), ClinicalError> {
        fetch_key(&self.vault, &self.network, record, purpose).await
    }
}
