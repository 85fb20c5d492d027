//! What running blocks of ERC-20 transfers costs, one after the other and on many threads, beside revm alone on the same
//! accounts: `cargo run --release -p bxp-execution --example run_rate -- ACCOUNTS TRANSACTIONS BLOCKS`. CPU time of the
//! process; nothing is signed.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address, hex, keccak256};
use bxp_execution::{BlockInput, State, next_base_fee};
use bxp_storage::{Durability, Store};
use bxp_types::{Amount, Genesis, GenesisAccount, Height, RecoveredTransaction};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, bytecode::Bytecode, context::TxEnv,
    database::InMemoryDB, state::AccountInfo,
};
use std::{collections::BTreeMap, time::Instant};

const CHAIN_ID: u64 = 2018;
const TREASURY: Address = Address::repeat_byte(0x7e);
const TOKEN: Address = address!("000000000000000000000000000000000000700e");
/// The token of `bxp bench execute`.
const TOKEN_CODE: [u8; 109] = hex!(
    "336000526000602052604060002080546024358082106067578091039091556004356000526040600020805482019055600052"
    "600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a360016000526020"
    "6000f35b60006000fd"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let [accounts, count, blocks] = arguments[..] else {
        return Err("say how many accounts, transactions a block, and blocks".into());
    };
    let person = |index: usize| Address::from_slice(&keccak256(index.to_be_bytes())[12..]);
    let people: Vec<Address> = (0..accounts).map(person).collect();
    let genesis = genesis(&people, count);
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), genesis.network_id())?;
    let state = State::open(&store, &genesis)?;
    for person in &people {
        state.account(*person)?;
        state.storage_slot(TOKEN, balance_slot(*person).into())?;
    }
    let mut head = state.genesis_block().header.clone();
    let total = (count * blocks) as f64;
    let (mut one, mut many, mut seal) = ([0.0; 2], [0.0; 2], [0.0; 2]);
    for block in 0..blocks {
        let transactions: Vec<RecoveredTransaction> = transfers(&people, count, block as u64)
            .map(|(from, transfer)| {
                let signed: TxEnvelope = transfer.into_signed(Signature::test_signature()).into();
                Recovered::new_unchecked(signed, from)
            })
            .collect();
        let input = BlockInput {
            height: Height(head.number + 1),
            time_ms: genesis.time_ms + 1000 * (head.number + 1),
            mix_hash: B256::ZERO,
            parent_beacon_root: B256::ZERO,
            beneficiary: TREASURY,
            gas_limit: genesis.gas_limit,
            base_fee: next_base_fee(&head),
            transactions,
        };
        let ran = timed(&mut one, || state.run_one_by_one(&head, &input))?;
        let threaded = timed(&mut many, || state.run_in_parallel(&head, &input))?;
        assert!(threaded.is_parallel() && threaded.gas_used() == ran.gas_used());
        let executed = timed(&mut seal, || ran.seal(input.transactions, None))?;
        assert!(executed.dropped.is_empty());
        assert!(executed.receipts.iter().all(|receipt| receipt.receipt.status()));
        let mut batch = store.batch();
        state.commit(&mut batch, &executed)?;
        batch.commit(Durability::Buffered)?;
        head = executed.block.header;
    }
    let bare = bare(&genesis, &people, count, blocks)?;
    let line = |name: &str, [cpu_us, seconds]: [f64; 2]| {
        let (cpu_us, rate) = (cpu_us / total, total / seconds);
        println!("{name:16} {cpu_us:6.2} us of CPU, {rate:8.0}/s of real time");
    };
    line("one by one", one);
    line("many threads", many);
    line("receipts, roots", seal);
    line("revm alone", bare);
    println!("revm alone / one by one: {:.2}", bare[0] / one[0]);
    Ok(())
}

