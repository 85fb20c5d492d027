//! Blocks, receipts and certificates in bytes, for the disk and for peers. All of it is RLP.

use crate::ChainError;
use alloy_consensus::{Header, ReceiptEnvelope, TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use bxp_types::{
    Address, B256, Bytes, Certificate, Height, StoredBlock, StoredReceipt, TransactionLocation,
    ValidatorIndex,
};

#[derive(RlpEncodable, RlpDecodable)]
struct BlockRecord {
    header: Header,
    time_ms: u64,
    transactions: Vec<Bytes>,
    senders: Vec<Address>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ReceiptRecord {
    receipt: Bytes,
    gas_used: u64,
    contract_address: Bytes,
    effective_gas_price: u128,
}

#[derive(RlpEncodable, RlpDecodable)]
struct SignatureRecord {
    validator: u16,
    signature: Bytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct CertificateRecord {
    height: u64,
    block_hash: B256,
    signatures: Vec<SignatureRecord>,
}

pub(crate) fn decode<T: Decodable>(what: &'static str, bytes: &[u8]) -> Result<T, ChainError> {
    let mut rest = bytes;
    let value = T::decode(&mut rest).map_err(|error| ChainError::decode(what, error))?;
    if rest.is_empty() { Ok(value) } else { Err(ChainError::decode(what, "bytes after the end")) }
}

/// A block with its senders, as the node's own disk keeps it.
#[must_use]
pub fn encode_block(block: &StoredBlock) -> Vec<u8> {
    encode_record(block, block.transactions.iter().map(Recovered::signer).collect())
}

/// A block without senders, as a peer gets it: the receiver recovers them itself.
#[must_use]
pub fn encode_block_for_peer(block: &StoredBlock) -> Vec<u8> {
    encode_record(block, Vec::new())
}

fn encode_record(block: &StoredBlock, senders: Vec<Address>) -> Vec<u8> {
    let transactions =
        block.transactions.iter().map(|transaction| transaction.encoded_2718().into()).collect();
    let record = BlockRecord { header: block.header.clone(), time_ms: block.time_ms, transactions, senders };
    alloy_rlp::encode(record)
}

/// Reads a block from the node's own disk.
///
/// # Errors
/// [`ChainError::Decode`].
pub fn decode_block(bytes: &[u8]) -> Result<StoredBlock, ChainError> {
    let record: BlockRecord = decode("block", bytes)?;
    if record.senders.len() != record.transactions.len() {
        return Err(ChainError::decode("block", "a sender is missing"));
    }
    let transactions = record.transactions.iter().zip(record.senders).map(|(raw, sender)| {
        let transaction = decode_envelope::<TxEnvelope>("transaction", raw)?;
        Ok(Recovered::new_unchecked(transaction, sender))
    });
    let transactions = transactions.collect::<Result<_, ChainError>>()?;
    Ok(StoredBlock {
        hash: record.header.hash_slow(),
        header: record.header,
        time_ms: record.time_ms,
        transactions,
    })
}

/// Reads a block that a peer sent, recovering every sender.
///
/// # Errors
/// [`ChainError::Decode`].
pub fn decode_block_from_peer(bytes: &[u8], chain_id: u64) -> Result<StoredBlock, ChainError> {
    use rayon::prelude::*;
    let record: BlockRecord = decode("block", bytes)?;
    let recover = |raw: &Bytes| {
        crate::proposal::recover(raw, chain_id).map_err(|error| ChainError::decode("transaction", error))
    };
    let transactions = record.transactions.par_iter().map(recover).collect::<Result<_, _>>()?;
    Ok(StoredBlock {
        hash: record.header.hash_slow(),
        header: record.header,
        time_ms: record.time_ms,
        transactions,
    })
}

fn decode_envelope<T: Decodable2718>(what: &'static str, raw: &[u8]) -> Result<T, ChainError> {
    let mut rest = raw;
    let value = T::decode_2718(&mut rest).map_err(|error| ChainError::decode(what, error))?;
    if rest.is_empty() { Ok(value) } else { Err(ChainError::decode(what, "bytes after the end")) }
}

/// A block's receipts.
#[must_use]
pub fn encode_receipts(receipts: &[StoredReceipt]) -> Vec<u8> {
    let records: Vec<ReceiptRecord> = receipts
        .iter()
        .map(|stored| ReceiptRecord {
            receipt: stored.receipt.encoded_2718().into(),
            gas_used: stored.gas_used,
            contract_address: stored
                .contract_address
                .map(|address| address.to_vec())
                .unwrap_or_default()
                .into(),
            effective_gas_price: stored.effective_gas_price,
        })
        .collect();
    alloy_rlp::encode(records)
}

/// Reads a block's receipts.
///
/// # Errors
/// [`ChainError::Decode`].
pub fn decode_receipts(bytes: &[u8]) -> Result<Vec<StoredReceipt>, ChainError> {
    let records: Vec<ReceiptRecord> = decode("receipts", bytes)?;
    let read = |record: ReceiptRecord| {
        let contract_address = match record.contract_address.len() {
            0 => None,
            20 => Some(Address::from_slice(&record.contract_address)),
            _ => return Err(ChainError::decode("receipt", "contract address is not 20 bytes")),
        };
        Ok(StoredReceipt {
            receipt: decode_envelope::<ReceiptEnvelope>("receipt", &record.receipt)?,
            gas_used: record.gas_used,
            contract_address,
            effective_gas_price: record.effective_gas_price,
        })
    };
    records.into_iter().map(read).collect()
}

/// Reads a height, 8 bytes BE; `what` says of what.
///
/// # Errors
/// [`ChainError::Decode`].
pub(crate) fn decode_height(what: &'static str, bytes: &[u8]) -> Result<Height, ChainError> {
    let bytes = bytes.try_into().map_err(|_| ChainError::decode(what, "a height is not 8 bytes"))?;
    Ok(Height(u64::from_be_bytes(bytes)))
}

/// A certificate.
#[must_use]
pub fn encode_certificate(certificate: &Certificate) -> Vec<u8> {
    let signatures = certificate
        .signatures
        .iter()
        .map(|(validator, signature)| SignatureRecord {
            validator: validator.0,
            signature: Bytes::copy_from_slice(signature),
        })
        .collect();
    let (height, block_hash) = (certificate.height.0, certificate.block_hash);
    alloy_rlp::encode(CertificateRecord { height, block_hash, signatures })
}

/// Reads a certificate; its signatures are not verified by that.
///
/// # Errors
/// [`ChainError::Decode`].
pub fn decode_certificate(bytes: &[u8]) -> Result<Certificate, ChainError> {
    let record: CertificateRecord = decode("certificate", bytes)?;
    if !record.signatures.is_sorted_by(|one, next| one.validator < next.validator) {
        return Err(ChainError::decode("certificate", "signatures do not ascend by validator"));
    }
    let signatures = record.signatures.into_iter().map(|record| {
        let signature = record.signature.as_ref().try_into();
        let signature = signature.map_err(|_| ChainError::decode("signature", "not 64 bytes"))?;
        Ok((ValidatorIndex(record.validator), signature))
    });
    let signatures = signatures.collect::<Result<_, ChainError>>()?;
    Ok(Certificate { height: Height(record.height), block_hash: record.block_hash, signatures })
}

/// An attestation: height (8 bytes BE), block hash (32), validator (2 BE), signature (64).
#[must_use]
pub fn encode_attestation(attestation: &bxp_types::Attestation) -> Vec<u8> {
    [
        attestation.height.0.to_be_bytes().as_slice(),
        attestation.block_hash.as_slice(),
        &attestation.validator.0.to_be_bytes(),
        &attestation.signature,
    ]
    .concat()
}

/// Reads an attestation; its signature is not verified by that.
///
/// # Errors
/// [`ChainError::Decode`] when it is not 106 bytes.
pub fn decode_attestation(bytes: &[u8]) -> Result<bxp_types::Attestation, ChainError> {
    let bytes: &[u8; 106] =
        bytes.try_into().map_err(|_| ChainError::decode("attestation", "not 106 bytes"))?;
    let (height, rest) = split::<8>(bytes);
    let (block_hash, rest) = split::<32>(rest);
    let (validator, rest) = split::<2>(rest);
    let (signature, _) = split::<64>(rest);
    Ok(bxp_types::Attestation {
        height: Height(u64::from_be_bytes(height)),
        block_hash: B256::from(block_hash),
        validator: ValidatorIndex(u16::from_be_bytes(validator)),
        signature,
    })
}

fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let mut head = [0; N];
    let (front, rest) = bytes.split_at(N.min(bytes.len()));
    head[..front.len()].copy_from_slice(front);
    (head, rest)
}

/// Where a transaction stands: height (8 bytes BE), index (4 BE).
#[must_use]
pub fn encode_location(location: TransactionLocation) -> [u8; 12] {
    let mut out = [0; 12];
    out[..8].copy_from_slice(&location.height.0.to_be_bytes());
    out[8..].copy_from_slice(&location.index.to_be_bytes());
    out
}

/// Reads a location.
///
/// # Errors
/// [`ChainError::Decode`] when it is not 12 bytes.
pub fn decode_location(bytes: &[u8]) -> Result<TransactionLocation, ChainError> {
    let bytes: &[u8; 12] = bytes.try_into().map_err(|_| ChainError::decode("location", "not 12 bytes"))?;
    let (height, rest) = split::<8>(bytes);
    let (index, _) = split::<4>(rest);
    Ok(TransactionLocation { height: Height(u64::from_be_bytes(height)), index: u32::from_be_bytes(index) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::tests::{CHAIN_ID, transfer};
    use alloy_consensus::{Receipt, ReceiptWithBloom};
    use bxp_types::Attestation;
    use proptest::prelude::*;

    fn block() -> StoredBlock {
        let header = Header { number: 4, timestamp: 9, base_fee_per_gas: Some(7), ..Default::default() };
        let transactions = vec![transfer(1, 0, 1), transfer(2, 5, 3)];
        StoredBlock { hash: header.hash_slow(), header, transactions, time_ms: 9_500 }
    }

    #[test]
    fn blocks_read_back_from_disk_and_from_peers() {
        let block = block();
        assert_eq!(decode_block(&encode_block(&block)).unwrap(), block);
        assert_eq!(decode_block_from_peer(&encode_block_for_peer(&block), CHAIN_ID).unwrap(), block);
        assert!(decode_block(&encode_block_for_peer(&block)).is_err(), "senders are missing");
        assert!(decode_block_from_peer(&encode_block_for_peer(&block), 1).is_err(), "another chain's");
    }

    #[test]
    fn receipts_certificates_and_attestations_read_back() {
        let receipt = Receipt { status: true.into(), cumulative_gas_used: 21_000, logs: vec![] };
        let stored = StoredReceipt {
            receipt: ReceiptEnvelope::Eip1559(ReceiptWithBloom::from(receipt)),
            gas_used: 21_000,
            contract_address: Some(Address::repeat_byte(3)),
            effective_gas_price: 5,
        };
        let receipts = vec![stored.clone(), StoredReceipt { contract_address: None, ..stored }];
        assert_eq!(decode_receipts(&encode_receipts(&receipts)).unwrap(), receipts);
        let certificate = Certificate {
            height: Height(4),
            block_hash: B256::repeat_byte(1),
            signatures: [(ValidatorIndex(0), [1; 64]), (ValidatorIndex(3), [2; 64])].into(),
        };
        assert_eq!(decode_certificate(&encode_certificate(&certificate)).unwrap(), certificate);
        let attestation = Attestation {
            height: Height(4),
            block_hash: B256::repeat_byte(1),
            validator: ValidatorIndex(2),
            signature: [7; 64],
        };
        assert_eq!(decode_attestation(&encode_attestation(&attestation)).unwrap(), attestation);
        let location = TransactionLocation { height: Height(7), index: 3 };
        assert_eq!(decode_location(&encode_location(location)).unwrap(), location);
    }

    #[test]
    fn a_byte_after_a_transaction_or_a_receipt_is_refused() {
        let block = block();
        let mut record: BlockRecord = decode("block", &encode_block(&block)).unwrap();
        record.transactions[1] = [record.transactions[1].as_ref(), &[0]].concat().into();
        let error = decode_block(&alloy_rlp::encode(record)).unwrap_err();
        assert!(error.to_string().contains("bytes after the end"), "{error}");
        let receipt = ReceiptEnvelope::Legacy(ReceiptWithBloom::from(Receipt::default()));
        let record = |more: &[u8]| ReceiptRecord {
            receipt: [receipt.encoded_2718().as_slice(), more].concat().into(),
            gas_used: 21_000,
            contract_address: Bytes::new(),
            effective_gas_price: 5,
        };
        assert_eq!(decode_receipts(&alloy_rlp::encode(vec![record(&[])])).unwrap()[0].receipt, receipt);
        assert!(decode_receipts(&alloy_rlp::encode(vec![record(&[0])])).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_block(&bytes);
            let _ = decode_block_from_peer(&bytes, CHAIN_ID);
            let _ = decode_receipts(&bytes);
            let _ = decode_certificate(&bytes);
            let _ = decode_attestation(&bytes);
        }
    }
}
