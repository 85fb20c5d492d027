//! The directory of nodes as the contract has it, and the proofs that are filed there.

use crate::{
    ledger::TestLedger,
    node::{Cluster, cluster},
};
use alloy_sol_types::SolCall;
use bxp_clinical::{
    keeping::{DirectorySource, Keeping, Others},
    registry::{Filing, OnChain, departure_on_chain, directory_source},
    repair::BlockSource,
    sender::{Call, TransactionSender},
};
use bxp_contracts::{
    NODE_REGISTRY, NodeRegistry,
    nodes::{country_code, node_registry_account},
};
use bxp_types::{Height, Jurisdiction, Ledger, SealedBlock, U256, ValidatorIndex};
use bxp_vault::Directory;
use bytes::Bytes;
use cid::Cid;
use parking_lot::Mutex;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const US: Jurisdiction = Jurisdiction::US;
const DE: Jurisdiction = Jurisdiction::DE;
const CA: Jurisdiction = Jurisdiction::CA;

/// Two nodes in the US and one in Germany; the account of the last one governs where they stand.
struct Governed {
    cluster: Cluster,
    ledger: Arc<dyn Ledger>,
}

fn governed() -> Governed {
    let mut cluster = cluster(&[US, US, DE]);
    let validators = &cluster.genesis.validators;
    let account = node_registry_account(validators, &[validators[2].account], 1);
    cluster.genesis.accounts.insert(NODE_REGISTRY, account);
    cluster.ledger = TestLedger::new(&cluster.genesis);
    let ledger: Arc<dyn Ledger> = cluster.ledger.clone();
    Governed { cluster, ledger }
}

impl Governed {
    fn sender(&self, node: usize) -> TransactionSender {
        TransactionSender::new(Arc::clone(&self.ledger), self.cluster.nodes[node].enclave.clone())
    }

    /// The governor's call; gives the height of its block. The dry run before it has the number of the newest block, in
    /// which the node may have been changed.
    async fn govern(&self, call: &impl SolCall) -> u64 {
        self.cluster.ledger.empty_block();
        let call = Call { to: NODE_REGISTRY, value: U256::ZERO, data: call.abi_encode().into() };
        let governor = self.cluster.nodes[2].enclave.public().account;
        self.sender(2).send(governor, &call).await.unwrap().height.0
    }

    async fn move_to(&self, node: u16, country: Jurisdiction) -> u64 {
        self.govern(&NodeRegistry::moveNodeCall { node, country: country_code(country) }).await
    }

    fn source(&self) -> Arc<dyn DirectorySource> {
        directory_source(&self.ledger).unwrap()
    }
}

/// The height of a directory, and where the three nodes stand by it.
fn standing(directory: &Directory) -> (u64, [Option<Jurisdiction>; 3]) {
    (directory.height, [0, 1, 2].map(|node| directory.country(ValidatorIndex(node))))
}

#[tokio::test]
async fn without_the_contract_genesis_holds() {
    let cluster = cluster(&[US, US, DE]);
    let ledger: Arc<dyn Ledger> = cluster.ledger.clone();
    let source = directory_source(&ledger).unwrap();
    let genesis = Directory::of_genesis(&cluster.genesis);
    assert_eq!(source.newer_than(None).unwrap(), [genesis]);
    assert_eq!(source.newer_than(Some(0)).unwrap(), []);
    let departure = departure_on_chain(ledger.as_ref(), ValidatorIndex(0), US, 3).unwrap();
    assert_eq!(departure, OnChain::Unknown);
}

#[test]
fn a_genesis_that_contradicts_itself_is_refused() {
    let mut cluster = cluster(&[US, US, DE]);
    let account = node_registry_account(&cluster.genesis.validators, &[], 1);
    cluster.genesis.accounts.insert(NODE_REGISTRY, account);
    cluster.genesis.validators[0].jurisdiction = CA;
    let ledger: Arc<dyn Ledger> = TestLedger::new(&cluster.genesis);
    let refused = directory_source(&ledger).err().unwrap().to_string();
    assert!(refused.contains("other nodes than its validators"), "{refused}");
}

/// Goal: everybody goes through every change in its order, also a node that was away for all of them.
#[tokio::test]
async fn every_change_makes_a_directory_of_its_height() {
    let net = governed();
    let source = net.source();
    let genesis = Directory::of_genesis(&net.cluster.genesis);
    assert_eq!(source.newer_than(None).unwrap(), std::slice::from_ref(&genesis));
    let first = net.move_to(1, DE).await;
    let moved = source.newer_than(Some(0)).unwrap();
    assert_eq!(moved.iter().map(standing).collect::<Vec<_>>(), [(first, [Some(US), Some(DE), Some(DE)])]);
    assert_eq!(source.newer_than(Some(first)).unwrap(), []);

    let second = net.move_to(1, CA).await;
    let third = net.govern(&NodeRegistry::suspendNodeCall { node: 0 }).await;
    let admit = NodeRegistry::admitNodeCall { node: 0, country: country_code(DE) };
    let fourth = net.govern(&admit).await;
    let all = [
        (0, [Some(US), Some(US), Some(DE)]),
        (first, [Some(US), Some(DE), Some(DE)]),
        (second, [Some(US), Some(CA), Some(DE)]),
        (third, [None, Some(CA), Some(DE)]),
        (fourth, [Some(DE), Some(CA), Some(DE)]),
    ];
    assert!(first + 1 < second, "a block without a change lies between");
    for (known, height) in [(0, None), (1, Some(0)), (2, Some(first)), (4, Some(third)), (5, Some(fourth))] {
        for source in [&source, &net.source()] {
            let newer = source.newer_than(height).unwrap();
            assert_eq!(newer.iter().map(standing).collect::<Vec<_>>(), all[known..], "after {height:?}");
        }
    }
    let member = |directory: &Directory| *directory.member(ValidatorIndex(0)).unwrap();
    let back = source.newer_than(Some(third)).unwrap();
    assert_eq!(member(&back[0]).sealing_key, member(&genesis).sealing_key, "with its keys of genesis");
}

