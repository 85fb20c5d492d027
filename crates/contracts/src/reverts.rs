//! Revert data in words: what was wrong and what to do.

use crate::bindings::ConsentRegistry::ConsentRegistryErrors as Consent;
use crate::bindings::DataRequest::DataRequestErrors as Request;
use crate::bindings::NodeRegistry::NodeRegistryErrors as Node;
use crate::bindings::RecordRegistry::RecordRegistryErrors as Record;
use alloy_sol_types::{Panic, Revert, SolError, SolInterface};
use bxp_types::Amount;

/// Explains the revert data of a system contract; of others, what the standard errors say. Nothing where the data is
/// of no known form. It names accounts and batches, which are public, and no health data.
#[must_use]
pub fn explain_revert(data: &[u8]) -> Option<String> {
    if let Ok(error) = Record::abi_decode(data) {
        return Some(explain_record(&error));
    }
    if let Ok(error) = Consent::abi_decode(data) {
        return Some(explain_consent(&error));
    }
    if let Ok(error) = Node::abi_decode(data) {
        return Some(explain_node(&error));
    }
    if let Ok(error) = Request::abi_decode(data) {
        return Some(explain_terms(&error).unwrap_or_else(|| explain_request(&error)));
    }
    if let Ok(error) = Revert::abi_decode(data) {
        return Some(error.reason);
    }
    Panic::abi_decode(data).ok().map(|panic| format!("the contract panicked with code {}", panic.code))
}

fn explain_record(error: &Record) -> String {
    match error {
        Record::NotAuthorisedHolder(error) => format!(
            "account {} is no holder of this network; send from a validator institution's account",
            error.account
        ),
        Record::EmptyBatch(_) => "the batch is empty; anchor the root of at least one record".to_owned(),
        Record::NotACountry(error) => format!(
            "{} is no country; give the two upper-case letters of ISO 3166-1, such as US",
            error.jurisdiction
        ),
        Record::AlreadyAnchored(error) => {
            format!("this root was anchored before, as batch {}; use that batch", error.batchId)
        }
        Record::UnknownBatch(error) => {
            format!("there is no batch {}; ids run from 1 to batchCount()", error.batchId)
        }
    }
}

fn explain_consent(error: &Consent) -> String {
    match error {
        Consent::SignatureExpired(error) => format!(
            "the signed change of {} expired at {}; have the patient sign one with a later deadline",
            error.patient, error.deadline
        ),
        Consent::WrongNonce(error) => format!(
            "the signed change of {} has nonce {}; have the patient sign with nonce {}",
            error.patient, error.given, error.expected
        ),
        Consent::InvalidSignature(error) => {
            format!("the signature is not {}'s over this change on this chain; sign it again", error.patient)
        }
    }
}

fn explain_node(error: &Node) -> String {
    match error {
        Node::NotAGovernor(error) => format!(
            "account {} does not govern this network; send from an account that genesis names as a governor",
            error.account
        ),
        Node::AlreadyApproved(error) => {
            format!("account {} has asked for this change before; other governors have to", error.account)
        }
        Node::UnknownNode(error) => format!("there is no node {}; see nodeCount()", error.node),
        Node::NotACountry(error) => {
            format!(
                "{} is no country; give the two upper-case letters of ISO 3166-1, such as US",
                error.country
            )
        }
        Node::AlreadyThere(error) => format!(
            "node {} stands in {} already",
            error.node,
            String::from_utf8_lossy(error.country.as_slice())
        ),
        Node::IsSuspended(error) => format!("node {} is suspended; admit it first", error.node),
        Node::NotSuspended(error) => format!("node {} is not suspended; move it", error.node),
        Node::ChangedInThisBlock(error) => {
            format!("node {} was changed in this very block; send again", error.node)
        }
        Node::NotAReplacement(error) => {
            format!("{} cannot come to govern: it does so already, or is no account", error.to)
        }
        Node::NotTheNodesAccount(error) => {
            format!(
                "account {} is not that of node {}, which files its proof itself",
                error.account, error.node
            )
        }
        Node::NothingOwed(error) => format!(
            "node {} owes no proof for leaving {} in block {}",
            error.node,
            String::from_utf8_lossy(error.country.as_slice()),
            error.leftAt
        ),
        Node::EmptyProof(_) => "a proof is the hash of a statement, never zero".to_owned(),
    }
}

