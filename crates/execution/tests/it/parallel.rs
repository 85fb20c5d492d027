//! Goal: on many threads a block gives, bit for bit, what it gives one transaction after the other. Random blocks in which
//! nearly everything is in conflict: few senders with chains of nonces, few slots, contracts made, destroyed and made
//! again, reverts, precompiles, batch payments, transfers to the treasury, transactions that run out of gas or cannot
//! enter, and blocks that have no gas for all of them.

use crate::{
    kit::{Account, CHAIN_ID, CONTRACT, Chain, GWEI, TREASURY, deploying, genesis, store, transaction},
    payments::calldata,
};
use alloy_consensus::{TxEip1559, TxEip7702};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use bxp_execution::{DropReason, ExecutedBlock, PAYMENTS};
use bxp_types::{GenesisAccount, RecoveredTransaction};
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{collections::BTreeMap, sync::LazyLock};

/// More threads than most machines that test have, so that they are in each other's way.
pub(crate) static POOL: LazyLock<ThreadPool> =
    LazyLock::new(|| ThreadPoolBuilder::new().num_threads(8).build().unwrap());

/// Counts, stores and reverts; see [`CONTRACT`].
const COUNTER: Address = Address::repeat_byte(0xc1);
/// Stores under the caller the balance of the account that its calldata names.
const WATCHER: Address = Address::repeat_byte(0xc2);
/// Gives all of its money to the account that its calldata names, by SELFDESTRUCT.
const GIVER: Address = Address::repeat_byte(0xc3);
/// Never ends.
const ENDLESS: Address = Address::repeat_byte(0xc4);
/// Makes a contract by CREATE2, with its calldata for the salt, calls it, whereupon that destroys itself, and stores its
/// address under the salt.
const MAKER: Address = Address::repeat_byte(0xc5);
/// Stores BLOCKHASH of the block as far below this one as its calldata says, under that number.
pub(crate) const ASKER: Address = Address::repeat_byte(0xc7);
/// The same from the history contract (EIP-2935).
const HISTORIAN: Address = Address::repeat_byte(0xc8);
/// Stores under 0 the first word of what SHA-256 gives of its calldata and of what is stored under 0.
const HASHER: Address = Address::repeat_byte(0xc6);

const CODE: [(Address, &[u8]); 8] = [
    (COUNTER, &CONTRACT),
    (WATCHER, &hex!("60003531335500")),
    (GIVER, &hex!("600035ff")),
    (ENDLESS, &hex!("5b600056")),
    (
        MAKER,
        &hex!(
            "6a6133ff6000526002601ef3600052600035600b60156000f5"
            "6000600060006000600085 5af1506000355500"
        ),
    ),
    (ASKER, &hex!("600035804303409055 00")),
    (
        HISTORIAN,
        &hex!(
            "60003580430360005260206000602060007300 00f90827f1c53a10cb7a02335b175320002935"
            "5afa5060005190 5500"
        ),
    ),
    (HASHER, &hex!("600035600052600054602052 60206000604060006002 5afa506000516000 5500")),
];

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Transfer {
        to: u8,
        value: u64,
    },
    Count,
    Store {
        slot: u8,
        value: u8,
    },
    Revert,
    Watch {
        whom: u8,
    },
    Give {
        whom: u8,
        value: u8,
    },
    Endless,
    Make {
        salt: u8,
    },
    Hash {
        word: u8,
    },
    Ask {
        back: u8,
    },
    Recall {
        back: u8,
    },
    Deploy,
    DeployAndDestroy {
        value: u8,
    },
    Pay {
        to: Vec<u8>,
        short: bool,
    },
    /// The same through the EVM.
    PayListed {
        to: u8,
    },
    Delegate {
        to: bool,
    },
    Spend,
    WrongNonce {
        by: u8,
    },
    WrongChain,
    LowCap,
    LittleGas,
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (any::<u8>(), 0_u64..3).prop_map(|(to, value)| Action::Transfer { to, value }),
        4 => Just(Action::Count),
        4 => (0_u8..3, 0_u8..3).prop_map(|(slot, value)| Action::Store { slot, value }),
        1 => Just(Action::Revert),
        3 => any::<u8>().prop_map(|whom| Action::Watch { whom }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(whom, value)| Action::Give { whom, value }),
        1 => Just(Action::Endless),
        2 => (0_u8..2).prop_map(|salt| Action::Make { salt }),
        2 => any::<u8>().prop_map(|word| Action::Hash { word }),
        1 => (0_u8..3).prop_map(|back| Action::Ask { back }),
        1 => (0_u8..3).prop_map(|back| Action::Recall { back }),
        1 => Just(Action::Deploy),
        1 => any::<u8>().prop_map(|value| Action::DeployAndDestroy { value }),
        2 => (prop::collection::vec(any::<u8>(), 1..6), any::<bool>()).prop_map(|(to, short)| Action::Pay { to, short }),
        1 => any::<u8>().prop_map(|to| Action::PayListed { to }),
        1 => any::<bool>().prop_map(|to| Action::Delegate { to }),
        1 => Just(Action::Spend),
        1 => (0_u8..4).prop_map(|by| Action::WrongNonce { by }),
        1 => Just(Action::WrongChain),
        1 => Just(Action::LowCap),
        1 => Just(Action::LittleGas),
    ]
}

