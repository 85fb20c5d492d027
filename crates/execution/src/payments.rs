//! Batch payments: one signature, thousands of small payments (row A15).
//!
//! The contract at [`PAYMENTS`] is part of the machine. It takes `pay96(bytes)` or `pay128(bytes)`: addresses of 20 bytes,
//! each followed by an amount of 12 or 16 bytes, big-endian, packed without gaps, and a value that is their sum. Every
//! recipient is credited and one `Transfer` is logged for each payment, in order; or nothing happens. Recipients' code
//! does not run. It is called, not delegated to, and not from a static call.
//!
//! # Gas
//! A payment costs what its parts cost elsewhere: reading a cold account (2600, EIP-2929), writing one that exists (2900,
//! as a changed storage slot), and a log with three topics and a word (1756). One that brings an account into being costs
//! 25000 more, as a call does (EIP-161). The calldata costs what calldata costs (EIP-7623). What was loaded before in the
//! same transaction is not cheaper.

use alloy_primitives::{Address, B256, Bytes, Log, U256, address, b256};

/// Where the payments contract is.
pub const PAYMENTS: Address = address!("000000000000000000000000000000000000b004");

/// Gas for each payment.
pub const PAYMENT_GAS: u64 = 2600 + 2900 + 1756;

/// Gas for a payment that brings an account into being, beside [`PAYMENT_GAS`].
pub const NEW_ACCOUNT_GAS: u64 = 25_000;

/// The first four bytes of keccak256 of `pay96(bytes)`.
const PAY_96: [u8; 4] = [0x52, 0xa9, 0x18, 0x07];
/// The first four bytes of keccak256 of `pay128(bytes)`.
const PAY_128: [u8; 4] = [0x8e, 0x80, 0x56, 0x24];

/// keccak256 of `Transfer(address,address,uint256)`.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

const ADDRESS_BYTES: usize = 20;
const WORD_BYTES: usize = 32;

/// One payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) to: Address,
    pub(crate) amount: U256,
}

/// Why a call is refused; the words are the revert's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Calldata,
    Empty,
    Amount,
    Recipient,
    Sum,
    Kind,
}

impl Refusal {
    const fn words(self) -> &'static str {
        match self {
            Self::Calldata => "payments: calldata is not pay96(bytes) or pay128(bytes)",
            Self::Empty => "payments: there are none",
            Self::Amount => "payments: an amount is zero",
            Self::Recipient => "payments: a recipient is this contract",
            Self::Sum => "payments: the value is not the sum of the amounts",
            Self::Kind => "payments: not a plain call",
        }
    }

    /// ABI-encoded as `Error(string)`, as Solidity's `require` reverts.
    pub(crate) fn encoded(self) -> Bytes {
        const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
        let words = self.words().as_bytes();
        let mut data = ERROR.to_vec();
        data.extend_from_slice(&U256::from(WORD_BYTES).to_be_bytes::<WORD_BYTES>());
        data.extend_from_slice(&U256::from(words.len()).to_be_bytes::<WORD_BYTES>());
        data.extend_from_slice(words);
        data.resize(data.len().next_multiple_of(WORD_BYTES) + ERROR.len(), 0);
        data.into()
    }
}

/// How many payments a call with this calldata and this value in wei makes; nothing for one that is refused.
#[must_use]
pub fn payment_count(calldata: &[u8], value: U256) -> Option<usize> {
    read(calldata, value).ok().map(|payments| payments.len())
}

/// Reads the payments of a call with this `value`. Calldata has one form: what follows the selector is exactly the ABI
/// encoding of one `bytes`.
pub(crate) fn read(calldata: &[u8], value: U256) -> Result<Vec<Payment>, Refusal> {
    let (selector, rest) = calldata.split_first_chunk::<4>().ok_or(Refusal::Calldata)?;
    let amount_bytes = match *selector {
        PAY_96 => 12,
        PAY_128 => 16,
        _ => return Err(Refusal::Calldata),
    };
    let packed = only_bytes(rest).ok_or(Refusal::Calldata)?;
    if packed.is_empty() {
        return Err(Refusal::Empty);
    }
    let entries = packed.chunks_exact(ADDRESS_BYTES + amount_bytes);
    if !entries.remainder().is_empty() {
        return Err(Refusal::Calldata);
    }
    let (mut payments, mut sum) = (Vec::with_capacity(entries.len()), U256::ZERO);
    for entry in entries {
        let (to, amount) = entry.split_at(ADDRESS_BYTES);
        let payment = Payment { to: Address::from_slice(to), amount: U256::from_be_slice(amount) };
        if payment.amount.is_zero() {
            return Err(Refusal::Amount);
        }
        if payment.to == PAYMENTS {
            return Err(Refusal::Recipient);
        }
        // Amounts have 128 bits, and there are far fewer than 2^128.
        sum = sum.saturating_add(payment.amount);
        payments.push(payment);
    }
    if sum == value { Ok(payments) } else { Err(Refusal::Sum) }
}

