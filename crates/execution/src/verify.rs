//! Checking a block that was made elsewhere.

use crate::{BlockInput, ExecutedBlock, State, VerifyError, next_base_fee};
use alloy_consensus::Header;
use bxp_types::{Height, StoredBlock};
use std::fmt::Display;

impl State {
    /// Runs `block` on the block that `parent` heads and compares everything with what the block says of itself.
    /// The senders of its transactions are taken as they are: the caller has recovered them from the signatures.
    ///
    /// # Errors
    /// [`VerifyError::Mismatch`] names the first field that differs, [`VerifyError::Included`] the first transaction
    /// that cannot enter; [`VerifyError::Execution`] when the block could not be executed, as [`State::execute`].
    pub fn verify_and_execute(
        &self,
        parent: &Header,
        block: &StoredBlock,
    ) -> Result<ExecutedBlock, VerifyError> {
        self.check_rules(parent, block)?;
        let executed = self.execute(parent, input(block))?;
        if let Some((transaction, reason)) = executed.dropped.into_iter().next() {
            return Err(VerifyError::Included { height: block.height(), transaction, reason });
        }
        let executed = ExecutedBlock { dropped: Vec::new(), ..executed };
        compare(block, &executed.block)?;
        Ok(executed)
    }

    /// What a header must say whatever its transactions do.
    fn check_rules(&self, parent: &Header, block: &StoredBlock) -> Result<(), VerifyError> {
        let header = &block.header;
        let equal = Comparison(block.header.number);
        equal.check("hash", header.hash_slow(), block.hash)?;
        equal.check("parentHash", parent.hash_slow(), header.parent_hash)?;
        equal.check("timestamp", block.time_ms / 1000, header.timestamp)?;
        equal.check("miner", self.treasury(), header.beneficiary)?;
        equal.check("gasLimit", self.gas_limit(), header.gas_limit)?;
        let base_fee = header.base_fee_per_gas.map_or_else(|| "absent".to_owned(), |fee| fee.to_string());
        equal.check("baseFeePerGas", next_base_fee(parent).to_string(), base_fee)?;
        let not_before = format!("at least {}", parent.timestamp);
        equal.require("timestamp", header.timestamp >= parent.timestamp, not_before, header.timestamp)
    }
}

fn input(block: &StoredBlock) -> BlockInput {
    let header = &block.header;
    BlockInput {
        height: block.height(),
        time_ms: block.time_ms,
        mix_hash: header.mix_hash,
        parent_beacon_root: header.parent_beacon_block_root.unwrap_or_default(),
        beneficiary: header.beneficiary,
        gas_limit: header.gas_limit,
        base_fee: header.base_fee_per_gas.unwrap_or_default(),
        transactions: block.transactions.clone(),
    }
}

/// The fields that execution gives one by one, then the hash, in which all others are.
fn compare(block: &StoredBlock, executed: &StoredBlock) -> Result<(), VerifyError> {
    let (found, expected) = (&block.header, &executed.header);
    let equal = Comparison(block.header.number);
    equal.check("gasUsed", expected.gas_used, found.gas_used)?;
    equal.check("transactionsRoot", expected.transactions_root, found.transactions_root)?;
    equal.check("receiptsRoot", expected.receipts_root, found.receipts_root)?;
    equal.check("stateRoot", expected.state_root, found.state_root)?;
    equal.check("logsBloom", expected.logs_bloom, found.logs_bloom)?;
    equal.check("hash", executed.hash, block.hash)
}

/// Compares fields of the block with this number with what they ought to be.
pub(crate) struct Comparison(pub(crate) u64);

impl Comparison {
    /// That two values are equal.
    pub(crate) fn check<T: Display + PartialEq>(
        &self,
        field: &'static str,
        expected: T,
        found: T,
    ) -> Result<(), VerifyError> {
        self.require(field, expected == found, expected, found)
    }

    /// That something `holds`, in words.
    pub(crate) fn require(
        &self,
        field: &'static str,
        holds: bool,
        expected: impl Display,
        found: impl Display,
    ) -> Result<(), VerifyError> {
        if holds {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(VerifyError::Mismatch { height: Height(self.0), field, expected, found })
    }
}
