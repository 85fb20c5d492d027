//! Goal: a block that is run before the one below it is hashed, or hashed before that one is written, gives, bit for bit,
//! what it gives afterwards, whenever that one is written: before, meanwhile or later. Random blocks in which nearly
//! everything is in conflict, and some ask for what is not known yet.

use crate::{
    kit::{Account, Chain, deploying, genesis, transaction},
    parallel::{ASKER, Action, POOL, action, chain, chain_of, stores, transactions},
};
use alloy_primitives::{TxKind, U256};
use bxp_execution::{BegunBlock, Below, ExecutedBlock, ExecutionError, Unwritten};
use bxp_storage::Durability;
use bxp_types::RecoveredTransaction;
use proptest::prelude::*;
use std::sync::Arc;

/// How far the block below is when one begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Depth {
    /// It has run, and is hashed after this one has run.
    Ran,
    /// The same, and it is hashed at the same time.
    Sealing,
    /// It is hashed, and written afterwards.
    Sealed,
    /// It is written.
    Written,
}

fn depth() -> impl Strategy<Value = Depth> {
    let depths = [Depth::Ran, Depth::Ran, Depth::Sealing, Depth::Sealing, Depth::Sealed, Depth::Written];
    prop::sample::select(depths.to_vec())
}

/// When the block beneath that one is written.
#[derive(Clone, Copy, Debug)]
enum Written {
    Before,
    Meanwhile,
    After,
}

fn written() -> impl Strategy<Value = Written> {
    prop_oneof![Just(Written::Before), Just(Written::Meanwhile), Just(Written::After)]
}

/// A chain whose blocks overlap: at most one has only run, and at most one is hashed and not written.
struct Overlapping {
    chain: Chain,
    begun: Option<BegunBlock>,
    sealed: Option<ExecutedBlock>,
    /// Every block in its order.
    blocks: Vec<ExecutedBlock>,
}

impl Overlapping {
    fn new(chain: Chain) -> Self {
        Self { chain, begun: None, sealed: None, blocks: Vec::new() }
    }

    fn unwritten(&self) -> Option<Arc<Unwritten>> {
        self.sealed.as_ref().map(|sealed| Arc::new(Unwritten::from(sealed)))
    }

    /// Writes the block that is hashed.
    fn write(&mut self) {
        if let Some(sealed) = self.sealed.take() {
            write(&self.chain, &sealed);
        }
    }

    /// Hashes the block that has run, once the one beneath is written as far as it has to be.
    fn seal(&mut self) {
        let Some(begun) = self.begun.take() else { return };
        let sealed = self.chain.state.finish(begun, self.unwritten().as_ref()).unwrap();
        self.write();
        self.blocks.push(sealed.clone());
        self.sealed = Some(sealed);
    }

    /// Begins the block of these transactions, which `next` would execute.
    fn begin(
        &mut self,
        next: &Chain,
        transactions: Vec<RecoveredTransaction>,
        depth: Depth,
        written: Written,
    ) {
        let input = next.input(transactions);
        let ran = self.begun.as_ref().and_then(BegunBlock::ran);
        let (Depth::Ran | Depth::Sealing, Some(block)) = (depth, ran) else {
            self.seal();
            if depth == Depth::Written {
                self.write();
            }
            let state = &self.chain.state;
            self.begun = Some(match self.unwritten() {
                Some(below) => state.begin_above(&Below::Unwritten(below), input).unwrap(),
                None => state.begin(&next.head, input).unwrap(),
            });
            return;
        };
        let beneath = self.unwritten();
        if matches!(written, Written::Before) {
            self.write();
        }
        let below = Below::Ran { block, beneath: beneath.clone() };
        let (state, chain) = (&self.chain.state, &self.chain);
        let begin = || state.begin_above(&below, input).unwrap();
        let write_beneath = || {
            if let (Written::Meanwhile, Some(sealed)) = (written, &self.sealed) {
                write(chain, sealed);
            }
        };
        if depth == Depth::Ran {
            let (begun, ()) = rayon::join(begin, write_beneath);
            if matches!(written, Written::Meanwhile) {
                self.sealed = None;
            }
            self.seal();
            self.begun = Some(begun);
            return;
        }
        let begun_below = self.begun.take().unwrap();
        let seal = || state.finish(begun_below, beneath.as_ref()).unwrap();
        let (begun, (sealed, ())) = rayon::join(begin, || rayon::join(seal, write_beneath));
        if matches!(written, Written::Meanwhile) {
            self.sealed = None;
        }
        self.write();
        self.blocks.push(sealed.clone());
        (self.begun, self.sealed) = (Some(begun), Some(sealed));
    }

