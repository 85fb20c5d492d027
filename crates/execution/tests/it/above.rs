//! Goal: a block that is executed before the one below it is written gives, bit for bit, what it gives afterwards, whenever
//! that one is written: before, meanwhile or later. Random blocks in which nearly everything is in conflict.

use crate::{
    kit::{Account, Chain, genesis},
    parallel::{Action, action, chain, transactions},
};
use bxp_execution::{ExecutedBlock, ExecutionError, Unwritten};
use bxp_storage::Durability;
use proptest::prelude::*;
use std::sync::Arc;

/// When the block below is written.
#[derive(Clone, Copy, Debug)]
enum Written {
    Before,
    Meanwhile,
    After,
}

fn written() -> impl Strategy<Value = Written> {
    prop_oneof![Just(Written::Before), Just(Written::Meanwhile), Just(Written::After)]
}

fn write(chain: &Chain, executed: &ExecutedBlock) {
    let mut batch = chain.store.batch();
    chain.state.commit(&mut batch, executed).unwrap();
    batch.commit(Durability::Buffered).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_block_above_an_unwritten_one_is_what_it_is_above_a_written_one(
        blocks in prop::collection::vec(
            (written(), prop::collection::vec((any::<u8>(), action()), 0..24)),
            1..6,
        ),
    ) {
        let (mut in_turn, mut ahead) = (chain(30_000_000), chain(30_000_000));
        let mut below: Option<ExecutedBlock> = None;
        for (written, actions) in &blocks {
            let actions: &[(u8, Action)] = actions;
            let transactions = transactions(&in_turn, actions);
            let expected = in_turn.execute(transactions.clone());
            in_turn.commit(&expected);
            let executed = match &below {
                None => ahead.execute(transactions),
                Some(below) => {
                    let unwritten = Arc::new(Unwritten::from(below));
                    let input = ahead.input(transactions);
                    let execute = || ahead.state.execute_above(&unwritten, input).unwrap();
                    match written {
                        Written::Before => {
                            write(&ahead, below);
                            execute()
                        }
                        Written::Meanwhile => rayon::join(|| write(&ahead, below), execute).1,
                        Written::After => {
                            let executed = execute();
                            write(&ahead, below);
                            executed
                        }
                    }
                }
            };
            prop_assert_eq!(&executed, &expected);
            ahead.head = executed.block.header.clone();
            below = Some(executed);
        }
        if let Some(last) = &below {
            write(&ahead, last);
        }
        prop_assert_eq!(ahead.state.differences(&in_turn.state, 1).unwrap().0, vec![]);
        // What is in memory of it is the same too.
        let more = transactions(&in_turn, &[(0, Action::Count), (1, Action::Count)]);
        prop_assert_eq!(ahead.execute(more.clone()), in_turn.execute(more));
    }
}

#[test]
fn a_block_is_refused_above_one_that_does_not_follow_the_stored_one() {
    let mut chain = Chain::new(genesis(&[Account::new(1)]));
    let first = chain.add(Vec::new());
    let second = chain.add(Vec::new());
    chain.add(Vec::new());
    for old in [&first, &second] {
        let below = Arc::new(Unwritten::from(old));
        let refused = chain.state.execute_above(&below, chain.input(Vec::new()));
        assert!(matches!(refused, Err(ExecutionError::NotOnHead { .. })), "{refused:?}");
    }
}
