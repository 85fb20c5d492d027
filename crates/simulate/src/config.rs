//! EIP-7910: the parameters of a chain's fork.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U64};
use bxp_execution::ChainSpec;
use revm::{handler::EthPrecompiles, primitives::hardfork::SpecId};
use serde_json::{Map, Value, json};

/// The reflected polynomial of CRC-32 (IEEE 802.3), which EIP-2124 hashes forks with.
const CRC32_POLYNOMIAL: u32 = 0xedb8_8320;

/// Names of the precompiles by address (EIP-7910).
const PRECOMPILES: [(u64, &str); 18] = [
    (0x01, "ECREC"),
    (0x02, "SHA256"),
    (0x03, "RIPEMD160"),
    (0x04, "ID"),
    (0x05, "MODEXP"),
    (0x06, "BN254_ADD"),
    (0x07, "BN254_MUL"),
    (0x08, "BN254_PAIRING"),
    (0x09, "BLAKE2F"),
    (0x0a, "KZG_POINT_EVALUATION"),
    (0x0b, "BLS12_G1ADD"),
    (0x0c, "BLS12_G1MSM"),
    (0x0d, "BLS12_G2ADD"),
    (0x0e, "BLS12_G2MSM"),
    (0x0f, "BLS12_PAIRING_CHECK"),
    (0x10, "BLS12_MAP_FP_TO_G1"),
    (0x11, "BLS12_MAP_FP2_TO_G2"),
    (0x100, "P256VERIFY"),
];

/// The configuration of a network that has had one fork since its genesis: that one is current, and none is known to
/// follow.
#[must_use]
pub fn config(spec: &ChainSpec, genesis: B256, head: &Header) -> Value {
    let now = spec.rules(head);
    let blobs = json!({
        "target": now.blobs.target_blob_count,
        "max": now.blobs.max_blob_count,
        "baseFeeUpdateFraction": u64::try_from(now.blobs.update_fraction).unwrap_or(u64::MAX),
    });
    let current = json!({
        "activationTime": 0,
        "blobSchedule": blobs,
        "chainId": U64::from(spec.chain_id()),
        "forkId": format!("{:#010x}", crc32(genesis.as_slice())),
        "precompiles": precompiles(now.fork),
        "systemContracts": system_contracts(),
    });
    json!({ "current": current, "next": null, "last": null })
}

/// The precompiles of `fork` by name.
fn precompiles(fork: SpecId) -> Value {
    let there = EthPrecompiles::new(fork);
    let named =
        PRECOMPILES.iter().map(|(number, name)| (Address::left_padding_from(&number.to_be_bytes()), *name));
    let kept = named.filter(|(address, _)| there.contains(address));
    Value::Object(kept.map(|(address, name)| (name.to_owned(), json!(address))).collect::<Map<_, _>>())
}

fn system_contracts() -> Value {
    json!({
        "BEACON_ROOTS_ADDRESS": alloy_eips::eip4788::BEACON_ROOTS_ADDRESS,
        "HISTORY_STORAGE_ADDRESS": alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS,
    })
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| if crc & 1 == 1 { (crc >> 1) ^ CRC32_POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    #[test]
    fn the_fork_id_is_that_of_eip_2124() {
        // The EIP's first vector: mainnet before Homestead.
        let mainnet = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
        assert_eq!(crc32(mainnet.as_slice()), 0xfc64_ec04);
    }

    #[test]
    fn precompiles_are_those_of_the_fork() {
        assert!(precompiles(SpecId::OSAKA).get("P256VERIFY").is_some());
        assert!(precompiles(SpecId::PRAGUE).get("P256VERIFY").is_none());
        assert_eq!(precompiles(SpecId::HOMESTEAD).as_object().unwrap().len(), 4);
    }
}
