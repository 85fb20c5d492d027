//! Asking for memory before it is needed.
//!
//! Going down a large trie is waiting for memory at each step, and a processor waits for as many places at once as it has been
//! asked for. So before a part of the trie is changed, the paths of all its updates are gone down together, level by level: what
//! is looked at was asked for a level before.

use crate::{
    batch::{Update, nibble, run},
    tree::{Child, Node},
};

/// With fewer updates there is little to ask for together.
const UPDATES_MIN: usize = 4;

/// Asks for what lies on the ways of `updates` from the node at `depth` down.
pub(crate) fn ask_for(child: &Child, depth: usize, updates: &[Update]) {
    if updates.len() < UPDATES_MIN {
        return;
    }
    let (mut level, mut below) = (vec![(child, depth, updates)], Vec::with_capacity(updates.len()));
    while !level.is_empty() {
        for (child, depth, updates) in level.drain(..) {
            match &child.node {
                Node::Unread | Node::Empty => {}
                Node::Leaf(leaf) => ask(leaf.bytes()),
                Node::Extension(extension) => {
                    ask(std::slice::from_ref(extension.as_ref()));
                    below.push((&extension.child, depth + extension.key.len(), updates));
                }
                Node::Branch(branch) => {
                    ask(&branch.children);
                    let mut rest = updates;
                    while let Some(first) = rest.first() {
                        let nibble = nibble(&first.key, depth);
                        let (part, others) = rest.split_at(run(depth, nibble, rest));
                        rest = others;
                        if let Ok(at) = branch.place(nibble)
                            && let Some(child) = branch.children.get(at)
                        {
                            below.push((child, depth + 1, part));
                        }
                    }
                }
            }
        }
        std::mem::swap(&mut level, &mut below);
    }
}

/// Asks the processor for these bytes.
#[cfg(target_arch = "x86_64")]
fn ask<T>(items: &[T]) {
    use std::arch::x86_64::_MM_HINT_T0;
    const LINE_BYTES: usize = 64;
    // Every such processor has this.
    let Some(processor) = pulp::core_arch::x86::Sse::try_new() else { return };
    let begins = items.as_ptr().cast::<i8>();
    for at in (0..size_of_val(items)).step_by(LINE_BYTES) {
        processor._mm_prefetch::<_MM_HINT_T0>(begins.wrapping_add(at));
    }
}

#[cfg(not(target_arch = "x86_64"))]
const fn ask<T>(_: &[T]) {}
