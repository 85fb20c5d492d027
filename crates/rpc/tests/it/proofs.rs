//! Proofs that a client checks against the header.

use crate::dev::{DevRig, STORES};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{Nibbles, proof::verify_proof};
use serde_json::{Value, json};

fn list(value: &Value) -> Vec<Bytes> {
    serde_json::from_value(value.clone()).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_hold_against_the_state_root_of_any_block() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    for value in [7_u64, 8] {
        rig.send(json!({ "to": contract, "data": format!("0x{value:064x}") })).await;
    }
    for (block, value) in [("0x2", 7_u64), ("0x3", 8)] {
        let header = rig.call("eth_getBlockByNumber", json!([block, false])).await;
        let root: B256 = read(&header["stateRoot"]);
        let proof = rig.call("eth_getProof", json!([contract, ["0x0", "0x1"], block])).await;
        let account = TrieAccount {
            nonce: read::<U256>(&proof["nonce"]).to(),
            balance: read(&proof["balance"]),
            storage_root: read(&proof["storageHash"]),
            code_hash: read(&proof["codeHash"]),
        };
        let key = Nibbles::unpack(keccak256(contract));
        verify_proof(root, key, Some(alloy_rlp::encode(account)), &list(&proof["accountProof"])).unwrap();
        let slot = |index: u64| Nibbles::unpack(keccak256(U256::from(index).to_be_bytes::<32>()));
        let [first, second] = &proof["storageProof"].as_array().unwrap()[..] else { panic!("{proof}") };
        assert_eq!(first["value"], format!("{value:#x}"));
        let leaf = Some(alloy_rlp::encode(U256::from(value)));
        verify_proof(account.storage_root, slot(0), leaf, &list(&first["proof"])).unwrap();
        verify_proof(account.storage_root, slot(1), None, &list(&second["proof"])).unwrap();
    }
    let header = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    let nobody = Address::repeat_byte(0x99);
    let proof = rig.call("eth_getProof", json!([nobody, [], "latest"])).await;
    let key = Nibbles::unpack(keccak256(nobody));
    verify_proof(read(&header["stateRoot"]), key, None, &list(&proof["accountProof"])).unwrap();
    assert_eq!(proof["balance"], "0x0");
}
