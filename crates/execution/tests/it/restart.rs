//! The state is there after a restart, whole blocks only.

use crate::kit::{Account, Chain, genesis, transaction};
use alloy_primitives::{Address, B256, U256};
use bxp_execution::{ExecutionError, State};
use bxp_storage::Durability;
use bxp_types::{Amount, GenesisAccount, Height};

const BOB: Address = Address::repeat_byte(0xb0);

#[test]
fn what_is_committed_is_there_and_what_is_not_is_not() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let transfer = |nonce| vec![alice.sign(transaction(nonce, BOB.into(), 1, []))];
    chain.add(transfer(0));
    let second = chain.execute(transfer(1));
    assert_eq!(chain.balance(BOB), U256::ONE, "executing writes nothing");
    let mut batch = chain.store.batch();
    chain.state.commit(&mut batch, &second).unwrap();
    assert_eq!(chain.balance(BOB), U256::ONE, "nor does a batch before it is committed");
    drop(batch);

    let mut chain = chain.reopen();
    assert_eq!((chain.balance(BOB), chain.state.head().unwrap().height), (U256::ONE, Height(1)));
    assert_eq!(chain.execute(transfer(1)), second, "the same block on the same state, after a restart");
    chain.commit(&second);
    assert_eq!(chain.balance(BOB), U256::from(2));
}

#[test]
fn a_block_that_does_not_follow_is_refused() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let genesis_header = chain.head.clone();
    let input = chain.input(Vec::new());
    let first = chain.add(Vec::new());
    let error = chain.state.execute(&genesis_header, input.clone()).unwrap_err();
    assert!(
        matches!(error, ExecutionError::NotOnHead { height: Height(1), head_height: Height(1), .. }),
        "{error}"
    );
    let error = chain.state.execute(&chain.head, input).unwrap_err();
    assert!(matches!(error, ExecutionError::NotOnHead { .. }), "the parent fits, the height does not");
    let error = chain.state.commit(&mut chain.store.batch(), &first).unwrap_err();
    assert!(matches!(error, ExecutionError::NotOnHead { .. }), "a block is committed once");
}

#[test]
fn genesis_gives_balances_code_and_storage() {
    let mut document = genesis(&[Account::new(1)]);
    let (contract, empty) = (Address::repeat_byte(0xcc), Address::repeat_byte(0xee));
    let storage = [(B256::with_last_byte(1), B256::with_last_byte(2)), (B256::with_last_byte(3), B256::ZERO)];
    let account =
        GenesisAccount { balance: Amount::from_mbxm(5), code: vec![0xfe].into(), storage: storage.into() };
    document.accounts.insert(contract, account);
    document.accounts.insert(empty, GenesisAccount::default());
    let chain = Chain::new(document).reopen();
    let state = &chain.state;
    assert_eq!(state.genesis_block().header.extra_data[..], chain.genesis.network_id().0);
    assert_eq!(state.head().unwrap().hash, state.genesis_block().hash);
    assert_eq!(
        (state.account(contract).unwrap().nonce, state.code(contract).unwrap().as_ref()),
        (1, [0xfe].as_slice())
    );
    assert_eq!(state.storage_slot(contract, U256::ONE).unwrap(), U256::from(2));
    assert_eq!(state.account(empty).unwrap().code_hash, None);
    assert_eq!(chain.balance(contract), Amount::from_mbxm(5).0);
}

#[test]
fn a_genesis_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |account: GenesisAccount| {
        let mut document = genesis(&[Account::new(1)]);
        document.accounts.insert(BOB, account);
        let store = bxp_storage::Store::open(folder.path(), bxp_types::NetworkId([1; 32])).unwrap();
        State::open(&store, &document).unwrap_err().to_string()
    };
    let storage = [(B256::ZERO, B256::with_last_byte(1))].into();
    assert!(
        wrong(GenesisAccount { storage, ..GenesisAccount::default() })
            .ends_with("it has storage but no code")
    );
    let rich = GenesisAccount { balance: Amount(U256::MAX), ..GenesisAccount::default() };
    assert!(wrong(rich).ends_with("the balances add up to more than 2^256"));
    let code = vec![0xef, 0x01, 0x00].into();
    assert!(
        wrong(GenesisAccount { code, ..GenesisAccount::default() })
            .ends_with("its code is a malformed delegation")
    );
    let store = bxp_storage::Store::open(folder.path(), bxp_types::NetworkId([1; 32])).unwrap();
    State::open(&store, &genesis(&[Account::new(1)])).unwrap();
    let error = State::open(&store, &genesis(&[Account::new(2)])).unwrap_err();
    assert!(matches!(error, ExecutionError::OtherGenesis { .. }), "{error}");
}

#[test]
fn a_reader_sees_whole_blocks_while_they_are_committed() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let state = chain.state.clone();
    let total = state.account(alice.address).unwrap().balance;
    let request = bxp_types::CallRequest { to: Some(BOB), ..Default::default() };
    let header = chain.head.clone();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for nonce in 0..50 {
                let executed = chain.execute(vec![alice.sign(transaction(nonce, BOB.into(), 1, []))]);
                let mut batch = chain.store.batch();
                chain.state.commit(&mut batch, &executed).unwrap();
                batch.commit(Durability::Buffered).unwrap();
                chain.head = executed.block.header;
            }
        });
        while !writer.is_finished() {
            let head = state.head().unwrap();
            let proof = state.prove_account(alice.address).unwrap();
            // The proof is of one whole state: that of the head before or after it was made.
            let roots = [head.state_root, state.head().unwrap().state_root];
            let key = alloy_primitives::keccak256(alice.address);
            let known = roots.iter().any(|root| bxp_trie::verify_proof(*root, key, &proof).is_ok());
            let height = state.head().unwrap().height.0;
            assert!(known || height > head.height.0 + 1, "a torn read at height {height}");
            assert!(state.account(alice.address).unwrap().balance <= total);
            state.call(&header, &request).unwrap();
        }
        writer.join().unwrap();
    });
}
