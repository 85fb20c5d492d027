//! The facts by which `privacy` decides: where nodes stand, the contracts' state and the clock, never the requester's
//! word.

use crate::ClinicalError;
use alloy_sol_types::SolCall;
use bxp_contracts::{CONSENT_REGISTRY, ConsentRegistry, DataRequest, RequestState};
use bxp_privacy::{ContractFacts, Facts, Purpose};
use bxp_types::{Address, CallOutcome, CallRequest, Jurisdiction, Ledger, ValidatorIndex};
use bxp_vault::{Clock, RecordEntry, Vault};
use std::{collections::BTreeSet, sync::Arc};

/// Reads facts from the chain.
#[derive(Clone)]
pub struct ChainFacts {
    ledger: Arc<dyn Ledger>,
    regulators: BTreeSet<ValidatorIndex>,
    clock: Clock,
    /// Whose directory tells where nodes stand.
    vault: Option<Vault>,
}

impl std::fmt::Debug for ChainFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainFacts").field("regulators", &self.regulators).finish_non_exhaustive()
    }
}

impl ChainFacts {
    /// Facts of the chain behind `ledger`; `regulators` are those of its validators that oversee (45 CFR 164.512(d)).
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, regulators: BTreeSet<ValidatorIndex>, clock: Clock) -> Self {
        Self { ledger, regulators, clock, vault: None }
    }

    /// The same, where nodes stand by the directory that `vault` goes by, which is newer than genesis.
    #[must_use]
    pub fn by_directory_of(self, vault: Vault) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The country that a node stands in, if it is a member.
    fn country(&self, node: ValidatorIndex) -> Option<Jurisdiction> {
        match &self.vault {
            Some(vault) => vault.directory().country(node),
            None => self.ledger.genesis().validator(node).map(|entry| entry.jurisdiction),
        }
    }

    /// What is known of `requester` and a record.
    ///
    /// # Errors
    /// [`ClinicalError::Ledger`].
    pub fn of(
        &self,
        requester: ValidatorIndex,
        entry: &RecordEntry,
        purpose: Purpose,
    ) -> Result<Facts, ClinicalError> {
        let country = self.country(requester);
        let contract = match purpose {
            Purpose::Research { request } => self.contract(request)?,
            _ => None,
        };
        Ok(Facts {
            now_ms: self.clock.now_ms(),
            member: country.is_some(),
            holder: entry.holder == requester,
            regulator: self.regulators.contains(&requester),
            requester_jurisdiction: country.unwrap_or(entry.home),
            residency: Some(entry.home),
            patient_verified: false,
            contribution: self.contribution(entry.patient)?,
            contract,
        })
    }

    /// The patient's contribution switch (row B2).
    ///
    /// # Errors
    /// [`ClinicalError::Ledger`].
    pub fn contribution(&self, patient: Address) -> Result<Option<bool>, ClinicalError> {
        self.ask(CONSENT_REGISTRY, &ConsentRegistry::isContributingCall { patient })
    }

    /// The state of the data request at `address`.
    ///
    /// # Errors
    /// [`ClinicalError::Ledger`].
    pub fn contract(&self, address: Address) -> Result<Option<ContractFacts>, ClinicalError> {
        let terms = self.ask(address, &DataRequest::termsCall {})?;
        let progress = self.ask(address, &DataRequest::progressCall {})?;
        let (Some(terms), Some(progress)) = (terms, progress) else { return Ok(None) };
        // State.Inactive of the paper's figure 2: everything is settled or refunded.
        let open = RequestState::try_from(progress.state).is_ok_and(|state| state != RequestState::Inactive);
        Ok(Some(ContractFacts { address, open, term_end_ms: terms.deadline.saturating_mul(1_000) }))
    }

    /// The answer of a view; nothing where there is no such contract.
    fn ask<C: SolCall>(&self, to: Address, call: &C) -> Result<Option<C::Return>, ClinicalError> {
        let request = CallRequest { to: Some(to), data: call.abi_encode().into(), ..CallRequest::default() };
        match self.ledger.call(&request)? {
            CallOutcome::Success { output, .. } => Ok(C::abi_decode_returns(&output).ok()),
            _ => Ok(None),
        }
    }
}
