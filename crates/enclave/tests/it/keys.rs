//! Data keys: sealed, wrapped for this node, wrapped for others.

use crate::seeds;
use bxp_enclave::{Enclave, EnclaveError, SealingKeypair};

#[test]
fn a_data_key_travels_from_holder_to_holder_and_to_a_buyer() {
    let dir = tempfile::tempdir().unwrap();
    let holder = Enclave::create(&dir.path().join("holder"), None, None).unwrap();
    let replica = Enclave::create(&dir.path().join("replica"), None, Some(&seeds())).unwrap();
    let buyer = SealingKeypair::random().unwrap();
    let (sealed, key) = holder.seal(b"a resource", b"class").unwrap();
    let patient = [7; 16];
    assert!(matches!(holder.wrap_key(&patient, &key, b"cid"), Err(EnclaveError::NoPatientKey)));
    holder.ensure_patients(&[patient]).unwrap();
    replica.ensure_patients(&[patient]).unwrap();
    let wrapped = holder.wrap_key(&patient, &key, b"cid").unwrap();
    assert_eq!(wrapped.len(), 64);
    drop(key);
    let key = holder.unwrap_key(&patient, &wrapped, b"cid").unwrap();
    assert!(holder.unwrap_key(&patient, &wrapped, b"another cid").is_err());
    assert!(replica.unwrap_key(&patient, &wrapped, b"cid").is_err(), "another patient key");

    let to_replica = holder.wrap_for(replica.public().sealing_key, &key, b"replication").unwrap();
    let to_buyer = holder.wrap_for(buyer.public_key(), &key, b"delivery").unwrap();
    let at_replica = replica.unwrap_from(&to_replica, b"replication").unwrap();
    assert_eq!(replica.unseal(&at_replica, &sealed, b"class").unwrap(), b"a resource");
    let at_buyer = buyer.unwrap_from(&to_buyer, b"delivery").unwrap();
    assert_eq!(at_buyer.unseal(&sealed, b"class").unwrap(), b"a resource");
    assert!(holder.unwrap_from(&to_replica, b"replication").is_err(), "not even its sender");
    assert!(matches!(replica.unwrap_from(&to_replica, b"delivery"), Err(EnclaveError::Unsealable)));
}

#[test]
fn whole_messages_reach_their_node_only() {
    let dir = tempfile::tempdir().unwrap();
    let node = Enclave::create(&dir.path().join("node"), None, None).unwrap();
    let other = Enclave::create(&dir.path().join("other"), None, None).unwrap();
    let message = other.seal_to(node.public().sealing_key, b"hello", b"info", b"aad").unwrap();
    assert_eq!(node.open_sealed(&message, b"info", b"aad").unwrap(), b"hello");
    assert!(other.open_sealed(&message, b"info", b"aad").is_err());
}

#[test]
fn fingerprints_are_stable_here_and_meaningless_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node");
    let node = Enclave::create(&path, None, None).unwrap();
    let other = Enclave::create(&dir.path().join("other"), None, None).unwrap();
    let print = node.fingerprint(b"a bundle");
    assert_ne!(print, node.fingerprint(b"a bundlf"));
    assert_ne!(print, other.fingerprint(b"a bundle"));
    drop(node);
    assert_eq!(Enclave::open(&path, None).unwrap().fingerprint(b"a bundle"), print);
}

#[test]
fn debug_output_has_public_keys_only() {
    let dir = tempfile::tempdir().unwrap();
    let node = Enclave::create(&dir.path().join("node"), None, Some(&seeds())).unwrap();
    let shown =
        format!("{node:?} {:?} {:?} {:?}", node.network_key(), seeds(), node.seal(b"x", b"").unwrap().1);
    for secret in ["0101010101", "0202020202", "4646464646", "1, 1, 1, 1", "70, 70, 70"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
