//! What a patient signs to move the contribution switch without gas (EIP-712).

use crate::{CONSENT_REGISTRY, ConsentRegistry};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, eip712_domain, sol};

sol! {
    /// The typed data that wallets show to the patient.
    #[derive(Debug, PartialEq, Eq)]
    struct Contribution {
        address patient;
        bool on;
        uint256 nonce;
        uint256 deadline;
    }
}

/// The EIP-712 domain of `ConsentRegistry` on the chain `chain_id`.
#[must_use]
pub fn domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! {
        name: "BXP ConsentRegistry",
        version: "1",
        chain_id: chain_id,
        verifying_contract: CONSENT_REGISTRY,
    }
}

/// The digest to sign for moving `patient`'s switch. `nonce` is `ConsentRegistry.nonces(patient)`, `deadline` the last
/// block time in seconds at which the change may be made. The signature goes to `setContributionBySignature` as 65
/// bytes r || s || v, with v 27 or 28 and s in the lower half of the curve's order.
#[must_use]
pub fn contribution_digest(chain_id: u64, patient: Address, on: bool, nonce: U256, deadline: U256) -> B256 {
    Contribution { patient, on, nonce, deadline }.eip712_signing_hash(&domain(chain_id))
}

/// The call that carries a signed change.
#[must_use]
pub fn signed_change(
    patient: Address,
    on: bool,
    nonce: U256,
    deadline: U256,
    signature: [u8; 65],
) -> ConsentRegistry::setContributionBySignatureCall {
    let signature = signature.to_vec().into();
    ConsentRegistry::setContributionBySignatureCall { patient, on, nonce, deadline, signature }
}
