//! What running blocks of ERC-20 transfers costs, one after the other and on many threads, beside revm alone on the same
//! accounts: `cargo run --release -p bxp-execution --example run_rate -- ACCOUNTS TRANSACTIONS ROUNDS`. In each round both
//! run the same block, one right after the other and in turns first; the first round is not counted. CPU time of the
//! process; nothing is signed.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address, hex, keccak256};
use bxp_execution::{BareRevm, BareTransactions, BlockInput, State, next_base_fee};
use bxp_storage::{Durability, Store};
use bxp_types::{Amount, Genesis, GenesisAccount, Height, RecoveredTransaction};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use std::{collections::BTreeMap, time::Instant};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CHAIN_ID: u64 = 2018;
const TREASURY: Address = Address::repeat_byte(0x7e);
const TOKEN: Address = address!("000000000000000000000000000000000000700e");
/// The token of `bxp bench execute`.
const TOKEN_CODE: [u8; 109] = hex!(
    "336000526000602052604060002080546024358082106067578091039091556004356000526040600020805482019055600052"
    "600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a360016000526020"
    "6000f35b60006000fd"
);

/// The thread that runs one transaction after the other: what others of the process do is not its cost.
const THIS: UsageWho = UsageWho::RUSAGE_THREAD;
const ALL: UsageWho = UsageWho::RUSAGE_SELF;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let [accounts, count, rounds] = arguments[..] else {
        return Err("say how many accounts, transactions a block, and rounds".into());
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
    let mut bare_revm = BareRevm::new(&genesis)?;
    let mut head = state.genesis_block().header.clone();
    let mut spent = Spent::default();
    for round in 0..=rounds as u64 {
        let input = BlockInput {
            height: Height(head.number + 1),
            time_ms: genesis.time_ms + 1000 * (head.number + 1),
            mix_hash: B256::ZERO,
            parent_beacon_root: B256::ZERO,
            beneficiary: TREASURY,
            gas_limit: genesis.gas_limit,
            base_fee: next_base_fee(&head),
            transactions: transfers(&people, count, round),
        };
        let mut bare_transactions = Some(BareTransactions::new(&input.transactions));
        let mut ran = None;
        // Whoever comes second finds the processor's caches as the other left them.
        let bare_first = round % 2 == 0;
        for is_bare in [bare_first, !bare_first] {
            if is_bare {
                let transactions = bare_transactions.take().ok_or("each block runs once")?;
                timed(THIS, &mut spent.bare, || bare_revm.run(transactions))?;
            } else {
                ran = Some(timed(THIS, &mut spent.one, || state.run_one_by_one(&head, &input))?);
            }
        }
        let ran = ran.ok_or("each block runs once")?;
        let threaded = timed(ALL, &mut spent.many, || state.run_in_parallel(&head, &input))?;
        assert!(threaded.is_parallel() && threaded.gas_used() == ran.gas_used());
        drop(threaded);
        let executed = timed(ALL, &mut spent.seal, || ran.seal(input.transactions, None))?;
        assert!(executed.dropped.is_empty());
        assert!(executed.receipts.iter().all(|receipt| receipt.receipt.status()));
        let mut batch = store.batch();
        state.commit(&mut batch, &executed)?;
        batch.commit(Durability::Buffered)?;
        head = executed.block.header;
    }
    spent.print(count as f64);
    Ok(())
}

/// CPU microseconds and seconds of each round.
type Rounds = Vec<[f64; 2]>;

#[derive(Default)]
struct Spent {
    bare: Rounds,
    one: Rounds,
    many: Rounds,
    seal: Rounds,
}

impl Spent {
    /// Prints what a transaction takes in the middle of all rounds but the first.
    fn print(&self, count: f64) {
        let column =
            |rounds: &Rounds, at: usize| median(rounds.iter().skip(1).map(|round| round[at]).collect());
        let line = |name: &str, rounds: &Rounds| {
            let (cpu_us, rate) = (column(rounds, 0) / count, count / column(rounds, 1));
            println!("{name:16} {cpu_us:6.2} us of CPU, {rate:8.0}/s of real time");
        };
        line("one by one", &self.one);
        line("many threads", &self.many);
        line("receipts, roots", &self.seal);
        line("revm alone", &self.bare);
        let mut ratios: Vec<f64> =
            self.bare.iter().zip(&self.one).skip(1).map(|(bare, one)| bare[0] / one[0]).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (lowest, highest) = (ratios.first().copied(), ratios.last().copied());
        println!(
            "revm alone / one by one: {:.2} ({:.2} to {:.2})",
            median(ratios),
            lowest.unwrap_or_default(),
            highest.unwrap_or_default()
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Notes the CPU time in microseconds of `who` and the seconds that `work` takes.
fn timed<T>(who: UsageWho, spent: &mut Rounds, work: impl FnOnce() -> T) -> T {
    let (begun, started) = (cpu_us(who), Instant::now());
    let done = work();
    spent.push([cpu_us(who) - begun, started.elapsed().as_secs_f64()]);
    done
}

fn cpu_us(who: UsageWho) -> f64 {
    let Ok(usage) = getrusage(who) else { return f64::NAN };
    let microseconds = |time: TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()) as f64;
    microseconds(usage.user_time()) + microseconds(usage.system_time())
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
fn transfers(people: &[Address], count: usize, nonce: u64) -> Vec<RecoveredTransaction> {
    let others = people.len() - count;
    let transfer = |(index, from): (usize, &Address)| {
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
        let signed: TxEnvelope = transfer.into_signed(Signature::test_signature()).into();
        Recovered::new_unchecked(signed, *from)
    };
    people.iter().take(count).enumerate().map(transfer).collect()
}
