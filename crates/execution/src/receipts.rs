//! Receipts.

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};
use bxp_types::{RecoveredTransaction, StoredReceipt};
use rayon::prelude::*;
use revm::context_interface::result::ExecutionResult;

/// How a transaction that entered its block ended.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) contract_address: Option<Address>,
}

impl From<ExecutionResult> for Ended {
    fn from(result: ExecutionResult) -> Self {
        let (success, gas_used, contract_address) =
            (result.is_success(), result.tx_gas_used(), result.created_address());
        let logs = match result {
            ExecutionResult::Success { logs, .. } => logs,
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Vec::new(),
        };
        Self { success, gas_used, logs, contract_address }
    }
}

/// The receipt of `transaction`, which ended so when the block had used `cumulative_gas_used` gas with it.
pub(crate) fn receipt(
    transaction: &RecoveredTransaction,
    ended: Ended,
    status: Eip658Value,
    cumulative_gas_used: u64,
    base_fee: Option<u64>,
) -> StoredReceipt {
    let bloom = ended.logs.iter().collect();
    with_bloom(transaction, ended, status, cumulative_gas_used, base_fee, bloom)
}

/// The same, where the bloom of the logs is known.
fn with_bloom(
    transaction: &RecoveredTransaction,
    ended: Ended,
    status: Eip658Value,
    cumulative_gas_used: u64,
    base_fee: Option<u64>,
    logs_bloom: Bloom,
) -> StoredReceipt {
    let Ended { gas_used, logs, contract_address, .. } = ended;
    let receipt = ReceiptWithBloom { receipt: Receipt { status, cumulative_gas_used, logs }, logs_bloom };
    StoredReceipt {
        receipt: ReceiptEnvelope::from_typed(transaction.tx_type(), receipt),
        gas_used,
        contract_address,
        effective_gas_price: transaction.effective_gas_price(base_fee),
    }
}

/// Receipts that one task makes, so that a task is worth handing out.
const RECEIPTS_A_TASK: usize = 64;

/// The receipts of a block's transactions, which ended so: the most of their cost are the blooms of their logs.
pub(crate) fn all(
    transactions: &[RecoveredTransaction],
    ended: Vec<Ended>,
    base_fee: Option<u64>,
) -> Vec<StoredReceipt> {
    let cumulative: Vec<u64> = ended
        .iter()
        .scan(0_u64, |sum, ended| {
            *sum = sum.saturating_add(ended.gas_used);
            Some(*sum)
        })
        .collect();
    let blooms: Vec<Bloom> = ended.par_chunks(RECEIPTS_A_TASK).flat_map_iter(blooms).collect();
    transactions
        .par_iter()
        .zip(ended)
        .zip(cumulative)
        .zip(blooms)
        .with_min_len(RECEIPTS_A_TASK)
        .map(|(((transaction, ended), cumulative), bloom)| {
            let status = Eip658Value::Eip658(ended.success);
            with_bloom(transaction, ended, status, cumulative, base_fee, bloom)
        })
        .collect()
}

/// The blooms of the logs of some transactions. Everything is hashed together (ADR 83), and what stands at the same place
/// in the log before is not hashed again: the contract and the kind of event are often the same.
fn blooms(ended: &[Ended]) -> Vec<Bloom> {
    let (mut inputs, mut chosen): (Vec<&[u8]>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut before: Vec<usize> = Vec::new();
    for log in ended.iter().flat_map(|ended| &ended.logs) {
        let parts = std::iter::once(log.address.as_slice()).chain(log.topics().iter().map(B256::as_slice));
        let begin = chosen.len();
        for (at, part) in parts.enumerate() {
            match before.get(at) {
                Some(same) if inputs[*same] == part => chosen.push(*same),
                _ => {
                    chosen.push(inputs.len());
                    inputs.push(part);
                }
            }
        }
        before.clear();
        before.extend_from_slice(&chosen[begin..]);
    }
    let hashes = bxp_trie::keccak256_all(&inputs);
    let mut chosen = chosen.into_iter().map(|place| BloomInput::Hash(hashes[place]));
    let of_transaction = |ended: &Ended| {
        let parts = ended.logs.iter().map(|log| 1 + log.topics().len()).sum();
        let mut bloom = Bloom::ZERO;
        chosen.by_ref().take(parts).for_each(|hash| bloom.accrue(hash));
        bloom
    };
    ended.iter().map(of_transaction).collect()
}

/// The root of the receipts' trie.
pub(crate) fn root(receipts: &[StoredReceipt]) -> B256 {
    bxp_trie::ordered_root(receipts.len(), |place, out| receipts[place].receipt.encode_2718(out))
}

/// The union of the receipts' blooms.
pub(crate) fn bloom(receipts: &[StoredReceipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.receipt.logs_bloom())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use proptest::prelude::*;

    /// A log of one of three contracts, with topics that repeat.
    fn log() -> impl Strategy<Value = Log> {
        (0..3_u8, prop::collection::vec(0..4_u8, 0..5)).prop_map(|(contract, topics)| {
            let topics = topics.into_iter().map(B256::repeat_byte).collect();
            Log::new_unchecked(Address::repeat_byte(contract), topics, Bytes::new())
        })
    }

    proptest! {
        #[test]
        fn blooms_hashed_together_are_those_of_each_log(
            logs in prop::collection::vec(prop::collection::vec(log(), 0..4), 0..40),
        ) {
            let expected: Vec<Bloom> = logs.iter().map(|logs| logs.iter().collect()).collect();
            let ended = |logs| Ended { success: true, gas_used: 0, logs, contract_address: None };
            let ended: Vec<Ended> = logs.into_iter().map(ended).collect();
            prop_assert_eq!(blooms(&ended), expected);
        }
    }
}
