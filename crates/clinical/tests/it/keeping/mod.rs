//! Copies of identity blocks where placement wants them: joins, leaves, moves, kills, erasures.

mod killed;
pub(crate) mod net;

use bxp_clinical::erase::Erasing;
use bxp_types::ValidatorIndex;
use bxp_vault::RecordEntry;
use net::{DE, Net, US, make};
use std::{fs, path::Path};

fn start(homes: &[bxp_types::Jurisdiction], copies: u16) -> (tempfile::TempDir, Net) {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), homes, copies);
    let net = Net::open(dir.path());
    (dir, net)
}

/// Whether some file below `dir` has these bytes.
fn found_on_disk(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return found_on_disk(&path, bytes);
        }
        fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

/// Who has each record, asserted to be its keepers exactly.
fn assert_placed(net: &Net, entries: &[RecordEntry], copies: usize) {
    let directory = net.directory.0.lock().clone();
    for entry in entries {
        let mut keepers: Vec<_> = directory.keepers(entry).into_iter().map(|node| node.0).collect();
        keepers.sort_unstable();
        assert_eq!(net.holders(entry), keepers);
        assert_eq!(keepers.len(), copies);
    }
}

/// Goal: of three nodes of a country two have a record's identity block, and the third has not a byte of it on its disk.
#[tokio::test]
async fn two_of_three_have_it_and_the_third_not_a_byte() {
    let (dir, net) = start(&[US, US, US, DE], 2);
    let entries = net.take_in().await;
    assert_placed(&net, &entries, 2);
    let (mut kept, mut without) = (0, 0);
    for entry in &entries {
        let block = net.seats[0].vault.block(&entry.identity_cid).unwrap().unwrap();
        let bytes = &block.bytes[block.bytes.len() / 2..][..24];
        for node in [1, 2, 3] {
            let here = found_on_disk(&dir.path().join(node.to_string()).join("data"), bytes);
            assert_eq!(here, net.holders(entry).contains(&node), "node {node}");
            kept += usize::from(here);
            without += usize::from(!here);
        }
    }
    assert_eq!((kept, without), (entries.len(), 2 * entries.len()));
    for (index, seat) in net.seats.iter().enumerate() {
        assert_eq!(seat.vault.entries(0).count(), entries.len(), "everyone knows every record");
        for entry in &entries {
            let opens = net.holders(entry).contains(&(index as u16));
            assert_eq!(seat.opens(entry, seat.vault.home()), opens, "node {index}");
        }
    }
}

#[tokio::test]
async fn fewer_nodes_than_copies_keep_it_all() {
    let (_dir, net) = start(&[US, US, DE], 5);
    let entries = net.take_in().await;
    assert_placed(&net, &entries, 2);
    net.settle().await;
    assert_placed(&net, &entries, 2);
}

/// Goal: a node that joins takes its share, one that leaves hands its own back, and a record never has fewer than two
/// copies. Way: the fourth node is in Germany at first; after each round of each node all copies are counted.
#[tokio::test]
async fn a_join_and_a_leave_move_copies_and_never_too_many() {
    let (dir, net) = start(&[US, US, US, DE], 2);
    let entries = net.take_in().await;
    let before: Vec<_> = entries.iter().map(|entry| net.holders(entry)).collect();
    net.move_to(7, &[(0, US), (1, US), (2, US), (3, US)]);
    // A node that comes from abroad is opened anew where it stands.
    drop(net);
    let net = reopened(&dir, 7, &[(0, US), (1, US), (2, US), (3, US)]).await;
    rounds_with_two_copies(&net, &entries).await;
    assert_placed(&net, &entries, 2);
    let after: Vec<_> = entries.iter().map(|entry| net.holders(entry)).collect();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(old, new)| old != new).collect();
    assert!(!moved.is_empty() && moved.iter().all(|(_, new)| new.contains(&3)), "to the new node alone");
    assert!(moved.len() < entries.len() * 2 / 3, "{} of {} moved", moved.len(), entries.len());

    net.move_to(8, &[(0, US), (1, US), (3, US)]);
    rounds_with_two_copies(&net, &entries).await;
    assert_placed(&net, &entries, 2);
    let departures = net.seats[0].vault.departures().unwrap();
    let left = departures.iter().find(|one| one.node == ValidatorIndex(2)).unwrap();
    assert!(left.proven_ms.is_some() && left.unnamed == 0, "{left:?}");
}

/// The same folders after all nodes read this directory and were started again.
async fn reopened(dir: &tempfile::TempDir, height: u64, places: &[(u16, bxp_types::Jurisdiction)]) -> Net {
    let net = Net::open(dir.path());
    net.move_to(height, places);
    for seat in &net.seats {
        seat.vault.adopt(net.directory.0.lock().clone()).unwrap();
    }
    drop(net);
    let net = Net::open(dir.path());
    net.move_to(height, places);
    net
}

