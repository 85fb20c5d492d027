//! Old blocks in segments: nobody sees the difference, nothing is lost or there twice whenever the power fails, and
//! damage is found and never served.

use crate::cluster::{Cluster, How, Wallet};
use alloy_consensus::{Header, transaction::TxHashRef as _};
use bxp_chain::{Archiver, SegmentRules, blocks::Blocks, verify::Verifier};
use bxp_storage::{Disk as _, Durability, MemoryDisk, Store};
use bxp_types::{B256, Certificate, Height, Ledger, NetworkId, StoredBlock, ValidatorIndex};
use std::path::Path;

const NETWORK: NetworkId = NetworkId([1; 32]);
const FOLDER: &str = "/node/chain";
const RULES: SegmentRules = SegmentRules { blocks: 8, behind: 3 };
const HEAD: u64 = 30;

fn block(number: u64) -> StoredBlock {
    let header = Header { number, extra_data: vec![7; number as usize].into(), ..Header::default() };
    StoredBlock { hash: header.hash_slow(), header, transactions: Vec::new(), time_ms: number }
}

fn certificate(number: u64) -> Certificate {
    let signatures = [(ValidatorIndex(1), [number.to_le_bytes()[0]; 64])].into();
    Certificate { height: Height(number), block_hash: block(number).hash, signatures }
}

fn fill(store: &Store) {
    let blocks = Blocks::open(store).unwrap();
    let mut batch = store.batch();
    for number in 0..=HEAD {
        blocks.put(&mut batch, &block(number), &[], &[]);
        if number > 0 {
            blocks.put_certificate(&mut batch, &certificate(number));
        }
    }
    batch.commit(Durability::Synced).unwrap();
}

fn open(disk: &MemoryDisk) -> Store {
    Store::open_in(disk, Path::new(FOLDER), NETWORK).unwrap()
}

/// Works until nothing is left to do.
fn archive(store: &Store, rules: SegmentRules) -> Result<(), bxp_chain::ChainError> {
    let blocks = Blocks::open(store)?;
    let mut archiver = Archiver::new(store, &blocks, rules, NETWORK, 2018);
    for _ in 0..1_000 {
        if !archiver.step()? {
            return Ok(());
        }
    }
    panic!("there is no end to it")
}

fn assert_all_there(store: &Store, context: impl std::fmt::Debug) {
    let blocks = Blocks::open(store).unwrap();
    for number in 0..=HEAD {
        let height = Height(number);
        assert_eq!(blocks.block(height).unwrap(), Some(block(number)), "{context:?}");
        assert_eq!(blocks.receipts(height).unwrap(), Some(Vec::new()), "{context:?}");
        let wanted = (number > 0).then(|| certificate(number));
        assert_eq!(blocks.certificate(height).unwrap(), wanted, "{context:?}");
        assert_eq!(blocks.height_of(block(number).hash).unwrap(), Some(height), "{context:?}");
    }
    assert_eq!(blocks.block(Height(HEAD + 1)).unwrap(), None);
    assert_eq!(blocks.newest().unwrap(), Some(block(HEAD)));
}

/// The segments' files, and the lowest height that has a row.
fn places(disk: &MemoryDisk, store: &Store) -> (Vec<String>, Option<u64>) {
    let mut names = disk.names(&Path::new(FOLDER).join("segments")).unwrap();
    names.sort();
    let tables = ["blocks", "receipts", "certificates"].map(|name| store.table(name).unwrap());
    let firsts = tables.map(|table| table.first().unwrap().unwrap().0);
    let lowest = firsts.iter().map(|key| u64::from_be_bytes(key.as_ref().try_into().unwrap())).min();
    (names, lowest)
}

/// Goal: whenever the power fails while old blocks move, all of them are there afterwards, and after the next run each is
/// in one place. The power is cut at every writing operation in turn; the disk loses what it may.
#[test]
fn whenever_the_power_fails_nothing_is_lost_and_nothing_is_there_twice() {
    let names =
        |firsts: &[u64]| firsts.iter().map(|first| format!("{first:020}.segment")).collect::<Vec<_>>();
    let (mut interrupted, mut power) = (0, 0);
    loop {
        let disk = MemoryDisk::new(power);
        fill(&open(&disk));
        disk.fail_power_after(power);
        let outcome = Store::open_in(&disk, Path::new(FOLDER), NETWORK).map(|store| archive(&store, RULES));
        let failed = disk.is_off();
        assert_eq!(failed, !matches!(outcome, Ok(Ok(()))), "{outcome:?}");
        disk.crash(|below| power.wrapping_mul(0x9e37_79b9) % below);
        assert_all_there(&open(&disk), power);
        archive(&open(&disk), RULES).unwrap();
        let store = open(&disk);
        assert_all_there(&store, power);
        // 24 is 6 below the head: its segment would end behind the three that stay.
        assert_eq!(places(&disk, &store), (names(&[0, 8, 16]), Some(24)), "{power}");
        if !failed {
            break;
        }
        (interrupted, power) = (interrupted + 1, power + 1);
    }
    assert!(interrupted > 20, "{interrupted}");
}

