//! Proofs: alloy-trie accepts ours, we accept alloy-trie's, and nobody accepts a changed one.

use crate::oracle::{Pairs, any_key, apply, batch, built, oracle_proof};
use alloy_primitives::{B256, Bytes};
use alloy_trie::proof::verify_proof as oracle_verify;
use bxp_trie::{EMPTY_ROOT, Nibbles, ProofError, prove, verify_proof};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn proofs_agree_with_the_oracle(first in batch(30), others in prop::collection::vec(any_key(), 0..12)) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        let (root, nodes) = built(&pairs);
        for key in pairs.keys().copied().chain(others) {
            let value = pairs.get(&key).cloned();
            let proof = prove(&nodes, key).unwrap();
            prop_assert_eq!(verify_proof(root, key, &proof).unwrap(), value.clone());
            prop_assert!(oracle_verify(root, Nibbles::unpack(key), value.clone(), &proof).is_ok());
            // The oracle also hands out nodes that stand inside their parents, which are no part of a proof.
            let theirs: Vec<Bytes> = oracle_proof(&pairs, key)
                .into_iter()
                .enumerate()
                .filter_map(|(at, node)| (at == 0 || node.len() >= 32).then_some(node))
                .collect();
            prop_assert_eq!(verify_proof(root, key, &theirs), Ok(value));
        }
    }

    #[test]
    fn a_changed_proof_is_refused(
        first in batch(30),
        key in any_key(),
        at in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut pairs = Pairs::new();
        apply(&mut pairs, &first);
        prop_assume!(!pairs.is_empty());
        let (root, nodes) = built(&pairs);
        let proof = prove(&nodes, key).unwrap();
        let index = at.index(proof.len());

        let mut changed = proof.clone();
        let mut node = changed[index].to_vec();
        let place = byte.index(node.len());
        node[place] ^= flip;
        changed[index] = node.into();
        prop_assert_eq!(verify_proof(root, key, &changed), Err(ProofError::WrongHash { index }));

        let cut = &proof[..index];
        prop_assert_eq!(verify_proof(root, key, cut), Err(ProofError::Truncated { index }));

        let mut longer = proof.clone();
        longer.push(proof[index].clone());
        prop_assert_eq!(verify_proof(root, key, &longer), Err(ProofError::Surplus { count: 1 }));

        let other = B256::repeat_byte(0x5e);
        prop_assert_eq!(verify_proof(other, key, &proof), Err(ProofError::WrongHash { index: 0 }));
    }
}

#[test]
fn an_empty_trie_proves_absence() {
    let key = B256::repeat_byte(3);
    let proof = prove(&crate::oracle::Nodes::new(), key).unwrap();
    assert!(proof.is_empty());
    assert_eq!(verify_proof(EMPTY_ROOT, key, &proof), Ok(None));
    assert_eq!(verify_proof(EMPTY_ROOT, key, &[Bytes::from_static(&[0x80])]), Ok(None));
    assert_eq!(verify_proof(B256::repeat_byte(1), key, &[]), Err(ProofError::Truncated { index: 0 }));
}
