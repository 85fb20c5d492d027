//! Goal: batch payments pay all or nothing at the stated gas, and the short cuts that avoid the EVM give, bit for bit,
//! what the EVM gives: random blocks of transfers and payments, sound and unsound, both ways.

use crate::kit::{Account, CONTRACT, Chain, TREASURY, deploying, genesis, transaction};
use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use bxp_execution::{NEW_ACCOUNT_GAS, PAYMENT_GAS, PAYMENTS};
use bxp_types::RecoveredTransaction;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The calldata of `pay96` or `pay128`.
pub(crate) fn calldata(payments: &[(Address, u128)], wide: bool) -> Bytes {
    let bytes = if wide { 16 } else { 12 };
    let entry =
        |(to, amount): &(Address, u128)| [to.as_slice(), &amount.to_be_bytes()[16 - bytes..]].concat();
    let packed: Vec<u8> = payments.iter().flat_map(entry).collect();
    let signature = if wide { "pay128(bytes)" } else { "pay96(bytes)" };
    let mut data = keccak256(signature)[..4].to_vec();
    data.extend(U256::from(32).to_be_bytes::<32>());
    data.extend(U256::from(packed.len()).to_be_bytes::<32>());
    data.extend(packed);
    data.resize(4 + (data.len() - 4).next_multiple_of(32), 0);
    data.into()
}

fn sum(payments: &[(Address, u128)]) -> u128 {
    payments.iter().map(|(_, amount)| amount).sum()
}

fn people(count: u8) -> Vec<Address> {
    (1..=count).map(Address::repeat_byte).collect()
}

#[test]
fn a_payment_credits_everyone_and_logs_each() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let payments: Vec<_> = people(20).into_iter().map(|to| (to, 7)).chain([(alice.address, 3)]).collect();
    let data = calldata(&payments, false);
    let pay =
        TxEip1559 { gas_limit: 2_000_000, ..transaction(0, PAYMENTS.into(), sum(&payments), data.clone()) };
    let executed = chain.add(vec![alice.sign(pay)]);
    let receipt = &executed.receipts[0];
    assert!(receipt.receipt.status());
    assert_eq!(receipt.receipt.logs().len(), 21);
    for (log, (to, amount)) in receipt.receipt.logs().iter().zip(&payments) {
        assert_eq!(log.address, PAYMENTS);
        let topics =
            [keccak256("Transfer(address,address,uint256)"), alice.address.into_word(), to.into_word()];
        assert_eq!(log.topics(), topics);
        assert_eq!(U256::from_be_slice(&log.data.data), U256::from(*amount));
        assert!(chain.balance(*to) >= U256::from(*amount));
    }
    assert_eq!(chain.balance(PAYMENTS), U256::ZERO);
    let tokens: u64 = data.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum();
    assert_eq!(receipt.gas_used, 21_000 + 4 * tokens + 21 * PAYMENT_GAS + 20 * NEW_ACCOUNT_GAS);
    // To accounts that exist, the second time is cheaper.
    let pay = TxEip1559 { gas_limit: 2_000_000, ..transaction(1, PAYMENTS.into(), sum(&payments), data) };
    let again = chain.add(vec![alice.sign(pay)]);
    assert_eq!(again.receipts[0].gas_used, receipt.gas_used - 20 * NEW_ACCOUNT_GAS);
}

#[test]
fn it_is_all_or_nothing() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let payments: Vec<_> = people(3).into_iter().map(|to| (to, 7)).collect();
    let data = calldata(&payments, true);
    let wrong = [
        transaction(0, PAYMENTS.into(), 20, data.clone()),
        transaction(1, PAYMENTS.into(), 21, data[..data.len() - 1].to_vec()),
        // Enough for the first new account, not for all of them.
        TxEip1559 { gas_limit: 90_000, ..transaction(2, PAYMENTS.into(), 21, data.clone()) },
        transaction(3, PAYMENTS.into(), 1, []),
        transaction(4, PAYMENTS.into(), 7, calldata(&[(PAYMENTS, 7)], false)),
    ];
    let executed = chain.add(wrong.map(|wrong| alice.sign(wrong)).to_vec());
    for (index, receipt) in executed.receipts.iter().enumerate() {
        assert!(!receipt.receipt.status(), "transaction {index}");
        assert!(receipt.receipt.logs().is_empty());
    }
    assert_eq!(executed.receipts[2].gas_used, 90_000, "out of gas takes all of it");
    for to in people(3) {
        assert_eq!(chain.balance(to), U256::ZERO);
    }
    assert_eq!(chain.balance(PAYMENTS), U256::ZERO);
}

#[test]
fn a_contract_pays_with_its_own_money_and_only_by_a_plain_call() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    // Copies the calldata to memory and calls (f1), or delegates to (f4), the payments contract with the value it got.
    let caller = |kind: &[u8]| {
        let rest = [hex!("61b0045a").as_slice(), kind, &hex!("60005260206000f3")].concat();
        [
            hex!("366000600037").as_slice(),
            &hex!("60006000366000"),
            if kind == [0xf1] { &hex!("34") } else { &[] },
            &rest,
        ]
        .concat()
    };
    let deploy = |nonce, code: &[u8]| alice.sign(transaction(nonce, TxKind::Create, 0, deploying(code)));
    chain.add(vec![deploy(0, &caller(&[0xf1])), deploy(1, &caller(&[0xf4]))]);
    let payments = [(Address::repeat_byte(9), 5), (Address::repeat_byte(8), 6)];
    let call = |nonce| {
        let to = alice.address.create(nonce - 2);
        alice.sign(transaction(nonce, to.into(), 11, calldata(&payments, false)))
    };
    let executed = chain.add(vec![call(2), call(3)]);
    let (plain, delegated) = (&executed.receipts[0], &executed.receipts[1]);
    assert!(plain.receipt.status() && delegated.receipt.status());
    assert_eq!(plain.receipt.logs().len(), 2);
    assert_eq!(plain.receipt.logs()[0].topics()[1], alice.address.create(0).into_word(), "the contract paid");
    assert_eq!(delegated.receipt.logs().len(), 0);
    assert_eq!(chain.balance(Address::repeat_byte(9)), U256::from(5));
    assert_eq!(chain.balance(alice.address.create(1)), U256::from(11), "it stayed where it was");
}