/// Goal: following costs a slot a block. Way: contract calls are counted.
#[tokio::test]
async fn blocks_without_changes_cost_no_call() {
    let net = governed();
    let source = net.source();
    let height = net.move_to(1, DE).await;
    assert_eq!(source.newer_than(None).unwrap().len(), 2);
    let before = net.cluster.ledger.calls.load(Ordering::SeqCst);
    for _ in 0..50 {
        net.cluster.ledger.empty_block();
        assert_eq!(source.newer_than(Some(height)).unwrap(), []);
    }
    assert_eq!(net.cluster.ledger.calls.load(Ordering::SeqCst), before);
}

/// More changes than one call gives.
#[tokio::test]
async fn a_long_history_is_read_by_and_by() {
    const CHANGES: usize = 260;
    let net = governed();
    let mut heights = vec![0];
    for change in 0..CHANGES {
        heights.push(net.move_to(1, if change % 2 == 0 { DE } else { US }).await);
    }
    let read = net.source().newer_than(None).unwrap();
    assert_eq!(read.iter().map(|directory| directory.height).collect::<Vec<_>>(), heights);
    assert_eq!(standing(&read[CHANGES - 1]).1[1], Some(DE));
    assert_eq!(standing(&read[CHANGES]).1[1], Some(US));
}

/// A node that reaches nobody, and notes by which directory its fences stand.
#[derive(Clone, Default)]
struct Alone(Arc<Mutex<Vec<u64>>>);

impl BlockSource for Alone {
    fn peers(&self) -> Vec<ValidatorIndex> {
        Vec::new()
    }

    async fn fetch(&self, _: ValidatorIndex, _: Cid) -> Option<SealedBlock> {
        None
    }
}

impl Others for Alone {
    async fn ask(&self, _: ValidatorIndex, _: Bytes) -> Result<Bytes, String> {
        Err("nobody is there".to_owned())
    }

    fn stand(&self, directory: &Directory) {
        self.0.lock().push(directory.height);
    }
}

/// Waits for what comes to be by itself.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

/// Goal: a move closes what it closes at its block, and not with the next round of work.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_followed_at_its_block() {
    let net = governed();
    let (alone, stop) = (Alone::default(), CancellationToken::new());
    let node = &net.cluster.nodes[1];
    let keeping = Keeping::new(node.ingest.clone(), alone.clone(), net.source());
    keeping.take_over().unwrap();
    assert!(!keeping.take_over().unwrap(), "nothing is new");
    let following = tokio::spawn(keeping.clone().follow(net.ledger.heads(), stop.clone()));
    let height = net.move_to(1, DE).await;
    until("the node stands in Germany", || node.vault.country() == Some(DE)).await;
    assert_eq!((node.vault.home(), node.vault.leaving()), (US, vec![US]));
    until("its fences stand by it", || *alone.0.lock() == [0, height]).await;
    for _ in 0..3 {
        net.cluster.ledger.empty_block();
    }
    assert!(!keeping.take_over().unwrap());
    stop.cancel();
    following.await.unwrap();
    assert_eq!(*alone.0.lock(), [0, height], "they stand anew when something changes");
}

/// Goal: a proof is filed once, when it is due, by who owes it; also by a node that was killed after it had sent it.
#[tokio::test]
async fn a_departed_node_files_its_proof_once() {
    let net = governed();
    let node = &net.cluster.nodes[1];
    let account = node.enclave.public().account;
    let mut keeping = Keeping::new(node.ingest.clone(), Alone::default(), net.source());
    keeping.round().await.unwrap();
    let filing = || Filing::new(node.vault.clone(), net.sender(1), account);
    let on_chain =
        |height: u64| departure_on_chain(net.ledger.as_ref(), ValidatorIndex(1), US, height).unwrap();
    let mut running = filing();
    assert_eq!(running.file().await.unwrap(), 0, "nothing is owed");

    let height = net.move_to(1, DE).await;
    assert_eq!(on_chain(height), OnChain::Owed);
    assert_eq!(running.file().await.unwrap(), 0, "nothing is deleted yet");
    keeping.round().await.unwrap();
    let proofs = node.vault.deletion_proofs(|_, _| false).unwrap();
    assert_eq!((proofs.len(), proofs[0].country, proofs[0].height, proofs[0].blocks), (1, US, height, 0));
    assert_eq!(running.file().await.unwrap(), 1);
    let OnChain::Proven(filed) = on_chain(height) else { panic!("it was filed") };
    assert_eq!((filed.digest, filed.blocks), (proofs[0].digest, 0));
    assert_eq!(filed.height, net.ledger.head().height().0);
    assert_eq!(node.vault.departures().unwrap()[0].proof, Some(filed.digest));
    assert_eq!(on_chain(height + 1), OnChain::Unknown);

    let before = net.ledger.head().height();
    assert_eq!((running.file().await.unwrap(), filing().file().await.unwrap()), (0, 0));
    assert_eq!(net.ledger.head().height(), before, "nothing is sent twice");
    assert_ne!(before, Height(0));
}