/// Adds the CPU time in microseconds and the seconds that `work` takes to `spent`.
fn timed<T>(spent: &mut [f64; 2], work: impl FnOnce() -> T) -> T {
    let (begun, started) = (cpu_us(), Instant::now());
    let done = work();
    spent[0] += cpu_us() - begun;
    spent[1] += started.elapsed().as_secs_f64();
    done
}

/// CPU time of all threads that are there; rayon's stay.
fn cpu_us() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_thread = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default()
    };
    threads.map(of_thread).sum::<f64>() / 1000.0
}

fn genesis(people: &[Address], count: usize) -> Genesis {
    let rich = || GenesisAccount { balance: Amount::from_bxm(1_000), ..GenesisAccount::default() };
    let mut accounts: BTreeMap<_, _> = people.iter().map(|person| (*person, rich())).collect();
    let tokens = B256::from(U256::from(1_000_000));
    let storage = people.iter().map(|person| (balance_slot(*person), tokens)).collect();
    let code = Bytes::from_static(&TOKEN_CODE);
    accounts.insert(TOKEN, GenesisAccount { code, storage, ..GenesisAccount::default() });
    Genesis {
        chain_id: CHAIN_ID,
        time_ms: 1_700_000_000_000,
        gas_limit: 60_000 * count as u64,
        base_fee_wei: 1_000_000_000,
        treasury: TREASURY,
        validators: Vec::new(),
        accounts,
        identity_copies: BTreeMap::new(),
    }
}

fn balance_slot(account: Address) -> B256 {
    keccak256([account.into_word(), B256::ZERO].concat())
}

/// A transfer of each of the first `count` people to somebody of the rest.
fn transfers(people: &[Address], count: usize, nonce: u64) -> impl Iterator<Item = (Address, TxEip1559)> {
    let others = people.len() - count;
    people.iter().take(count).enumerate().map(move |(index, from)| {
        let to = people[count + (index * 7_919 + nonce as usize * 104_729) % others];
        let amount = B256::from(U256::from(1));
        let input = [hex!("a9059cbb").as_slice(), to.into_word().as_slice(), amount.as_slice()].concat();
        let transfer = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 60_000,
            max_fee_per_gas: 1_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TOKEN.into(),
            input: input.into(),
            ..TxEip1559::default()
        };
        (*from, transfer)
    })
}

fn bare(
    genesis: &Genesis,
    people: &[Address],
    count: usize,
    blocks: usize,
) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let mut database = InMemoryDB::default();
    for (address, account) in &genesis.accounts {
        let code = Bytecode::new_raw(account.code.clone());
        let nonce = u64::from(!account.code.is_empty());
        let info = AccountInfo::new(account.balance.0, nonce, code.hash_slow(), code);
        database.insert_account_info(*address, info);
        for (slot, value) in &account.storage {
            database.insert_account_storage(*address, (*slot).into(), (*value).into())?;
        }
    }
    let context = Context::mainnet()
        .modify_cfg_chained(|chain| chain.chain_id = CHAIN_ID)
        .modify_block_chained(|block| {
            block.gas_limit = genesis.gas_limit;
            block.basefee = genesis.base_fee_wei;
            block.beneficiary = TREASURY;
        })
        .with_db(database);
    let (mut evm, mut spent) = (context.build_mainnet(), [0.0; 2]);
    for block in 0..blocks {
        let transfers: Vec<_> = transfers(people, count, block as u64).collect();
        timed(&mut spent, || -> Result<(), Box<dyn std::error::Error>> {
            for (caller, transfer) in transfers {
                let result = evm.transact_commit(TxEnv {
                    tx_type: 2,
                    caller,
                    gas_limit: transfer.gas_limit,
                    gas_price: transfer.max_fee_per_gas,
                    gas_priority_fee: Some(transfer.max_priority_fee_per_gas),
                    kind: TOKEN.into(),
                    data: transfer.input,
                    nonce: transfer.nonce,
                    chain_id: Some(CHAIN_ID),
                    ..TxEnv::default()
                })?;
                assert!(result.is_success());
            }
            Ok(())
        })?;
    }
    Ok(spent)
}