#[test]
fn segments_are_aligned_again_after_other_rules() {
    let disk = MemoryDisk::new(1);
    let store = open(&disk);
    fill(&store);
    archive(&store, SegmentRules { blocks: 5, behind: 24 }).unwrap();
    archive(&store, SegmentRules { blocks: 8, behind: 12 }).unwrap();
    let (names, lowest) = places(&disk, &store);
    assert_eq!(lowest, Some(16));
    assert_eq!(names, [0, 5, 8].map(|first| format!("{first:020}.segment")));
    assert_all_there(&store, "other rules");
}

/// Goal: a damaged segment is an error that names the file and the height, and the other blocks are served.
#[test]
fn a_damaged_segment_is_named_and_not_served() {
    let disk = MemoryDisk::new(1);
    let store = open(&disk);
    fill(&store);
    archive(&store, RULES).unwrap();
    let file = Path::new(FOLDER).join("segments/00000000000000000008.segment");
    // In the only group of the second segment, behind the head of the file.
    disk.damage(&file, 100);
    let blocks = Blocks::open(&store).unwrap();
    assert_eq!(blocks.block(Height(7)).unwrap(), Some(block(7)));
    assert_eq!(blocks.block(Height(16)).unwrap(), Some(block(16)));
    for height in (8..16).map(Height) {
        let errors = [
            blocks.block(height).unwrap_err(),
            blocks.receipts(height).unwrap_err(),
            blocks.certificate(height).unwrap_err(),
        ];
        for error in errors {
            let named = format!("{error}: {}", std::error::Error::source(&error).unwrap());
            assert!(named.contains("00000000000000000008.segment"), "{named}");
            assert!(named.contains(&format!("record {height}")), "{named}");
        }
    }
}

/// Goal: clients, peers and the verifier do not notice where a block lies. A node that was away for long takes its blocks
/// out of the others' segments; of the chain that it then has, a changed byte is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_serves_and_verifies_what_is_in_segments() {
    let mut cluster = {
        let segments = Some(SegmentRules { blocks: 4, behind: 2 });
        Cluster::start_with(4, How { segments, ..How::default() }).await
    };
    cluster.stop(3).await;
    let mut sent: Vec<B256> = Vec::new();
    for nonce in 0..14 {
        let transaction = cluster.chain(0).submit(Wallet::new(1).transfer(nonce)).await.unwrap();
        cluster.wait_included(&[0, 1, 2], &[transaction]).await;
        sent.push(transaction);
    }
    cluster.wait_certified(&[0, 1, 2]).await;
    for node in 0..3 {
        let folder = cluster.folder(node).join("chain/segments");
        let moved = || std::fs::read_dir(&folder).is_ok_and(|files| files.count() >= 3);
        cluster.until(&format!("node {node} has segments"), moved).await;
    }
    let ledger = cluster.chain(0);
    for hash in &sent {
        let place = ledger.locate(*hash).unwrap().unwrap();
        let block = ledger.block(place.height).unwrap().unwrap();
        assert_eq!(block.transactions[place.index as usize].tx_hash(), hash);
        assert_eq!(ledger.height_of(block.hash).unwrap(), Some(place.height));
        assert_eq!(ledger.receipts(place.height).unwrap().unwrap().len(), block.transactions.len());
        assert!(ledger.certificate(place.height).unwrap().is_some());
    }
    cluster.restart(3).await;
    cluster.wait_included(&[3], &sent).await;
    cluster.assert_equal_blocks(&[0, 1, 2, 3]);
    cluster.wait_certified(&[0]).await;
    cluster.stop(0).await;
    let (genesis, store) = (cluster.genesis().clone(), cluster.store(0).await);
    let scratch_folder = tempfile::tempdir().unwrap();
    let scratch = Store::open(scratch_folder.path(), genesis.network_id()).unwrap();
    let report = Verifier::new(&genesis, &store).unwrap().run(Some(&scratch), |_, _| {}).unwrap();
    assert_eq!(report.findings, []);
    assert!(report.segments >= 3);
    assert_eq!(report.executed, Some(report.head));

    let file = cluster.folder(0).join("chain/segments/00000000000000000004.segment");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let findings = Verifier::new(&genesis, &store).unwrap().run(None, |_, _| {}).unwrap().findings;
    let text = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("block 4: ") && text.contains("00000000000000000004.segment"), "{text}");
}