    fn end(mut self) -> (Chain, Vec<ExecutedBlock>) {
        self.seal();
        self.write();
        let Self { mut chain, blocks, .. } = self;
        if let Some(last) = blocks.last() {
            chain.head = last.block.header.clone();
        }
        (chain, blocks)
    }
}

fn write(chain: &Chain, executed: &ExecutedBlock) {
    let mut batch = chain.store.batch();
    chain.state.commit(&mut batch, executed).unwrap();
    batch.commit(Durability::Buffered).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn blocks_that_overlap_are_what_they_are_one_after_the_other(
        steps in prop::collection::vec(
            (depth(), written(), prop::collection::vec((any::<u8>(), action()), 0..16)),
            1..8,
        ),
    ) {
        let (mut in_turn, mut ahead) = (chain(30_000_000), Overlapping::new(chain(30_000_000)));
        let mut expected = Vec::new();
        for (depth, written, actions) in &steps {
            let actions: &[(u8, Action)] = actions;
            let transactions = transactions(&in_turn, actions);
            ahead.begin(&in_turn, transactions.clone(), *depth, *written);
            let block = in_turn.execute(transactions);
            in_turn.commit(&block);
            expected.push(block);
        }
        let (ahead, blocks) = ahead.end();
        for (block, expected) in blocks.iter().zip(&expected) {
            prop_assert_eq!(block, expected);
        }
        prop_assert_eq!(blocks.len(), expected.len());
        prop_assert_eq!(ahead.state.differences(&in_turn.state, 1).unwrap().0, vec![]);
        // What is in memory of it is the same too.
        let more = transactions(&in_turn, &[(0, Action::Count), (1, Action::Count)]);
        prop_assert_eq!(ahead.execute(more.clone()), in_turn.execute(more));
    }
}

/// The history contract, to whom these actions can pay.
const HISTORY: u8 = 13;

/// Whether a block with this action is run before the one below it is hashed; what it gives is compared in any case.
fn runs_above_an_unhashed_block(below: &[(u8, Action)], action: Action) -> bool {
    let (mut in_turn, mut ahead) = (chain(30_000_000), Overlapping::new(chain(30_000_000)));
    let mut expected = Vec::new();
    let mut is_ran = false;
    let above = [(0, action)];
    for actions in [&[][..], below, &above[..]] {
        let transactions = transactions(&in_turn, actions);
        ahead.begin(&in_turn, transactions.clone(), Depth::Ran, Written::After);
        is_ran = ahead.begun.as_ref().unwrap().ran().is_some();
        let block = in_turn.execute(transactions);
        assert_eq!(block.dropped, []);
        in_turn.commit(&block);
        expected.push(block);
    }
    let (ahead, blocks) = ahead.end();
    assert_eq!(blocks, expected);
    assert_eq!(ahead.state.differences(&in_turn.state, 1).unwrap().0, vec![]);
    is_ran
}

#[test]
fn only_who_asks_for_the_hash_of_the_block_below_waits_for_it() {
    let store = |value| (1, Action::Store { slot: 1, value });
    let below = [store(1), (2, Action::Deploy), (0, Action::Delegate { to: true })];
    for action in [
        Action::Transfer { to: 7, value: 1 },
        Action::Count,
        Action::Store { slot: 1, value: 0 },
        Action::Make { salt: 0 },
        Action::Ask { back: 2 },
        Action::PayListed { to: 0 },
    ] {
        assert!(runs_above_an_unhashed_block(&below, action.clone()), "{action:?}");
    }
    for action in [
        Action::Ask { back: 1 },
        Action::Recall { back: 1 },
        Action::Recall { back: 2 },
        Action::Transfer { to: HISTORY, value: 1 },
        Action::PayListed { to: HISTORY },
    ] {
        assert!(!runs_above_an_unhashed_block(&below, action.clone()), "{action:?}");
    }
}

