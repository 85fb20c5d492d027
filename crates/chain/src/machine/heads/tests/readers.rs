//! What readers see of a block that is on disk and not yet the head (ADR 99).

use crate::{
    Job, Shared, Source, Verification, View,
    block_index::BlockIndex,
    blocks::Blocks,
    machine::start::tests::node::{Node, at, genesis},
    mempool::{Mempool, PoolLimits},
    proposal::tests::{CHAIN_ID, sign},
};
use alloy_consensus::{TxEip1559, transaction::TxHashRef as _};
use alloy_primitives::TxKind;
use async_trait::async_trait;
use bxp_execution::State;
use bxp_types::{
    Address, B256, Bytes, CallOutcome, CallRequest, Genesis, GenesisAccount, Height, Ledger,
    RecoveredTransaction, StoredBlock, SubmitError, U256,
};
use parking_lot::{MappedMutexGuard, MutexGuard};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// What a node knows, for [`View`].
struct Readers(Arc<Shared>);

#[async_trait]
impl Source for Readers {
    fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        self.0.head()
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.0.heads.subscribe()
    }

    fn blocks(&self) -> &Blocks {
        &self.0.blocks
    }

    fn index(&self) -> &BlockIndex {
        &self.0.index
    }

    fn state(&self) -> &State {
        &self.0.state
    }

    fn pool(&self) -> MappedMutexGuard<'_, Mempool> {
        MutexGuard::map(self.0.pool.lock(), |pool| pool)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.0.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        self.0.next_base_fee()
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        Ok(self.0.admit(&raw)?.hash())
    }
}

const CONTRACT: Address = Address::repeat_byte(0xcc);

/// Gives what is in slot 0 and the block's number, and puts the number into slot 0.
const CODE: [u8; 15] =
    [0x5f, 0x54, 0x5f, 0x52, 0x43, 0x60, 0x20, 0x52, 0x43, 0x5f, 0x55, 0x60, 0x40, 0x5f, 0xf3];

/// The chain by all that the transaction's block changes.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    head: Height,
    is_located: bool,
    sender_nonce: u64,
    contract_wei: U256,
    slot: U256,
    /// Slot and number in a call.
    call: [U256; 2],
}

fn seen(view: &View<Readers>, transaction: &RecoveredTransaction) -> Seen {
    let request = CallRequest { to: Some(CONTRACT), ..CallRequest::default() };
    let outcome = view.call(&request).unwrap();
    let CallOutcome::Success { output, .. } = &outcome else { panic!("{outcome:?}") };
    Seen {
        head: view.head().height(),
        is_located: view.locate(*transaction.tx_hash()).unwrap().is_some(),
        sender_nonce: view.account(transaction.signer()).unwrap().nonce,
        contract_wei: view.account(CONTRACT).unwrap().balance,
        slot: view.storage(CONTRACT, U256::ZERO).unwrap(),
        call: [U256::from_be_slice(&output[..32]), U256::from_be_slice(&output[32..])],
    }
}

/// Goal: readers see a block's transactions, its number and its state at one moment, which is when it becomes the head:
/// whoever finds a nonce spent finds the block too. Only the next nonce is the pool's, which judges by the disk.
#[test]
fn a_block_and_its_state_are_seen_together() {
    let mut genesis = genesis();
    let contract = GenesisAccount { code: Bytes::from_static(&CODE), ..GenesisAccount::default() };
    genesis.accounts.insert(CONTRACT, contract);
    let mut node = Node::open_with(genesis, PoolLimits::default(), Verification::All);
    let view = View::new(Readers(Arc::clone(&node.machine.shared)));
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(CONTRACT),
        value: U256::from(5),
        ..TxEip1559::default()
    };
    let transaction = sign(1, transaction);
    let before = Seen {
        head: Height(0),
        is_located: false,
        sender_nonce: 0,
        contract_wei: U256::ZERO,
        slot: U256::ZERO,
        call: [U256::ZERO; 2],
    };
    assert_eq!(seen(&view, &transaction), before);

    node.admit(&transaction).unwrap();
    node.turns(at(5));
    node.decide(Height(1), at(5));
    node.do_job(0, at(5));
    node.do_job(0, at(5));
    let Some(write @ Job::Write(_)) = node.jobs.pop_front() else { panic!("nothing is to be written") };
    let written = write.run(&node.machine.shared);
    assert_eq!(node.machine.shared.state.head().unwrap().height, Height(1), "it is on disk");
    assert_eq!(seen(&view, &transaction), before, "it is not the head");
    node.machine.shared.forget(*transaction.tx_hash());
    assert_eq!(view.pending_nonce(transaction.signer()).unwrap(), 1, "the pool takes no other");

    node.machine.handle(written, at(5)).unwrap();
    let one = U256::from(1);
    let after = Seen {
        head: Height(1),
        is_located: true,
        sender_nonce: 1,
        contract_wei: U256::from(5),
        slot: one,
        call: [one; 2],
    };
    assert_eq!(seen(&view, &transaction), after);
}
