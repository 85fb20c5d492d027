//! Goal: a Solidity contract pays a batch through a high-level call, on a network whose genesis has the system contracts.

use crate::kit::{Account, Chain, GWEI, genesis, transaction};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolEvent, sol};
use bxp_contracts::{IPayments, payments};
use bxp_execution::{NEW_ACCOUNT_GAS, PAYMENT_GAS, PAYMENTS};
use bxp_types::{Amount, Genesis};

sol!(
    #[allow(missing_docs)]
    Payroll,
    "../../contracts/artifacts/test/Payroll.json"
);

/// A genesis with the system contracts.
fn with_contracts(funded: &[Account]) -> Genesis {
    let mut genesis = genesis(funded);
    genesis.accounts.extend(bxp_contracts::genesis_accounts([], Address::repeat_byte(0x7e)));
    genesis
}

/// A chain with a payroll that has `balance` wei, and its address.
fn payroll(alice: Account, balance: u128) -> (Chain, Address) {
    let mut chain = Chain::new(with_contracts(&[alice]));
    let create = transaction(0, TxKind::Create, 0, Payroll::BYTECODE.clone());
    let contract = alice.address.create(0);
    let deployed = chain.add(vec![
        alice.sign(TxEip1559 { gas_limit: 2_000_000, ..create }),
        alice.sign(transaction(1, contract.into(), balance, [])),
    ]);
    assert!(deployed.receipts.iter().all(|receipt| receipt.receipt.status()));
    (chain, contract)
}

fn call(contract: Address, value: u128, call: &impl SolCall) -> TxEip1559 {
    let data: Bytes = call.abi_encode().into();
    TxEip1559 { gas_limit: 4_000_000, ..transaction(2, contract.into(), value, data) }
}

fn people(count: u8) -> Vec<Address> {
    (1..=count).map(|person| Address::repeat_byte(0x40 + person)).collect()
}

#[test]
fn the_contracts_crate_names_the_address_of_the_machine() {
    assert_eq!(bxp_contracts::PAYMENTS, PAYMENTS);
    let chain = Chain::new(with_contracts(&[]));
    assert_eq!(chain.state.code(PAYMENTS).unwrap().as_ref(), [0xfe]);
}

#[test]
fn a_high_level_call_pays_everyone_from_the_contracts_money() {
    let alice = Account::new(1);
    let (mut chain, contract) = payroll(alice, 1000);
    let each = Payroll::payEachCall { people: people(30), wage: 7_u64.try_into().unwrap() };
    let executed = chain.add(vec![alice.sign(call(contract, 0, &each))]);
    let receipt = &executed.receipts[0];
    assert!(receipt.receipt.status());
    let paid: Vec<_> =
        receipt.receipt.logs().iter().map(|log| IPayments::Transfer::decode_log(log).unwrap()).collect();
    assert!(
        paid.iter().all(|log| log.address == PAYMENTS && log.from == contract && log.amount == U256::from(7))
    );
    assert_eq!(paid.iter().map(|log| log.to).collect::<Vec<_>>(), people(30));
    for person in people(30) {
        assert_eq!(chain.balance(person), U256::from(7));
    }
    assert_eq!(chain.balance(contract), U256::from(1000 - 210));
    assert_eq!(chain.balance(PAYMENTS), U256::ZERO);
    assert!(receipt.gas_used > 21_000 + 30 * (PAYMENT_GAS + NEW_ACCOUNT_GAS));
    assert_eq!(chain.state.code(PAYMENTS).unwrap().as_ref(), [0xfe], "the byte of code stays");
}

#[test]
fn wide_amounts_are_paid_from_what_comes_with_the_call() {
    let alice = Account::new(1);
    let (mut chain, contract) = payroll(alice, 0);
    let each = Payroll::payEachWideCall { people: people(3), wage: GWEI };
    let executed = chain.add(vec![alice.sign(call(contract, 3 * GWEI, &each))]);
    assert!(executed.receipts[0].receipt.status());
    assert!(people(3).into_iter().all(|person| chain.balance(person) == U256::from(GWEI)));
}

#[test]
fn a_refusal_reaches_solidity_as_a_reason_and_pays_nobody() {
    let alice = Account::new(1);
    let (mut chain, contract) = payroll(alice, 1000);
    let wage = 7_u64.try_into().unwrap();
    let tried = Payroll::tryToPayCall { people: people(3), wage, short: U256::from(1) };
    let executed = chain.add(vec![alice.sign(call(contract, 0, &tried))]);
    let receipt = &executed.receipts[0];
    assert!(receipt.receipt.status(), "the contract caught it");
    assert!(receipt.receipt.logs().is_empty());
    assert!(people(3).into_iter().all(|person| chain.balance(person).is_zero()));
    assert_eq!(chain.balance(contract), U256::from(1000));
    // A string of 31 bytes or more lies behind its slot; this slot has twice the length, plus one.
    let words = "payments: the value is not the sum of the amounts";
    let slot = chain.state.storage_slot(contract, U256::ZERO).unwrap();
    assert_eq!(slot, U256::from(2 * words.len() + 1));
}

#[test]
fn the_rust_bindings_pay() {
    let alice = Account::new(1);
    let mut chain = Chain::new(with_contracts(&[alice]));
    let wages: Vec<_> = people(20).into_iter().map(|person| (person, U256::from(9))).collect();
    let batch = payments::pay(&wages).unwrap();
    let pay = transaction(0, PAYMENTS.into(), 0, batch.calldata);
    let executed = chain.add(vec![alice.sign(TxEip1559 { value: batch.value, gas_limit: 2_000_000, ..pay })]);
    assert!(executed.receipts[0].receipt.status());
    assert!(people(20).into_iter().all(|person| chain.balance(person) == U256::from(9)));
    let spent = Amount::from_bxm(1000).0 - chain.balance(alice.address);
    assert!(spent > U256::from(180));
}