/// Few accounts, so that all meet all.
fn someone(chain: &Chain, index: u8) -> Address {
    let first = Account::new(1).address;
    let nonce = || chain.state.account(first).unwrap().nonce;
    match index % 14 {
        0 => TREASURY,
        1 => COUNTER,
        2 => GIVER,
        3 => MAKER,
        4 => Address::with_last_byte(2),
        5 => PAYMENTS,
        6 => first.create(nonce()),
        12 => first.create(nonce().saturating_sub(1)),
        13 => HISTORY_STORAGE_ADDRESS,
        7..=9 => Account::new(index % 4 + 1).address,
        other => Address::repeat_byte(0xe0 + other),
    }
}

fn word(address: Address) -> Bytes {
    address.into_word().to_vec().into()
}

fn sign(chain: &Chain, sender: Account, nonce: u64, action: &Action) -> RecoveredTransaction {
    let call = |to: Address, value: u128, input: Bytes| transaction(nonce, to.into(), value, input);
    let unsigned = match action {
        Action::Transfer { to, value } => call(someone(chain, *to), (*value).into(), Bytes::new()),
        Action::Count => call(COUNTER, 0, Bytes::new()),
        Action::Store { slot, value } => call(COUNTER, 0, store((*slot).into(), (*value).into())),
        Action::Revert => call(COUNTER, 1, [1].into()),
        Action::Watch { whom } => call(WATCHER, 0, word(someone(chain, *whom))),
        Action::Give { whom, value } => call(GIVER, (*value).into(), word(someone(chain, *whom))),
        Action::Endless => TxEip1559 { gas_limit: 60_000, ..call(ENDLESS, 0, [1].into()) },
        Action::Make { salt } => call(MAKER, 0, U256::from(*salt).to_be_bytes::<32>().into()),
        Action::Hash { word } => call(HASHER, 0, U256::from(*word).to_be_bytes::<32>().into()),
        Action::Ask { back } => call(ASKER, 0, U256::from(*back).to_be_bytes::<32>().into()),
        Action::Recall { back } => call(HISTORIAN, 0, U256::from(*back).to_be_bytes::<32>().into()),
        Action::Deploy => transaction(nonce, TxKind::Create, 0, deploying(&CONTRACT)),
        Action::DeployAndDestroy { value } => {
            transaction(nonce, TxKind::Create, (*value).into(), hex!("60016001553373ff"))
        }
        Action::Pay { to, short } => {
            let payments: Vec<_> = to.iter().map(|to| (someone(chain, *to), u128::from(*to % 3))).collect();
            let sum: u128 = payments.iter().map(|(_, amount)| amount).sum();
            call(PAYMENTS, sum + u128::from(*short), calldata(&payments, false))
        }
        Action::PayListed { to } => TxEip1559 {
            access_list: AccessList(vec![AccessListItem { address: COUNTER, storage_keys: Vec::new() }]),
            ..call(PAYMENTS, 1, calldata(&[(someone(chain, *to), 1)], false))
        },
        Action::Delegate { to } => {
            let target = if *to { COUNTER } else { Address::ZERO };
            let (giver, nonce_of_giver) = (Account::new(4), chain.state.account(Account::new(4).address));
            let authorization = Authorization {
                chain_id: U256::from(CHAIN_ID),
                address: target,
                nonce: nonce_of_giver.unwrap().nonce,
            };
            let signature = giver.sign_hash(authorization.signature_hash());
            return sender.sign(TxEip7702 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: 300_000,
                max_fee_per_gas: 10 * GWEI,
                max_priority_fee_per_gas: GWEI,
                to: giver.address,
                authorization_list: vec![authorization.into_signed(signature)],
                ..TxEip7702::default()
            });
        }
        Action::Spend => {
            let balance: u128 = chain.balance(sender.address).try_into().unwrap();
            call(TREASURY, balance.saturating_sub(300_000 * 10 * GWEI), Bytes::new())
        }
        Action::WrongNonce { by } => transaction(nonce + 1 + u64::from(*by), COUNTER.into(), 0, []),
        Action::WrongChain => TxEip1559 { chain_id: CHAIN_ID + 1, ..call(COUNTER, 0, Bytes::new()) },
        Action::LowCap => {
            TxEip1559 { max_fee_per_gas: 1, max_priority_fee_per_gas: 1, ..call(COUNTER, 0, Bytes::new()) }
        }
        Action::LittleGas => TxEip1559 { gas_limit: 20_000, ..call(COUNTER, 0, Bytes::new()) },
    };
    sender.sign(unsigned)
}

