//! Permits: the only key that opens a sealed record, and the rules by which one is made.
//!
//! [`decide`] is a pure function: what is asked stands in the [`Request`], what the node knows in the [`Facts`], time
//! included. Whatever no rule allows is denied. A [`Permit`] has private fields, so that no other crate can make one.

use bxp_types::{Address, BlockClass, Jurisdiction, RecordId, SubjectId, ValidatorIndex};

/// How long a permit lasts, in milliseconds, unless the term of a contract ends it earlier.
pub const PERMIT_LIFETIME_MS: u64 = 15 * 60 * 1000;

/// Why a record is to be opened (45 CFR 164.506, 164.512(d), 164.514, 164.524).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Care of the patient (45 CFR 164.506(c)(2)).
    Treatment,
    /// The holder's own work: ingest, matching, serving what it holds (45 CFR 164.506(c)(1)).
    Operations,
    /// The patient, or a person who stands for the patient, sees the own record (45 CFR 164.524).
    PatientAccess,
    /// A regulator's oversight (45 CFR 164.512(d)).
    Oversight,
    /// Delivery under the data request contract at this address (rows B2, D4).
    Research {
        /// The contract.
        request: Address,
    },
}

/// Which records are to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One record.
    Record(RecordId),
    /// Every record of one patient at this holder.
    Subject(SubjectId),
    /// Every record that the requester itself holds: for a holder's own matching, never for anyone else.
    OwnRecords,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks.
    pub requester: ValidatorIndex,
    /// Which records.
    pub scope: Scope,
    /// Which side of the split. Identity names the country whose records are meant.
    pub class: BlockClass,
    /// What for.
    pub purpose: Purpose,
}

/// What the node knows. It takes these from genesis, its tables, the contracts' state and its clock, never from the requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The time in milliseconds since the epoch.
    pub now_ms: u64,
    /// The requester is a member of the network.
    pub member: bool,
    /// The requester holds the records of the scope as their source.
    pub holder: bool,
    /// The requester is a regulator.
    pub regulator: bool,
    /// The country that the requester stands in.
    pub requester_jurisdiction: Jurisdiction,
    /// The country of residence of the records' patient; `None` where unknown or where the scope spans several.
    pub residency: Option<Jurisdiction>,
    /// The patient or the patient's representative has been authenticated for this scope (45 CFR 164.514(h)).
    pub patient_verified: bool,
    /// The patient's contribution switch (row B2); `None` where unknown or where the scope spans several patients.
    pub contribution: Option<bool>,
    /// The state of the contract that a research request names.
    pub contract: Option<ContractFacts>,
}

/// What the chain says of a data request contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractFacts {
    /// The contract's address.
    pub address: Address,
    /// The contract is open: funded, neither settled nor refunded.
    pub open: bool,
    /// When its term ends, in milliseconds since the epoch.
    pub term_end_ms: u64,
}

/// Leave to open the records of a scope, on one side of the split, for one purpose, until a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    requester: ValidatorIndex,
    scope: Scope,
    class: BlockClass,
    purpose: Purpose,
    expires_ms: u64,
}

impl Permit {
    /// Who may open.
    #[must_use]
    pub const fn requester(&self) -> ValidatorIndex {
        self.requester
    }

    /// Which records.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Which side of the split.
    #[must_use]
    pub const fn class(&self) -> BlockClass {
        self.class
    }

    /// What for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// When the permit ends, in milliseconds since the epoch.
    #[must_use]
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// Whether the permit opens a block of `class` that belongs to this record of this subject, at `now_ms`.
    ///
    /// Who may see the identity side of a record may see its de-identified side too: the whole is joined from both.
    /// Whether [`Scope::OwnRecords`] reaches a record is the vault's to know: it serves its own records only.
    #[must_use]
    pub fn opens(&self, record: RecordId, subject: SubjectId, class: BlockClass, now_ms: u64) -> bool {
        let in_scope = match self.scope {
            Scope::Record(permitted) => permitted == record,
            Scope::Subject(permitted) => permitted == subject,
            Scope::OwnRecords => true,
        };
        in_scope && now_ms < self.expires_ms && (class == self.class || class == BlockClass::Deidentified)
    }
}

/// Why no permit is given.
///
/// The text tells the asker nothing of the record, the patient or the switch: every refusal reads the same. The code
/// of [`Denial::code`] is for the holder's own audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not permitted")]
pub enum Denial {
    /// The requester is no member of the network.
    NotAMember,
    /// Identity data would cross a border.
    AcrossBorder,
    /// The purpose does not open this side of the split, or not to this requester.
    PurposeNotAllowed,
    /// Only the holder may ask for all of its own records.
    ScopeNotAllowed,
    /// The patient has not been authenticated.
    PatientNotVerified,
    /// The patient does not contribute.
    NoContribution,
    /// There is no such open contract.
    ContractNotOpen,
    /// The contract's term is over.
    TermEnded,
}

