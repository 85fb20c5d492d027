//! When heights begin: what an idle chain does, and in the files beside this one what happens under load. One validator
//! cannot fill an idle chain with empty blocks.

use super::*;
use node::{Node, at};

mod back_pressure;
pub(in crate::machine) mod node;
mod pipelining;

#[test]
fn a_height_that_one_validator_asks_for_begins_at_once_while_there_is_no_reason_for_doubt() {
    let mut node = Node::open();
    node.turns(at(5));
    assert_eq!(node.machine.started, Height(0), "nothing to do");
    node.hears(3, Height(1), at(5));
    node.turns(at(5));
    assert_eq!(node.machine.started, Height(1));
}

#[test]
fn after_empty_blocks_it_waits_and_two_validators_end_the_wait() {
    let mut node = Node::open();
    for (block, waits_ms) in [(1, 10), (2, 20), (3, 40), (20, 1_280)] {
        node.machine.hurried_blocks = block;
        let over = node.machine.hurry_over(Height(1));
        assert_eq!(over, Duration::from_millis(waits_ms), "after {block} blocks");
    }
    node.hears(3, Height(1), at(5));
    node.turns(at(5));
    assert_eq!(node.machine.started, Height(0), "one of four may lie");
    assert!(node.machine.wake_at(at(5)) <= Duration::from_millis(1_280));
    node.hears(2, Height(1), at(5));
    node.turns(at(6));
    assert_eq!(node.machine.started, Height(1), "two of four have a correct one among them");
}

#[test]
fn empty_blocks_that_are_due_are_nobodys_fault() {
    let mut machine = Node::open().machine;
    machine.count_empty(true, at(300));
    machine.head_at = Duration::from_millis(300);
    assert_eq!(machine.hurried_blocks, 1, "a second has not passed since the last one");
    machine.count_empty(true, at(2_300));
    assert_eq!((machine.hurried_blocks, machine.empty_blocks), (0, 2), "this one was due");
    machine.count_empty(true, at(2_301));
    machine.count_empty(false, at(2_302));
    assert_eq!((machine.hurried_blocks, machine.empty_blocks), (0, 0));
}