#[derive(Clone, Debug)]
enum Action {
    Transfer { to: u8, value: u64, gas: u64, legacy: bool },
    ToSelf,
    ToContract,
    Pay { to: Vec<u8>, amount: u8, wide: bool, short_by: u8, gas: u64 },
    Spend,
    WrongNonce,
}

fn action() -> impl Strategy<Value = Action> {
    let gas = || prop_oneof![4 => Just(600_000_u64), 1 => 20_900_u64..22_000, 1 => 22_000_u64..120_000];
    prop_oneof![
        6 => (any::<u8>(), 0_u64..3, gas(), any::<bool>())
            .prop_map(|(to, value, gas, legacy)| Action::Transfer { to, value, gas, legacy }),
        1 => Just(Action::ToSelf),
        1 => Just(Action::ToContract),
        6 => (prop::collection::vec(0_u8..12, 0..8), 0_u8..4, any::<bool>(), 0_u8..2, gas())
            .prop_map(|(to, amount, wide, short_by, gas)| Action::Pay { to, amount, wide, short_by: short_by / 2 + short_by % 2, gas }),
        1 => Just(Action::Spend),
        1 => Just(Action::WrongNonce),
    ]
}

/// Small numbers are special: precompiles, the payments contract, the treasury, senders, a contract.
fn address(chain: &Chain, to: u8) -> Address {
    match to {
        0 => Address::with_last_byte(1),
        1 => PAYMENTS,
        2 => TREASURY,
        3 => Account::new(2).address,
        4 => Account::new(1).address.create(0),
        5 => Account::new(4).address,
        6 => Address::ZERO,
        _ => chain.head.beneficiary.create(to.into()),
    }
}

fn sign(chain: &Chain, sender: Account, nonce: u64, action: &Action) -> RecoveredTransaction {
    match action {
        Action::Transfer { to, value, gas, legacy: false } => {
            let transfer = transaction(nonce, address(chain, *to).into(), u128::from(*value), []);
            sender.sign(TxEip1559 { gas_limit: *gas, ..transfer })
        }
        Action::Transfer { to, value, gas, legacy: true } => sender.sign(TxLegacy {
            chain_id: Some(crate::kit::CHAIN_ID),
            nonce,
            gas_price: 9 * crate::kit::GWEI,
            gas_limit: *gas,
            to: address(chain, *to).into(),
            value: U256::from(*value),
            input: Bytes::new(),
        }),
        Action::ToSelf => sender.sign(transaction(nonce, sender.address.into(), 5, [])),
        Action::ToContract => sender.sign(transaction(nonce, address(chain, 4).into(), 0, [])),
        Action::Pay { to, amount, wide, short_by, gas } => {
            let payments: Vec<_> = to.iter().map(|to| (address(chain, *to), u128::from(*amount))).collect();
            let value = sum(&payments).saturating_sub(u128::from(*short_by));
            let pay = transaction(nonce, PAYMENTS.into(), value, calldata(&payments, *wide));
            sender.sign(TxEip1559 { gas_limit: *gas, ..pay })
        }
        Action::Spend => {
            let balance = chain.balance(sender.address);
            let most = balance.saturating_sub(U256::from(300_000 * 10 * crate::kit::GWEI));
            sender.sign(TxEip1559 { value: most, ..transaction(nonce, address(chain, 9).into(), 0, []) })
        }
        Action::WrongNonce => sender.sign(transaction(nonce + 1, address(chain, 9).into(), 1, [])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_short_cuts_give_what_the_evm_gives(
        blocks in prop::collection::vec(prop::collection::vec((1_u8..5, action()), 1..16), 1..4),
        has_code: bool,
    ) {
        // The fourth account has nothing. The payments contract has its byte of code, or has none.
        let funded: Vec<_> = (1..=3).map(Account::new).collect();
        let mut genesis = genesis(&funded);
        let contracts = bxp_contracts::genesis_accounts([], TREASURY);
        genesis.accounts.extend(contracts.into_iter().filter(|(address, _)| has_code && *address == PAYMENTS));
        let mut chain = Chain::new(genesis);
        let deploy = transaction(0, TxKind::Create, 0, deploying(&CONTRACT));
        chain.add(vec![Account::new(1).sign(deploy)]);
        for actions in &blocks {
            let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
            let mut transactions = Vec::new();
            for (sender, action) in actions {
                let sender = Account::new(*sender);
                let stored = || chain.state.account(sender.address).unwrap().nonce;
                let nonce = nonces.entry(sender.address).or_insert_with(stored);
                transactions.push(sign(&chain, sender, *nonce, action));
                *nonce += u64::from(!matches!(action, Action::WrongNonce));
            }
            let short = chain.execute(transactions.clone());
            let long = chain.state.execute_in_evm(&chain.head, chain.input(transactions)).unwrap();
            prop_assert_eq!(&short.receipts, &long.receipts);
            prop_assert_eq!(&short.dropped, &long.dropped);
            prop_assert_eq!(&short, &long);
            prop_assert_ne!(short.block.header.state_root, B256::ZERO);
            chain.commit(&short);
        }
    }
}