impl Denial {
    /// A stable code for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAMember => "privacy.not-a-member",
            Self::AcrossBorder => "privacy.across-border",
            Self::PurposeNotAllowed => "privacy.purpose-not-allowed",
            Self::ScopeNotAllowed => "privacy.scope-not-allowed",
            Self::PatientNotVerified => "privacy.patient-not-verified",
            Self::NoContribution => "privacy.no-contribution",
            Self::ContractNotOpen => "privacy.contract-not-open",
            Self::TermEnded => "privacy.term-ended",
        }
    }
}

/// Decides on a request. Denies by default.
///
/// # Errors
/// The first rule that stands against the request.
pub fn decide(request: &Request, facts: &Facts) -> Result<Permit, Denial> {
    if !facts.member {
        return Err(Denial::NotAMember);
    }
    if request.scope == Scope::OwnRecords && !(facts.holder && request.purpose == Purpose::Operations) {
        return Err(Denial::ScopeNotAllowed);
    }
    let ends_ms = match request.class {
        BlockClass::Identity(home) => decide_identity(request, facts, home)?,
        BlockClass::Deidentified => decide_deidentified(request, facts)?,
    };
    Ok(Permit {
        requester: request.requester,
        scope: request.scope,
        class: request.class,
        purpose: request.purpose,
        expires_ms: facts.now_ms.saturating_add(PERMIT_LIFETIME_MS).min(ends_ms),
    })
}

/// What is known of a node that asks for the copy of a record that its country's placement gives to it. All of it comes
/// from the directory of nodes and the answering node's tables, never from the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFacts {
    /// The time in milliseconds since the epoch.
    pub now_ms: u64,
    /// The country that the asker stands in; none for a node that is in no country of the network.
    pub requester_jurisdiction: Option<Jurisdiction>,
    /// The country of residence of the record's patient.
    pub residency: Jurisdiction,
    /// Placement names the asker for this record.
    pub placed: bool,
}

/// Decides whether `requester` gets a copy of the record, both sides and their keys, to keep it for the holder (45 CFR
/// 164.308(a)(7)(ii)(A)): a node that placement names, in the patient's country. The permit is the asker's, for
/// this one record.
///
/// # Errors
/// [`Denial::NotAMember`], [`Denial::AcrossBorder`], [`Denial::PurposeNotAllowed`] for a node that is not placed.
pub fn decide_copy(requester: ValidatorIndex, record: RecordId, facts: &CopyFacts) -> Result<Permit, Denial> {
    let country = facts.requester_jurisdiction.ok_or(Denial::NotAMember)?;
    if country != facts.residency {
        return Err(Denial::AcrossBorder);
    }
    if !facts.placed {
        return Err(Denial::PurposeNotAllowed);
    }
    Ok(Permit {
        requester,
        scope: Scope::Record(record),
        class: BlockClass::Identity(facts.residency),
        purpose: Purpose::Operations,
        expires_ms: facts.now_ms.saturating_add(PERMIT_LIFETIME_MS),
    })
}

/// Identity never crosses a border (row A12): the asker and the record are both at home in the class's country.
fn decide_identity(request: &Request, facts: &Facts, home: Jurisdiction) -> Result<u64, Denial> {
    let record_at_home = facts.residency == Some(home) || request.scope == Scope::OwnRecords;
    if facts.requester_jurisdiction != home || !record_at_home {
        return Err(Denial::AcrossBorder);
    }
    match request.purpose {
        Purpose::Treatment => Ok(u64::MAX),
        Purpose::Operations => holder_only(facts),
        Purpose::PatientAccess => verified_patient_only(facts),
        Purpose::Oversight | Purpose::Research { .. } => Err(Denial::PurposeNotAllowed),
    }
}

fn decide_deidentified(request: &Request, facts: &Facts) -> Result<u64, Denial> {
    match request.purpose {
        Purpose::Treatment => Ok(u64::MAX),
        Purpose::Operations => holder_only(facts),
        Purpose::PatientAccess => verified_patient_only(facts),
        Purpose::Oversight if facts.regulator => Ok(u64::MAX),
        Purpose::Oversight => Err(Denial::PurposeNotAllowed),
        Purpose::Research { request } => decide_research(request, facts),
    }
}

fn holder_only(facts: &Facts) -> Result<u64, Denial> {
    if facts.holder { Ok(u64::MAX) } else { Err(Denial::PurposeNotAllowed) }
}

fn verified_patient_only(facts: &Facts) -> Result<u64, Denial> {
    if facts.patient_verified { Ok(u64::MAX) } else { Err(Denial::PatientNotVerified) }
}

/// Research opens the records of a contributing patient, under an open contract, within its term (rows B2, D4).
fn decide_research(request: Address, facts: &Facts) -> Result<u64, Denial> {
    if facts.contribution != Some(true) {
        return Err(Denial::NoContribution);
    }
    let contract = facts.contract.filter(|contract| contract.address == request && contract.open);
    let contract = contract.ok_or(Denial::ContractNotOpen)?;
    if facts.now_ms >= contract.term_end_ms {
        return Err(Denial::TermEnded);
    }
    Ok(contract.term_end_ms)
}
