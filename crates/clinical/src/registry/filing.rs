//! Filing: the hash of a node's whole statement goes to the `NodeRegistry` once nothing of a country that it left is here,
//! by the node's own account.

use super::{OnChain, departure_on_chain};
use crate::{
    ClinicalError,
    sender::{Call, TransactionSender},
};
use alloy_sol_types::SolCall;
use bxp_contracts::{
    NODE_REGISTRY, NodeRegistry,
    nodes::{country_code, has_node_registry},
};
use bxp_types::{Address, Jurisdiction, U256};
use bxp_vault::{DeletionProof, Vault};
use std::{collections::BTreeSet, time::Duration};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether there is a proof to file.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Files this node's proofs of deletion.
#[derive(Clone, Debug)]
pub struct Filing {
    vault: Vault,
    sender: TransactionSender,
    account: Address,
    /// Departures whose proof the chain has, or does not ask for.
    settled: BTreeSet<(Jurisdiction, u64)>,
}

impl Filing {
    /// Files what `vault` proves, as `account`, the node's own.
    #[must_use]
    pub const fn new(vault: Vault, sender: TransactionSender, account: Address) -> Self {
        Self { vault, sender, account, settled: BTreeSet::new() }
    }

    /// Works until `stop`; on a network without a registry there is nothing to do. Failures are logged and tried again
    /// with longer and longer pauses.
    pub async fn run(mut self, stop: CancellationToken) {
        if !has_node_registry(self.sender.ledger().genesis()) {
            return;
        }
        let mut pause = LOOK_AGAIN;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                filed = self.file() => match filed {
                    Ok(_) => pause = LOOK_AGAIN,
                    Err(error) => {
                        tracing::warn!(error = ?error, "file a proof of deletion; trying again");
                        pause = (pause * 2).min(PAUSE_MAX);
                    }
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Files what can be proven and is owed. What the chain has already, as after a crash, is not sent again. Gives how
    /// many were filed.
    ///
    /// # Errors
    /// The first failure; what was filed before it is.
    pub async fn file(&mut self) -> Result<usize, ClinicalError> {
        let settled = |country, height| self.settled.contains(&(country, height));
        let mut filed = 0;
        for proof in self.vault.deletion_proofs(settled)? {
            let ledger = self.sender.ledger().as_ref();
            match departure_on_chain(ledger, self.vault.me(), proof.country, proof.height)? {
                OnChain::Owed => {
                    self.send(&proof).await?;
                    filed += 1;
                }
                OnChain::Proven(on_chain) if on_chain.digest != proof.digest => {
                    tracing::error!(country = %proof.country, height = proof.height,
                        "the chain has another proof of this departure than this node has signed");
                }
                OnChain::Proven(_) | OnChain::Unknown => {}
            }
            self.settled.insert((proof.country, proof.height));
        }
        Ok(filed)
    }

    async fn send(&self, proof: &DeletionProof) -> Result<(), ClinicalError> {
        let call = NodeRegistry::proveDeletionCall {
            node: self.vault.me().0,
            country: country_code(proof.country),
            leftAt: proof.height,
            blocks: proof.blocks,
            proof: proof.digest.0.into(),
        };
        let call = Call { to: NODE_REGISTRY, value: U256::ZERO, data: call.abi_encode().into() };
        let mined = self.sender.send(self.account, &call).await?;
        tracing::info!(country = %proof.country, proof = %proof.digest, height = %mined.height, "filed a proof of deletion");
        Ok(())
    }
}
