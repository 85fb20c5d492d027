//! Contracts: deployment, calls, logs, reverts, destruction, what they see of the chain.

use crate::kit::{Account, CONTRACT, Chain, deploying, genesis, store, transaction};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use bxp_types::{CallOutcome, CallRequest, GenesisAccount, LedgerError};

fn deployed() -> (Chain, Account, Address) {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let executed = chain.add(vec![alice.sign(transaction(0, TxKind::Create, 0, deploying(&CONTRACT)))]);
    let contract = executed.receipts[0].contract_address.unwrap();
    (chain, alice, contract)
}

fn call(chain: &Chain, to: Address, data: impl Into<Bytes>) -> CallOutcome {
    let request = CallRequest { to: Some(to), data: data.into(), ..CallRequest::default() };
    chain.state.call(&chain.head, &request).unwrap()
}

#[test]
fn a_contract_is_deployed_called_logs_and_reverts() {
    let (mut chain, alice, contract) = deployed();
    assert_eq!(contract, alice.address.create(0));
    assert_eq!(chain.state.code(contract).unwrap()[..], CONTRACT);
    let account = chain.state.account(contract).unwrap();
    assert_eq!((account.nonce, account.code_hash), (1, Some(keccak256(CONTRACT))));

    let calls = [Bytes::new(), store(7, 99), Bytes::from_static(&[1]), Bytes::new()];
    let sent = (1..).zip(calls).map(|(nonce, data)| alice.sign(transaction(nonce, contract.into(), 0, data)));
    let executed = chain.add(sent.collect());
    let status: Vec<bool> = executed.receipts.iter().map(|receipt| receipt.receipt.status()).collect();
    assert_eq!(status, [true, true, false, true], "the one that reverts is included and pays");
    assert_eq!(chain.state.storage_slot(contract, U256::ZERO).unwrap(), U256::from(2));
    assert_eq!(chain.state.storage_slot(contract, U256::from(7)).unwrap(), U256::from(99));

    let logs: Vec<_> = executed.receipts.iter().map(|receipt| receipt.receipt.logs()).collect();
    assert_eq!(logs.iter().map(|logs| logs.len()).collect::<Vec<_>>(), [1, 0, 0, 1]);
    let topic = B256::with_last_byte(0x2a);
    assert_eq!((logs[3][0].address, logs[3][0].topics()), (contract, [topic].as_slice()));
    assert_eq!(U256::from_be_slice(&logs[3][0].data.data), U256::from(2));
    let bloom = executed.block.header.logs_bloom;
    assert!(bloom.contains_input(alloy_primitives::BloomInput::Raw(contract.as_slice())));
    assert!(bloom.contains_input(alloy_primitives::BloomInput::Raw(topic.as_slice())));
    assert!(executed.receipts[1].receipt.logs_bloom().is_zero());
}

#[test]
fn a_slot_set_to_zero_is_gone_and_the_root_is_as_before() {
    let (mut chain, alice, contract) = deployed();
    let write = |nonce, value| vec![alice.sign(transaction(nonce, contract.into(), 0, store(3, value)))];
    chain.add(write(1, 0));
    let proof = chain.state.prove_slot(contract, U256::from(3)).unwrap();
    chain.add(write(2, 5));
    assert_ne!(chain.state.prove_slot(contract, U256::from(3)).unwrap(), proof);
    chain.add(write(3, 0));
    assert_eq!(chain.state.prove_slot(contract, U256::from(3)).unwrap(), proof);
    assert_eq!(chain.state.storage_slot(contract, U256::from(3)).unwrap(), U256::ZERO);
}

#[test]
fn calls_read_and_change_nothing() {
    let (chain, alice, contract) = deployed();
    let one = U256::ONE.to_be_bytes::<32>();
    for _ in 0..2 {
        assert!(
            matches!(call(&chain, contract, []), CallOutcome::Success { output, gas_used } if output[..] == one && gas_used > 21_000)
        );
    }
    assert!(
        matches!(call(&chain, contract, [1]), CallOutcome::Revert { output, .. } if output[..] == *b"no")
    );
    let request = CallRequest { gas: Some(22_000), to: Some(contract), ..CallRequest::default() };
    let halted = chain.state.call(&chain.head, &request).unwrap();
    assert!(
        matches!(halted, CallOutcome::Halt { reason, gas_used: 22_000 } if reason.starts_with("OutOfGas"))
    );
    let create =
        CallRequest { from: Some(alice.address), data: deploying(&CONTRACT), ..CallRequest::default() };
    let created = chain.state.call(&chain.head, &create).unwrap();
    assert!(matches!(created, CallOutcome::Success { output, .. } if output[..] == CONTRACT));
    // A contract may be the caller.
    let from = CallRequest { from: Some(contract), to: Some(alice.address), ..CallRequest::default() };
    assert!(matches!(
        chain.state.call(&chain.head, &from),
        Ok(CallOutcome::Success { gas_used: 21_000, .. })
    ));
}