/// Goal: the same where blocks run on many threads, each of which may be the first to ask.
#[test]
fn blocks_that_overlap_run_on_many_threads_too() {
    let senders: Vec<Account> = (1..=100).map(Account::new).collect();
    let (asking, all) = (Account::new(101), (1..=101).map(Account::new).collect::<Vec<_>>());
    for (asks, depth) in
        [false, true].into_iter().flat_map(|asks| [(asks, Depth::Ran), (asks, Depth::Sealing)])
    {
        let (mut in_turn, mut ahead) =
            (chain_of(&all, 30_000_000), Overlapping::new(chain_of(&all, 30_000_000)));
        let mut expected = Vec::new();
        for nonce in 0..4_u64 {
            let mut transactions = stores(&senders, nonce);
            let is_asked = asks && nonce % 2 == 1;
            if is_asked {
                let back = U256::ONE.to_be_bytes::<32>();
                transactions.push(asking.sign(transaction(nonce / 2, ASKER.into(), 0, back)));
            }
            POOL.install(|| ahead.begin(&in_turn, transactions.clone(), depth, Written::Meanwhile));
            assert_eq!(ahead.begun.as_ref().unwrap().ran().is_none(), is_asked);
            let block = in_turn.execute(transactions);
            assert_eq!(block.dropped, []);
            in_turn.commit(&block);
            expected.push(block);
        }
        assert_eq!(ahead.end().1, expected);
    }
}

/// Goal: code that a block makes is called in the next one before either is hashed.
#[test]
fn a_contract_is_called_in_the_block_above_the_one_that_makes_it() {
    let (mut in_turn, mut ahead) = (chain(30_000_000), Overlapping::new(chain(30_000_000)));
    let maker = Account::new(1);
    // Stores the number of the block under itself.
    let code = [0x43, 0x43, 0x55, 0x00];
    let contract = maker.address.create(0);
    let calls = [
        maker.sign(transaction(0, TxKind::Create, 0, deploying(&code))),
        maker.sign(transaction(1, contract.into(), 0, [])),
        maker.sign(transaction(2, contract.into(), 0, [])),
    ];
    for call in calls {
        ahead.begin(&in_turn, vec![call.clone()], Depth::Ran, Written::After);
        assert!(ahead.begun.as_ref().unwrap().ran().is_some());
        let block = in_turn.execute(vec![call]);
        assert_eq!(block.dropped, []);
        in_turn.commit(&block);
    }
    let (ahead, _) = ahead.end();
    assert_eq!(ahead.state.differences(&in_turn.state, 1).unwrap().0, vec![]);
    for height in [2_u64, 3] {
        let slot = ahead.state.storage_slot(contract, height.try_into().unwrap()).unwrap();
        assert_eq!(slot, U256::from(height));
    }
}

#[test]
fn a_block_is_refused_above_one_that_has_run_elsewhere() {
    let mut chain = Chain::new(genesis(&[Account::new(1)]));
    let begun = chain.state.begin(&chain.head, chain.input(Vec::new())).unwrap();
    let below = Below::Ran { block: begun.ran().unwrap(), beneath: None };
    let refused = chain.state.begin_above(&below, chain.input(Vec::new()));
    assert!(matches!(refused, Err(ExecutionError::NotOnHead { .. })), "{refused:?}");
    // Two blocks have come in between.
    for _ in 0..2 {
        chain.add(Vec::new());
    }
    let refused = chain.state.begin_above(&below, chain.input(Vec::new()));
    assert!(matches!(refused, Err(ExecutionError::NotOnHead { .. })), "{refused:?}");
}

#[test]
fn a_block_is_refused_above_one_that_does_not_follow_the_stored_one() {
    let mut chain = Chain::new(genesis(&[Account::new(1)]));
    let first = chain.add(Vec::new());
    let second = chain.add(Vec::new());
    chain.add(Vec::new());
    for old in [&first, &second] {
        let below = Arc::new(Unwritten::from(old));
        let refused = chain.state.begin_above(&Below::Unwritten(below), chain.input(Vec::new()));
        assert!(matches!(refused, Err(ExecutionError::NotOnHead { .. })), "{refused:?}");
    }
}