const fn enters(action: &Action) -> bool {
    !matches!(action, Action::WrongNonce { .. } | Action::WrongChain | Action::LowCap | Action::LittleGas)
}

pub(crate) fn transactions(chain: &Chain, actions: &[(u8, Action)]) -> Vec<RecoveredTransaction> {
    let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
    let mut signed = Vec::new();
    for (sender, action) in actions {
        let sender = Account::new(1 + sender % 4);
        let stored = || chain.state.account(sender.address).unwrap().nonce;
        let nonce = nonces.entry(sender.address).or_insert_with(stored);
        signed.push(sign(chain, sender, *nonce, action));
        *nonce += u64::from(enters(action));
    }
    signed
}

pub(crate) fn chain(gas_limit: u64) -> Chain {
    chain_of(&[1, 2, 3, 4].map(Account::new), gas_limit)
}

/// A chain with the contracts, and money for these senders.
pub(crate) fn chain_of(senders: &[Account], gas_limit: u64) -> Chain {
    let mut genesis = genesis(senders);
    genesis.gas_limit = gas_limit;
    for (address, code) in CODE {
        let account = GenesisAccount { code: Bytes::from_static(code), ..GenesisAccount::default() };
        genesis.accounts.insert(address, account);
    }
    let history = GenesisAccount { code: HISTORY_STORAGE_CODE.clone(), ..GenesisAccount::default() };
    genesis.accounts.insert(HISTORY_STORAGE_ADDRESS, history);
    Chain::new(genesis)
}

/// The block one transaction after the other.
fn one_by_one(chain: &Chain, transactions: Vec<RecoveredTransaction>) -> ExecutedBlock {
    let ran = chain.state.run_one_by_one(&chain.head, &chain.input(transactions.clone())).unwrap();
    assert!(!ran.is_parallel());
    ran.seal(transactions, None).unwrap()
}