/// The content of ABI-encoded arguments that are one `bytes`, padded with zeros, and nothing else.
fn only_bytes(arguments: &[u8]) -> Option<&[u8]> {
    let (offset, rest) = arguments.split_at_checked(WORD_BYTES)?;
    let (length, content) = rest.split_at_checked(WORD_BYTES)?;
    let word = |bytes: &[u8]| U256::try_from_be_slice(bytes).and_then(|word| usize::try_from(word).ok());
    let length = word(length)?;
    let (bytes, padding) = content.split_at_checked(length)?;
    let padded = padding.len() < WORD_BYTES
        && content.len() % WORD_BYTES == 0
        && padding.iter().all(|byte| *byte == 0);
    (word(offset) == Some(WORD_BYTES) && padded).then_some(bytes)
}

/// The log of a payment.
pub(crate) fn log(from: Address, payment: &Payment) -> Log {
    let topics = vec![TRANSFER, from.into_word(), payment.to.into_word()];
    Log::new_unchecked(PAYMENTS, topics, payment.amount.to_be_bytes::<WORD_BYTES>().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn calldata(selector: [u8; 4], packed: &[u8]) -> Vec<u8> {
        let mut data = selector.to_vec();
        data.extend(U256::from(32).to_be_bytes::<32>());
        data.extend(U256::from(packed.len()).to_be_bytes::<32>());
        data.extend(packed);
        data.resize(4 + (data.len() - 4).next_multiple_of(32), 0);
        data
    }

    #[test]
    fn selectors_and_topic_are_those_of_the_interface() {
        assert_eq!(keccak256("pay96(bytes)")[..4], PAY_96);
        assert_eq!(keccak256("pay128(bytes)")[..4], PAY_128);
        assert_eq!(keccak256("Transfer(address,address,uint256)"), TRANSFER);
    }

    #[test]
    fn payments_are_read_and_everything_else_is_refused() {
        let one = [[0x11; 20].as_slice(), &[0; 11], &[5]].concat();
        let two = [one.as_slice(), &[0x22; 20], &[0; 11], &[7]].concat();
        let paid = read(&calldata(PAY_96, &two), U256::from(12)).unwrap();
        let amounts: Vec<_> = paid.iter().map(|payment| (payment.to, payment.amount)).collect();
        let expected =
            [(Address::repeat_byte(0x11), U256::from(5)), (Address::repeat_byte(0x22), U256::from(7))];
        assert_eq!(amounts, expected);
        let check = |data: &[u8], refusal| assert_eq!(read(data, U256::from(12)), Err(refusal), "{data:?}");
        check(&[], Refusal::Calldata);
        check(&calldata([1, 2, 3, 4], &two), Refusal::Calldata);
        check(&calldata(PAY_128, &two), Refusal::Calldata);
        check(&calldata(PAY_96, &two[..63]), Refusal::Calldata);
        check(&calldata(PAY_96, &[]), Refusal::Empty);
        check(&calldata(PAY_96, &one), Refusal::Sum);
        let none = [one.as_slice(), &[0x22; 20], &[0; 12]].concat();
        check(&calldata(PAY_96, &none), Refusal::Amount);
        let mut itself = two.clone();
        itself[..20].copy_from_slice(PAYMENTS.as_slice());
        check(&calldata(PAY_96, &itself), Refusal::Recipient);
        let whole = calldata(PAY_96, &two);
        for end in 0..whole.len() {
            assert!(read(&whole[..end], U256::from(12)).is_err(), "cut at {end}");
        }
        check(&[whole.as_slice(), &[0; 32]].concat(), Refusal::Calldata);
        let mut dirty = calldata(PAY_96, &two[..64]);
        dirty.extend([0; 1]);
        check(&dirty, Refusal::Calldata);
    }

    #[test]
    fn a_refusal_is_a_revert_reason() {
        let encoded = Refusal::Empty.encoded();
        assert_eq!(encoded.len() % 32, 4);
        assert_eq!(encoded[36..68], U256::from(24).to_be_bytes::<32>());
        assert_eq!(&encoded[68..92], b"payments: there are none");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300), narrow: bool) {
            let selector = if narrow { PAY_96 } else { PAY_128 };
            let _ = read(&data, U256::ZERO);
            let _ = read(&[selector.as_slice(), &data].concat(), U256::from(1));
            let _ = read(&calldata(selector, &data), U256::from(1));
        }
    }
}