/// Rounds of all nodes until they are at rest, with two copies of everything after each.
async fn rounds_with_two_copies(net: &Net, entries: &[RecordEntry]) {
    let mut workers: Vec<_> = (0..net.seats.len()).map(|of| net.keeping(of)).collect();
    for _ in 0..4 {
        // Who is to give copies up comes first, and may not yet.
        for worker in workers.iter_mut().rev() {
            worker.round().await.unwrap();
            assert!(entries.iter().all(|entry| net.holders(entry).len() >= 2), "two copies at every moment");
        }
    }
    net.settle().await;
}

/// Goal: a keeper that cannot be asked holds deletion up, and nothing is lost meanwhile.
#[tokio::test]
async fn nothing_goes_while_a_keeper_is_away() {
    let (dir, net) = start(&[US, US, US, DE], 2);
    let entries = net.take_in().await;
    drop(net);
    let all = [(0, US), (1, US), (2, US), (3, US)];
    let net = reopened(&dir, 7, &all).await;
    for of in [0, 3] {
        net.keeping(of).round().await.unwrap();
    }
    let line = net.line(1);
    line.away.lock().insert(3);
    let source = std::sync::Arc::new(net.directory.clone());
    let ingest = net.seats[1].ingest.clone();
    let mut keeping = bxp_clinical::keeping::Keeping::new(ingest, line.clone(), source);
    let round = keeping.round().await.unwrap();
    assert!(round.shed == 0 && round.waiting > 0, "{round:?}");
    line.away.lock().clear();
    let round = keeping.round().await.unwrap();
    assert!(round.shed > 0 && round.waiting == 0, "{round:?}");
    net.settle().await;
    assert_placed(&net, &entries, 2);
}

/// Goal: the records of a holder that leaves the country stay in it, and the holder keeps nothing and proves it. Way: node 0
/// moves to Germany before it has handed anything over.
#[tokio::test]
async fn a_holder_that_moves_hands_its_copies_home_and_signs() {
    let (dir, net) = start(&[US, US, US, DE], 2);
    let taken = net.seats[0]
        .ingest
        .ingest_submission(&crate::node::submission(&crate::node::patients(US, 1)[1].json))
        .unwrap();
    let entries = net.entries();
    assert_eq!(taken.new as usize, entries.len());
    let places = [(0, DE), (1, US), (2, US), (3, DE)];
    drop(net);
    let net = reopened(&dir, 4, &places).await;
    assert!(entries.iter().all(|entry| !net.seats[0].opens(entry, DE) && !net.seats[0].opens(entry, US)));
    let refused = net.seats[0]
        .ingest
        .ingest_submission(&crate::node::submission(&crate::node::patients(US, 2)[2].json))
        .unwrap();
    assert_eq!(refused.new, 0, "nor does it take in more of the old country");
    net.keeping(0).round().await.unwrap();
    assert!(
        entries.iter().all(|entry| net.holders(entry) == [0]),
        "the only copy stays until others have it"
    );
    net.hand_over(0).await;
    net.settle().await;
    assert_placed(&net, &entries, 2);
    assert!(entries.iter().all(|entry| net.holders(entry) == [1, 2]));
    assert!(entries.iter().all(|entry| net.seats[1].opens(entry, US) && net.seats[2].opens(entry, US)));
    assert!(net.seats[0].vault.leaving().is_empty());
    for seat in &net.seats[1..] {
        let proven = &seat.vault.departures().unwrap()[0];
        assert_eq!((proven.node, proven.deleted), (ValidatorIndex(0), entries.len() as u64));
        assert!(proven.proven_ms.is_some());
    }
}

/// Goal: an erasure reaches who keeps a copy, who once did, and who moved away. Way: node 2 keeps copies and leaves for
/// Germany; then the holder erases everything.
#[tokio::test]
async fn an_erasure_reaches_who_holds_a_copy_and_who_held_one() {
    let (_dir, net) = start(&[US, US, US, DE], 2);
    let entries = net.take_in().await;
    let once: Vec<_> = entries.iter().filter(|entry| net.holders(entry).contains(&2)).cloned().collect();
    assert!(!once.is_empty());
    net.move_to(3, &[(0, US), (1, US), (2, DE), (3, DE)]);
    net.settle().await;
    assert_placed(&net, &entries, 2);
    for entry in &entries {
        net.seats[0].ingest.erase_record(entry.record_id).unwrap();
    }
    let erasing = Erasing::new(net.seats[0].ingest.clone(), net.line(0), net.genesis.clone());
    for peer in [1, 2, 3].map(ValidatorIndex) {
        erasing.send_all(peer).await.unwrap();
        assert!(net.seats[0].vault.without_receipt(peer, 1).unwrap().is_empty(), "{peer} signed");
    }
    for entry in &entries {
        assert!(net.holders(entry).is_empty());
        assert!(net.seats.iter().all(|seat| seat.vault.entry(entry.record_id).unwrap().is_none()));
    }
    let before = net.seats[0].vault.receipts(once[0].record_id).unwrap();
    assert_eq!(before.iter().map(|receipt| receipt.node.0).collect::<Vec<_>>(), [1, 2, 3]);
    net.settle().await;
    assert!(net.seats.iter().all(|seat| seat.vault.entries(0).count() == 0), "and nothing brings it back");
}
