//! Batch payments (row A15): a contract of the machine that one transaction calls to pay many (ADR 33).

use crate::IPayments;
use alloy_primitives::{Address, Bytes, U256, address, bytes};
use alloy_sol_types::SolCall;

/// Where the payments contract is.
pub const PAYMENTS: Address = address!("000000000000000000000000000000000000b004");

/// The code at [`PAYMENTS`]: INVALID. It is there for who asks whether there is code, such as Solidity before a call; the
/// machine never runs it, and an EVM that does not know the contract fails on it and leaves the money where it was.
pub(crate) const PAYMENTS_CODE: Bytes = bytes!("fe");

const NARROW_BYTES: usize = 12;
const WIDE_BYTES: usize = 16;

/// A call that pays a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsCall {
    /// Calldata for [`PAYMENTS`].
    pub calldata: Bytes,
    /// What is sent along: the sum in wei.
    pub value: U256,
}

/// Why payments cannot be a batch; the contract would refuse them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentsError {
    /// There are none.
    #[error("encode a batch of payments: there are none")]
    Empty,
    /// An amount that the contract does not pay.
    #[error("encode payment {index} of a batch: its amount must be from 1 wei to 2^128 - 1 wei")]
    Amount {
        /// Which one, counted from 0.
        index: usize,
    },
    /// Nobody pays the contract itself.
    #[error("encode payment {index} of a batch: the recipient is the payments contract")]
    Recipient {
        /// Which one, counted from 0.
        index: usize,
    },
}

/// The call that pays each recipient its amount in wei, in this order: of 96 bits where all amounts have no more.
///
/// # Errors
/// [`PaymentsError`] says what the contract would refuse.
pub fn pay(payments: &[(Address, U256)]) -> Result<PaymentsCall, PaymentsError> {
    if payments.is_empty() {
        return Err(PaymentsError::Empty);
    }
    let mut value = U256::ZERO;
    for (index, (to, amount)) in payments.iter().enumerate() {
        if amount.is_zero() || amount.bit_len() > 8 * WIDE_BYTES {
            return Err(PaymentsError::Amount { index });
        }
        if *to == PAYMENTS {
            return Err(PaymentsError::Recipient { index });
        }
        // Amounts have 128 bits, and there are far fewer than 2^128.
        value = value.saturating_add(*amount);
    }
    let narrow = payments.iter().all(|(_, amount)| amount.bit_len() <= 8 * NARROW_BYTES);
    let calldata = if narrow {
        IPayments::pay96Call { payments: pack(payments, NARROW_BYTES) }.abi_encode()
    } else {
        IPayments::pay128Call { payments: pack(payments, WIDE_BYTES) }.abi_encode()
    };
    Ok(PaymentsCall { calldata: calldata.into(), value })
}

fn pack(payments: &[(Address, U256)], amount_bytes: usize) -> Bytes {
    let mut packed = Vec::with_capacity(payments.len().saturating_mul(Address::len_bytes() + amount_bytes));
    for (to, amount) in payments {
        packed.extend_from_slice(to.as_slice());
        packed.extend_from_slice(&amount.to_be_bytes::<32>()[32 - amount_bytes..]);
    }
    packed.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    const ALICE: Address = Address::repeat_byte(0xa1);

    #[test]
    fn a_batch_is_encoded_as_the_interface_says() {
        let call = pay(&[(ALICE, U256::from(5)), (Address::repeat_byte(0xb0), U256::from(7))]).unwrap();
        let expected = hex!(
            "52a91807"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000040"
            "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1000000000000000000000005"
            "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0000000000000000000000007"
        );
        assert_eq!(call, PaymentsCall { calldata: expected.into(), value: U256::from(12) });
    }

    #[test]
    fn amounts_above_96_bits_are_wide() {
        let large = U256::from(1) << 96;
        let call = pay(&[(ALICE, large), (ALICE, U256::from(1))]).unwrap();
        assert_eq!(call.value, large + U256::from(1));
        let decoded = IPayments::pay128Call::abi_decode(&call.calldata).unwrap();
        assert_eq!(decoded.payments.len(), 2 * 36);
    }

    #[test]
    fn what_the_contract_would_refuse_is_an_error() {
        let one = U256::from(1);
        let wide = U256::from(1) << 128;
        assert_eq!(pay(&[]), Err(PaymentsError::Empty));
        assert_eq!(pay(&[(ALICE, one), (ALICE, U256::ZERO)]), Err(PaymentsError::Amount { index: 1 }));
        assert_eq!(pay(&[(ALICE, wide)]), Err(PaymentsError::Amount { index: 0 }));
        assert!(pay(&[(ALICE, wide - one)]).is_ok());
        assert_eq!(pay(&[(PAYMENTS, one)]), Err(PaymentsError::Recipient { index: 0 }));
    }
}
