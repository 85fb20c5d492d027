//! One block, by itself and by its parent: everything that needs no execution.

use super::Verifier;
use crate::{ChainError, codec, proposal};
use alloy_consensus::{
    TxReceipt as _,
    constants::EMPTY_WITHDRAWALS,
    proofs::{calculate_receipt_root, calculate_transaction_root},
    transaction::TxHashRef as _,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Bloom;
use bxp_types::{
    Attestation, B256, Certificate, Height, RecoveredTransaction, StoredBlock, StoredReceipt, SubmitError,
    TransactionLocation,
};
use rayon::prelude::*;

impl Verifier<'_> {
    /// Checks what is stored of the block at `height`. Gives the block with the senders that the signatures give, and
    /// its receipts, as far as they can be read.
    pub(super) fn check_block(
        &mut self,
        height: Height,
        parent: Option<&StoredBlock>,
    ) -> Option<(StoredBlock, Option<Vec<StoredReceipt>>)> {
        let stored = self.blocks.block(height);
        let stored = self.read(height, "block", stored)?;
        let block = self.check_senders(height, stored)?;
        self.check_header(height, &block, parent);
        let encoded = self.blocks.encoded_receipts(height);
        let encoded = self.read(height, "receipts", encoded);
        let receipts = encoded.as_ref().map(|encoded| codec::decode_receipts(encoded));
        let receipts = receipts.and_then(|receipts| self.read(height, "receipts", receipts.map(Some)));
        if let Some(receipts) = &receipts {
            self.check_receipts(&block, receipts);
        }
        self.check_index(&block);
        if let Some(encoded) = encoded.filter(|_| receipts.is_some()) {
            self.check_index_of(&block, &encoded);
        }
        if height > Height(0) && height <= self.report.certified {
            let certificate = self.blocks.certificate(height);
            if let Some(certificate) = self.read(height, "certificate", certificate) {
                self.check_certificate(&block, &certificate);
            }
        }
        Some((block, receipts))
    }

    fn read<T>(
        &mut self,
        height: Height,
        what: &'static str,
        read: Result<Option<T>, ChainError>,
    ) -> Option<T> {
        match read {
            Ok(Some(value)) => return Some(value),
            Ok(None) => self.found(Some(height), what, "there", "missing"),
            Err(error) => self.found(Some(height), what, "readable", error.chain()),
        }
        None
    }

    fn check_senders(&mut self, height: Height, mut block: StoredBlock) -> Option<StoredBlock> {
        let chain_id = self.genesis.chain_id;
        let recovered: Vec<Result<RecoveredTransaction, SubmitError>> = block
            .transactions
            .par_iter()
            .map(|stored| proposal::recover(&stored.encoded_2718(), chain_id))
            .collect();
        let mut transactions = Vec::with_capacity(recovered.len());
        for (index, (stored, recovered)) in block.transactions.iter().zip(recovered).enumerate() {
            match recovered {
                Ok(recovered) => {
                    let field = format!("sender of transaction {index}");
                    self.equal(height, &field, recovered.signer(), stored.signer());
                    transactions.push(recovered);
                }
                Err(error) => {
                    self.found(
                        Some(height),
                        format!("transaction {index}"),
                        "signed for this network",
                        &error,
                    );
                    return None;
                }
            }
        }
        self.report.transactions += transactions.len() as u64;
        block.transactions = transactions;
        Some(block)
    }

    fn check_header(&mut self, height: Height, block: &StoredBlock, parent: Option<&StoredBlock>) {
        let header = &block.header;
        self.equal(height, "number", height.0, header.number);
        if let Some(parent) = parent {
            self.equal(height, "parentHash", parent.hash, header.parent_hash);
        }
        let bare: Vec<_> = block.transactions.iter().map(RecoveredTransaction::inner).collect();
        self.equal(height, "transactionsRoot", calculate_transaction_root(&bare), header.transactions_root);
        let withdrawals = header.withdrawals_root.unwrap_or_default();
        self.equal(height, "withdrawalsRoot", EMPTY_WITHDRAWALS, withdrawals);
        if height > Height(0) {
            let time = B256::left_padding_from(&block.time_ms.to_be_bytes());
            let found = header.extra_data.get(..32.min(header.extra_data.len())).unwrap_or_default();
            self.equal(height, "extraData", time, B256::left_padding_from(found));
        }
    }

    fn check_receipts(&mut self, block: &StoredBlock, receipts: &[StoredReceipt]) {
        let (height, header) = (block.height(), &block.header);
        self.equal(height, "number of receipts", block.transactions.len(), receipts.len());
        let envelopes: Vec<_> = receipts.iter().map(|stored| stored.receipt.clone()).collect();
        self.equal(height, "receiptsRoot", header.receipts_root, calculate_receipt_root(&envelopes));
        let bloom = envelopes.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
        self.equal(height, "logsBloom", header.logs_bloom, bloom);
        let gas = receipts.last().map_or(0, |stored| stored.receipt.cumulative_gas_used());
        self.equal(height, "gasUsed", header.gas_used, gas);
    }

    /// The block and its transactions are found by their hashes.
    fn check_index(&mut self, block: &StoredBlock) {
        let height = block.height();
        let indexed = self.blocks.height_of(block.hash);
        if let Some(indexed) = self.read(height, "height by block hash", indexed) {
            self.equal(height, "height by block hash", height, indexed);
        }
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            let located = self.blocks.locate(*transaction.tx_hash());
            let Some(located) = self.read(height, "place by transaction hash", located) else { continue };
            if located != (TransactionLocation { height, index }) {
                let place = |place: TransactionLocation| format!("block {}, {}", place.height, place.index);
                let expected = place(TransactionLocation { height, index });
                self.found(Some(height), "place by transaction hash", expected, place(located));
            }
        }
    }

    /// Its addresses and topics are in the index of logs and accounts.
    fn check_index_of(&mut self, block: &StoredBlock, receipts: &[u8]) {
        let height = block.height();
        if self.index_stored.is_none_or(|stored| height > stored) {
            return;
        }
        match self.index.entries_of(block, receipts) {
            Ok((entries, missing)) => {
                self.index_expected += entries;
                if missing > 0 {
                    let expected = format!("all {entries} of its entries");
                    let found = format!("without {missing} of them");
                    self.found(Some(height), "index of logs and accounts", expected, found);
                }
            }
            Err(error) => self.found(Some(height), "index of logs and accounts", "readable", error.chain()),
        }
    }

    fn check_certificate(&mut self, block: &StoredBlock, certificate: &Certificate) {
        let height = block.height();
        self.equal(height, "height of the certificate", height, certificate.height);
        self.equal(height, "block hash of the certificate", block.hash, certificate.block_hash);
        let (keys, network) = (self.genesis.verification_keys(), self.genesis.network_id());
        let mut valid = 0;
        for (&validator, &signature) in &certificate.signatures {
            let attestation = Attestation { height, block_hash: block.hash, validator, signature };
            let key = keys.get(usize::from(validator.0));
            if key.is_some_and(|key| attestation.verify(key, network)) {
                valid += 1;
            } else {
                self.found(
                    Some(height),
                    format!("signature of validator {validator} in the certificate"),
                    "the validator's",
                    "not",
                );
            }
        }
        let quorum = self.genesis.quorum();
        if valid < quorum {
            let expected = format!("at least {quorum}");
            self.found(Some(height), "valid signatures of the certificate", expected, valid);
        }
    }
}
