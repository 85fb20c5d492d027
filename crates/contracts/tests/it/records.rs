//! RecordRegistry: who may anchor what, and what a proof proves.

use crate::chain::Chain;
use crate::fixture::{DAWN, STAR, STRANGER, anchor, anchor_call, patient};
use bxp_contracts::merkle::{Proof, Tree, leaf, record_leaf};
use bxp_contracts::{RECORD_REGISTRY, RecordRegistry};
use bxp_types::primitives::{Address, B256, U256};
use proptest::prelude::*;

fn verifies(chain: &mut Chain, batch: U256, leaf: B256, proof: &Proof) -> bool {
    let call = RecordRegistry::verifyCall {
        batchId: batch,
        leaf,
        index: U256::from(proof.index),
        siblings: proof.siblings.clone(),
    };
    chain.read(RECORD_REGISTRY, &call)
}

#[test]
fn a_holder_anchors_and_everyone_reads() {
    let mut chain = Chain::new(&[STAR, DAWN]);
    let root = B256::repeat_byte(7);
    let done = chain.send(STAR, RECORD_REGISTRY, &anchor_call(root, 3)).unwrap();
    let event = &done.events::<RecordRegistry::Anchored>()[0];
    assert_eq!((event.batchId, event.holder, event.root, event.count), (U256::ONE, STAR, root, 3));
    assert_eq!((event.jurisdiction.as_slice(), event.time.to::<u64>()), (b"US".as_slice(), chain.time));

    let batch = chain.read(RECORD_REGISTRY, &RecordRegistry::batchCall { batchId: U256::ONE });
    assert_eq!((batch.holder, batch.root, batch.count), (STAR, root, 3));
    let id = chain.read(RECORD_REGISTRY, &RecordRegistry::batchIdOfCall { holder: STAR, root });
    assert_eq!(id, U256::ONE);
}

#[test]
fn what_cannot_be_anchored_is_refused_by_name() {
    let mut chain = Chain::new(&[STAR, DAWN]);
    let root = B256::repeat_byte(7);
    let refused = chain.send(STRANGER, RECORD_REGISTRY, &anchor_call(root, 3)).unwrap_err();
    assert_eq!(refused.as_error::<RecordRegistry::NotAuthorisedHolder>().account, STRANGER);
    for (root, count) in [(B256::ZERO, 3), (root, 0)] {
        let refused = chain.send(STAR, RECORD_REGISTRY, &anchor_call(root, count)).unwrap_err();
        refused.as_error::<RecordRegistry::EmptyBatch>();
    }
    for wrong in [b"us", b"U1", b"\0\0"] {
        let call = RecordRegistry::anchorCall { root, count: 1, jurisdiction: wrong.into() };
        let refused = chain.send(STAR, RECORD_REGISTRY, &call).unwrap_err();
        assert_eq!(refused.as_error::<RecordRegistry::NotACountry>().jurisdiction.0, *wrong);
    }
    for batch in [0, 1] {
        let call = RecordRegistry::batchCall { batchId: U256::from(batch) };
        let refused = chain.send(STAR, RECORD_REGISTRY, &call).unwrap_err();
        assert_eq!(refused.as_error::<RecordRegistry::UnknownBatch>().batchId, U256::from(batch));
    }
}

#[test]
fn the_same_root_twice_reverts_for_the_same_holder_only() {
    let mut chain = Chain::new(&[STAR, DAWN]);
    let root = B256::repeat_byte(7);
    chain.send(STAR, RECORD_REGISTRY, &anchor_call(root, 3)).unwrap();
    let refused = chain.send(STAR, RECORD_REGISTRY, &anchor_call(root, 4)).unwrap_err();
    assert_eq!(refused.as_error::<RecordRegistry::AlreadyAnchored>().batchId, U256::ONE);
    chain.send(DAWN, RECORD_REGISTRY, &anchor_call(root, 3)).unwrap();
    assert_eq!(chain.read(RECORD_REGISTRY, &RecordRegistry::batchCountCall {}), U256::from(2));
}

#[test]
fn a_record_leaf_is_the_leaf_over_patient_and_commitment() {
    let (patient, commitment) = (patient(1), B256::repeat_byte(2));
    assert_eq!(record_leaf(patient, commitment), leaf(&[patient.as_slice(), commitment.as_slice()].concat()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Solidity and Rust agree on every proof, the right ones and the damaged ones.
    #[test]
    fn the_contract_and_the_crate_verify_alike(
        count in 1_u8..40,
        pick in any::<prop::sample::Index>(),
        wrong_index in 0_u32..48,
        damage in any::<prop::sample::Index>(),
    ) {
        let mut chain = Chain::new(&[STAR]);
        let patients: Vec<Address> = (0..count).map(patient).collect();
        let batch = anchor(&mut chain, STAR, &patients);
        let index = pick.index(usize::from(count));
        let leaf = record_leaf(patients[index], batch.commitments[index]);
        let proof = batch.tree.prove(index as u32).unwrap();
        prop_assert!(verifies(&mut chain, batch.id, leaf, &proof));

        let mut damaged = vec![Proof { index: wrong_index, ..proof.clone() }];
        if !proof.siblings.is_empty() {
            let at = damage.index(proof.siblings.len());
            let mut siblings = proof.siblings.clone();
            siblings[at] = B256::repeat_byte(0xbd);
            damaged.push(Proof { siblings, ..proof.clone() });
            let mut siblings = proof.siblings.clone();
            siblings.remove(at);
            damaged.push(Proof { siblings, ..proof.clone() });
        }
        let mut siblings = proof.siblings.clone();
        siblings.push(B256::repeat_byte(0xbd));
        damaged.push(Proof { siblings, ..proof.clone() });
        for wrong in damaged {
            let expected = wrong.verify(batch.tree.root(), u32::from(count), leaf);
            prop_assert_eq!(expected, wrong == proof);
            prop_assert_eq!(verifies(&mut chain, batch.id, leaf, &wrong), expected);
        }
    }
}

#[test]
fn an_inner_node_shown_as_a_leaf_is_refused() {
    let mut chain = Chain::new(&[STAR]);
    let leaves: Vec<B256> = (0..4_u8).map(|number| leaf(&[number])).collect();
    let tree = Tree::new(leaves.clone()).unwrap();
    chain.send(STAR, RECORD_REGISTRY, &anchor_call(tree.root(), 4)).unwrap();
    let right = Tree::new(leaves[2..].to_vec()).unwrap().root();
    let left = Tree::new(leaves[..2].to_vec()).unwrap().root();
    for index in 0..4 {
        let forged = Proof { index, siblings: vec![right] };
        assert!(!verifies(&mut chain, U256::ONE, left, &forged));
    }
}