/// The errors of opening a request.
fn explain_terms(error: &Request) -> Option<String> {
    Some(match error {
        Request::InvalidTerms(_) => {
            "the terms are incomplete; give a criterion of at most 4096 bytes, a price, a \
             number wanted and a sealing key"
                .to_owned()
        }
        Request::WrongEscrow(error) => format!(
            "the escrow is price times number wanted, {}; {} was sent",
            Amount(error.required),
            Amount(error.sent)
        ),
        Request::WrongSplit(error) => {
            format!("the shares add up to {} basis points; make them 10000", error.sum)
        }
        Request::DeadlinePassed(error) => {
            format!("the deadline {} is not in the future; choose a later one", error.deadline)
        }
        _ => return None,
    })
}

fn explain_request(error: &Request) -> String {
    match error {
        Request::ConditionNotMet(error) => format!(
            "the request is in state {} with deadline {} at block time {}, which does not allow this; see progress()",
            error.state, error.deadline, error.time
        ),
        Request::EmptyDelivery(_) => {
            "the delivery is empty; give at least one entry, a CID of at most 64 bytes and a root".to_owned()
        }
        Request::TooManyEntries(error) => {
            format!("only {} more patients are wanted; leave out the others", error.remaining)
        }
        Request::NotYourBatch(error) => {
            format!("batch {} was anchored by {}, who alone may claim from it", error.batchId, error.holder)
        }
        Request::InvalidProof(error) => format!(
            "the proof for patient account {} does not lead to the root of batch {}",
            error.patient, error.batchId
        ),
        Request::NotContributing(error) => {
            format!("contribution of {} is off; take the patient out of the delivery", error.patient)
        }
        Request::AlreadyCounted(error) => {
            format!(
                "{} was counted in this request before; take the patient out of the delivery",
                error.patient
            )
        }
        Request::NothingToSettle(error) => format!(
            "nothing can be settled by this account now; others than the buyer wait until {} (0: nothing delivered)",
            error.earliest
        ),
        Request::NothingToWithdraw(error) => format!("nothing is credited to {}", error.account),
        Request::WithdrawalRefused(error) => {
            format!("{} refused the money; withdraw to another recipient", error.recipient)
        }
        Request::Reentered(_) => "a paid contract called back; call again from outside".to_owned(),
        _ => "the request refused the call".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataRequest, RecordRegistry};
    use alloy_primitives::{Address, U256};

    #[test]
    fn reverts_say_what_to_do() {
        let data = RecordRegistry::AlreadyAnchored { batchId: U256::from(7) }.abi_encode();
        assert_eq!(
            explain_revert(&data).unwrap(),
            "this root was anchored before, as batch 7; use that batch"
        );
        let data =
            DataRequest::WrongEscrow { required: Amount::from_bxm(4).0, sent: U256::ZERO }.abi_encode();
        assert_eq!(
            explain_revert(&data).unwrap(),
            "the escrow is price times number wanted, 4 BXM; 0 BXM was sent"
        );
        let data = DataRequest::NotAuthorisedHolder { account: Address::ZERO }.abi_encode();
        assert!(explain_revert(&data).unwrap().contains("is no holder of this network"));
        let data = Revert { reason: "plain".to_owned() }.abi_encode();
        assert_eq!(explain_revert(&data).unwrap(), "plain");
        assert_eq!(explain_revert(&[]), None);
        assert_eq!(explain_revert(&[1, 2, 3, 4, 5]), None);
    }
}
