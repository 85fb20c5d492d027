//! Files of blocks, RLP after RLP, as geth exports them and Ethereum's tests call them `chain.rlp`.

use super::EthereumBlock;
use crate::ExecutionError;
use alloy_consensus::{Block, transaction::SignerRecoverable as _};
use alloy_eips::eip4895::Withdrawals;
use alloy_rlp::Decodable as _;
use bxp_types::{RecoveredTransaction, Transaction};
use rayon::prelude::*;

impl EthereumBlock {
    /// Reads the blocks of a file and recovers their senders. Block 0 is passed over, with which some files begin.
    ///
    /// # Errors
    /// [`ExecutionError::EthereumChain`] names the byte where the first block begins that is none, or a transaction whose
    /// signature gives no sender.
    pub fn read_all(file: &[u8]) -> Result<Vec<Self>, ExecutionError> {
        let mut rest = file;
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let at = file.len() - rest.len();
            let block = Block::<Transaction>::decode(&mut rest)
                .map_err(|error| malformed(format!("the block that begins at byte {at}: {error}")))?;
            blocks.push(block);
        }
        blocks.into_par_iter().filter(|block| block.header.number > 0).map(recover).collect()
    }
}

fn recover(block: Block<Transaction>) -> Result<EthereumBlock, ExecutionError> {
    let number = block.header.number;
    let recover = |transaction: Transaction| -> Result<RecoveredTransaction, ExecutionError> {
        let hash = *transaction.tx_hash();
        let sender = transaction
            .recover_signer()
            .map_err(|error| malformed(format!("the sender of {hash} in block {number}: {error}")))?;
        Ok(RecoveredTransaction::new_unchecked(transaction, sender))
    };
    Ok(EthereumBlock {
        transactions: block.body.transactions.into_iter().map(recover).collect::<Result<_, _>>()?,
        ommers: block.body.ommers,
        withdrawals: block.body.withdrawals.map(Withdrawals::into_inner),
        header: block.header,
    })
}

fn malformed(reason: String) -> ExecutionError {
    ExecutionError::EthereumChain { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{BlockBody, Header};

    fn encoded(number: u64) -> Vec<u8> {
        let header = Header { number, ..Header::default() };
        alloy_rlp::encode(Block::<Transaction> { header, body: BlockBody::default() })
    }

    #[test]
    fn blocks_are_read_one_after_the_other_and_block_0_is_passed_over() {
        let file = [encoded(0), encoded(1), encoded(2)].concat();
        let blocks = EthereumBlock::read_all(&file).unwrap();
        assert_eq!(blocks.iter().map(|block| block.header.number).collect::<Vec<_>>(), [1, 2]);
        assert!(EthereumBlock::read_all(&[]).unwrap().is_empty());
    }

    #[test]
    fn damage_is_named_by_where_its_block_begins() {
        let first = encoded(1);
        let torn = [first.as_slice(), &encoded(2)[..20]].concat();
        let error = EthereumBlock::read_all(&torn).unwrap_err().to_string();
        let place = format!("the block that begins at byte {}: ", first.len());
        assert!(error.contains(&place), "{error}");
    }
}