/// The block on many threads, and whether it was.
fn in_parallel(chain: &Chain, transactions: Vec<RecoveredTransaction>) -> (ExecutedBlock, bool) {
    POOL.install(|| {
        let ran = chain.state.run_in_parallel(&chain.head, &chain.input(transactions.clone())).unwrap();
        let is_parallel = ran.is_parallel();
        (ran.seal(transactions, None).unwrap(), is_parallel)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn many_threads_give_what_one_gives(
        gas_limit in prop_oneof![3 => Just(30_000_000_u64), 1 => 400_000_u64..3_000_000],
        blocks in prop::collection::vec(prop::collection::vec((any::<u8>(), action()), 1..48), 1..4),
    ) {
        let mut chain = chain(gas_limit);
        for actions in &blocks {
            let transactions = transactions(&chain, actions);
            let one_by_one = one_by_one(&chain, transactions.clone());
            for _ in 0..2 {
                let (threaded, is_parallel) = in_parallel(&chain, transactions.clone());
                prop_assert!(is_parallel);
                prop_assert_eq!(&threaded.receipts, &one_by_one.receipts);
                prop_assert_eq!(&threaded.dropped, &one_by_one.dropped);
                prop_assert_eq!(&threaded, &one_by_one);
            }
            let usual = POOL.install(|| chain.execute(transactions));
            prop_assert_eq!(&usual, &one_by_one);
            chain.commit(&one_by_one);
        }
    }
}

/// Calls of different accounts, as tokens see them: each counts for itself.
pub(crate) fn stores(senders: &[Account], nonce: u64) -> Vec<RecoveredTransaction> {
    let store = |(index, sender): (usize, &Account)| {
        sender.sign(transaction(nonce, COUNTER.into(), 0, store(100 + index as u64, nonce + 1)))
    };
    senders.iter().enumerate().map(store).collect()
}

#[test]
fn blocks_of_calls_run_in_parallel_by_themselves() {
    let senders: Vec<Account> = (1..=100).map(Account::new).collect();
    let mut genesis = genesis(&senders);
    genesis.accounts.insert(COUNTER, GenesisAccount { code: CONTRACT.to_vec().into(), ..Default::default() });
    let chain = Chain::new(genesis);
    let transactions = stores(&senders, 0);
    let input = chain.input(transactions.clone());
    let two = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let alone = two.install(|| chain.state.run(&chain.head, &input).unwrap());
    assert!(!alone.is_parallel(), "two threads are not worth it");
    let few = chain.input(transactions[..8].to_vec());
    assert!(!POOL.install(|| chain.state.run(&chain.head, &few).unwrap()).is_parallel());
    let ran = POOL.install(|| chain.state.run(&chain.head, &input).unwrap());
    assert!(ran.is_parallel());
    let expected = alone.seal(transactions.clone(), None).unwrap();
    assert_eq!(ran.seal(transactions, None).unwrap(), expected);
    assert_eq!(expected.receipts.len(), 100);
}

#[test]
fn what_finds_no_gas_is_dropped_though_it_ran_ahead() {
    let chain = chain(380_000);
    let senders = [1, 2, 3, 4].map(Account::new);
    let mut transactions = stores(&senders, 0);
    // The third asks for more than is left; the fourth, which counts after it, is small enough.
    transactions[3] =
        senders[3].sign(TxEip1559 { gas_limit: 60_000, ..transaction(0, COUNTER.into(), 0, store(102, 7)) });
    let expected = one_by_one(&chain, transactions.clone());
    assert!(matches!(expected.dropped[..], [(_, DropReason::BlockGas { .. }), ..]));
    let (threaded, is_parallel) = in_parallel(&chain, transactions);
    assert!(is_parallel);
    assert_eq!(threaded, expected);
    assert_ne!(expected.block.header.state_root, B256::ZERO);
}
