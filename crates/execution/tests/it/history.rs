//! Goal: what a past block's state says is what it said when it was the newest, proofs included, until its depth has
//! passed. Random blocks; after each one the accounts and slots are noted, and in the end asked for at every height.

use crate::{
    kit::{Account, CONTRACT, Chain, TREASURY, deploying, genesis, store, transaction},
    roots::{action, transactions},
};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use bxp_execution::{ExecutionError, Retention, State, StateView};
use bxp_types::{AccountState, CallOutcome, CallRequest, Height};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What one state said when it was the newest.
struct Noted {
    header: alloy_consensus::Header,
    accounts: BTreeMap<Address, (AccountState, Bytes)>,
    slots: BTreeMap<(Address, U256), U256>,
}

fn note(chain: &Chain, contracts: &[Address]) -> Noted {
    let state = &chain.state;
    let people = (1..=3).map(|seed| Account::new(seed).address);
    let plain = (0..=u8::MAX).map(Address::repeat_byte);
    let addresses = people.chain(plain).chain(contracts.iter().copied()).chain([TREASURY]);
    let account = |address| (address, (state.account(address).unwrap(), state.code(address).unwrap()));
    let slots = contracts.iter().flat_map(|contract| (0..6).map(|slot| (*contract, U256::from(slot))));
    Noted {
        header: chain.head.clone(),
        accounts: addresses.map(account).collect(),
        slots: slots.map(|(at, slot)| ((at, slot), state.storage_slot(at, slot).unwrap())).collect(),
    }
}

fn compare(state: &StateView, noted: &Noted) {
    let height = noted.header.number;
    for (address, (account, code)) in &noted.accounts {
        assert_eq!(state.account(*address).unwrap(), *account, "{address} at {height}");
        assert_eq!(state.code(*address).unwrap(), *code, "code of {address} at {height}");
        let proof = state.prove_account(*address).unwrap();
        let value = bxp_trie::verify_proof(noted.header.state_root, keccak256(address), &proof).unwrap();
        let proven = value.map(|value| alloy_rlp::decode_exact::<TrieAccount>(value).unwrap());
        assert_eq!(proven.map(|proven| proven.balance), account.code_hash.map(|_| account.balance));
        assert_eq!(
            proven.map_or(bxp_trie::EMPTY_ROOT, |proven| proven.storage_root),
            state.storage_root(*address).unwrap()
        );
    }
    for ((address, slot), value) in &noted.slots {
        assert_eq!(state.storage_slot(*address, *slot).unwrap(), *value, "slot {slot} at {height}");
        let proof = state.prove_slot(*address, *slot).unwrap();
        let key = keccak256(slot.to_be_bytes::<32>());
        let proven = bxp_trie::verify_proof(state.storage_root(*address).unwrap(), key, &proof).unwrap();
        let value = (!value.is_zero()).then(|| alloy_rlp::encode(value));
        assert_eq!(proven, value, "proof of slot {slot} at {height}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn every_retained_state_is_as_it_was(
        blocks in prop::collection::vec(prop::collection::vec((any::<u8>(), action()), 0..12), 1..8),
        depth in 1_u64..8,
    ) {
        let people: Vec<_> = (1..=3).map(Account::new).collect();
        let mut chain = Chain::retaining(genesis(&people), Retention::Blocks(depth));
        let (mut contracts, mut noted) = (Vec::new(), Vec::new());
        noted.push(note(&chain, &contracts));
        for actions in &blocks {
            let transactions = transactions(&chain, actions, &mut contracts);
            let executed = chain.execute(transactions);
            chain.commit(&executed);
            noted.push(note(&chain, &contracts));
        }
        let chain = chain.reopen_retaining(Retention::Blocks(depth));
        let newest = chain.head.number;
        for noted in &noted {
            let height = noted.header.number;
            match chain.state.at(Height(height)) {
                Ok(state) => compare(&state, noted),
                Err(error) => {
                    let oldest = Height(newest - depth);
                    let expected = matches!(error, ExecutionError::NotRetained { oldest: at, .. } if at == oldest);
                    prop_assert!(expected && height < oldest.0, "{error} at {height}");
                }
            }
        }
        prop_assert!(chain.state.at(Height(newest + 1)).is_err());
    }
}

#[test]
fn a_call_at_a_past_block_sees_its_state() {
    let alice = Account::new(1);
    let mut chain = Chain::retaining(genesis(&[alice]), Retention::All);
    let contract = alice.address.create(0);
    chain.add(vec![alice.sign(transaction(0, TxKind::Create, 0, deploying(&CONTRACT)))]);
    let mut headers = vec![chain.head.clone()];
    for nonce in 1..=3 {
        chain.add(vec![alice.sign(transaction(nonce, contract.into(), 0, []))]);
        headers.push(chain.head.clone());
    }
    let request = CallRequest { to: Some(contract), ..CallRequest::default() };
    for (count, header) in (0_u64..).zip(&headers) {
        let state = chain.state.at(Height(header.number)).unwrap();
        let CallOutcome::Success { output, .. } = state.call(header, &request).unwrap() else {
            panic!("the contract counts");
        };
        assert_eq!(
            U256::from_be_slice(&output),
            U256::from(count + 1),
            "one more than block {}",
            header.number
        );
    }
}

#[test]
fn a_view_stays_where_it_is_while_blocks_are_committed() {
    let alice = Account::new(1);
    let bob = Address::repeat_byte(0xb0);
    let mut chain = Chain::retaining(genesis(&[alice]), Retention::Blocks(1));
    let before = chain.state.newest();
    for nonce in 0..4 {
        chain.add(vec![alice.sign(transaction(nonce, bob.into(), 7, []))]);
    }
    assert_eq!(before.account(bob).unwrap().balance, U256::ZERO);
    assert_eq!(chain.balance(bob), U256::from(28));
}

#[test]
fn a_lower_depth_removes_the_past_and_a_higher_one_does_not_bring_it_back() {
    let alice = Account::new(1);
    let mut chain = Chain::retaining(genesis(&[alice]), Retention::All);
    let block = |nonce| vec![alice.sign(transaction(nonce, Address::repeat_byte(1).into(), 1, store(1, 2)))];
    for nonce in 0..20 {
        chain.add(block(nonce));
    }
    assert!(chain.state.at(Height(0)).is_ok());
    let oldest = |state: &State| match state.at(Height(0)).unwrap_err() {
        ExecutionError::NotRetained { oldest, .. } => oldest.0,
        error => panic!("{error}"),
    };
    let mut chain = chain.reopen_retaining(Retention::Blocks(2));
    chain.add(block(20));
    assert_eq!(oldest(&chain.state), 8, "no block waits for the whole past to be removed");
    for nonce in 21..24 {
        chain.add(block(nonce));
    }
    assert_eq!(oldest(&chain.state), 22);
    let mut chain = chain.reopen_retaining(Retention::All);
    chain.add(block(24));
    assert_eq!(oldest(&chain.state), 22);
    // Nothing of the removed blocks is left behind.
    let rows = |name: &str| chain.store.table(name).unwrap().iter();
    for entry in
        rows("state.history").chain(rows("state.history_packs")).chain(rows("state.history_pack_keys"))
    {
        let (key, _) = entry.unwrap();
        let height = u64::from_be_bytes(key[key.len() - 8..].try_into().unwrap());
        assert!(height > 22, "an entry of block {height} is left");
    }
}