#[test]
fn a_call_that_cannot_begin_says_why_in_geths_words() {
    let (chain, alice, contract) = deployed();
    let pauper = Some(Address::repeat_byte(0x77));
    let plain = CallRequest { to: Some(contract), ..CallRequest::default() };
    let refused = [
        (
            CallRequest { from: pauper, value: U256::ONE, ..plain.clone() },
            "insufficient funds for gas * price + value: balance 0, tx cost 1",
        ),
        (
            CallRequest { from: pauper, gas_price: Some(2_000_000_000), gas: Some(50_000), ..plain.clone() },
            "insufficient funds for gas * price + value: balance 0, tx cost 100000000000000",
        ),
        (
            CallRequest { from: Some(alice.address), gas_price: Some(1), ..plain.clone() },
            "max fee per gas less than block base fee: maxFeePerGas: 1, baseFee: 875000000",
        ),
        (CallRequest { gas: Some(20_000), ..plain }, "intrinsic gas too low: have 20000, want 21000"),
    ];
    for (request, words) in refused {
        let error = chain.state.call(&chain.head, &request).unwrap_err();
        assert!(matches!(&error, LedgerError::InvalidCall(said) if said == words), "{error}");
    }
}

#[test]
fn a_contract_destroyed_where_it_was_created_leaves_nothing() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let heir = Address::repeat_byte(0x4e);
    // SSTORE(1, 1), then SELFDESTRUCT to the heir: it gets the 9 wei sent along.
    let init = [hex!("600160015573").as_slice(), heir.as_slice(), &[0xff]].concat();
    let executed = chain.add(vec![alice.sign(transaction(0, TxKind::Create, 9, init))]);
    assert!(executed.receipts[0].receipt.status());
    let gone = chain.state.account(alice.address.create(0)).unwrap();
    assert_eq!((gone.code_hash, chain.balance(heir)), (None, U256::from(9)));
}

#[test]
fn contracts_see_block_hashes_and_the_block() {
    let alice = Account::new(1);
    let mut document = genesis(&[alice]);
    // Returns BLOCKHASH(NUMBER - 1) and PREVRANDAO.
    let code = Bytes::from_static(&hex!("6001430340600052446020526040 6000f3"));
    let contract = Address::repeat_byte(0xcc);
    document.accounts.insert(contract, GenesisAccount { code, ..GenesisAccount::default() });
    let mut chain = Chain::new(document);
    let parent = chain.head.hash_slow();
    chain.add(Vec::new());
    let CallOutcome::Success { output, .. } = call(&chain, contract, []) else { panic!("it returns") };
    assert_eq!(output, [parent.0, [0xaa; 32]].concat());
}

#[test]
fn system_contracts_are_told_if_genesis_has_them() {
    let alice = Account::new(1);
    let mut document = genesis(&[alice]);
    for (address, code) in
        [(HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE), (BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE)]
    {
        let account = GenesisAccount { code: code.clone(), ..GenesisAccount::default() };
        document.accounts.insert(address, account);
    }
    let mut chain = Chain::new(document);
    let parent = chain.head.hash_slow();
    let executed = chain.add(Vec::new());
    assert_eq!(executed.changes.changed_accounts().count(), 2);
    let word = |outcome| match outcome {
        CallOutcome::Success { output, .. } => B256::from_slice(&output),
        other => panic!("{other:?}"),
    };
    // As in a later block: both contracts answer for the past.
    chain.add(Vec::new());
    assert_eq!(word(call(&chain, HISTORY_STORAGE_ADDRESS, B256::ZERO)), parent);
    let time = U256::from(executed.block.header.timestamp).to_be_bytes::<32>();
    assert_eq!(word(call(&chain, BEACON_ROOTS_ADDRESS, time)), B256::repeat_byte(0xbb));
}
