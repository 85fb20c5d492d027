//! Goal: what the disk in memory loses at a crash is what a real disk may lose, and no more. Way: random work on tables
//! and a log, the power failing at any operation, and a comparison with what was synced.

use crate::store::NETWORK;
use bxp_storage::{Durability, Log, MemoryDisk, StorageError, Store};
use bxp_types::NetworkId;
use std::{path::Path, sync::Arc};

const FOLDER: &str = "/node";

/// A small generator, so that a failing case is named by its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

#[test]
fn synced_batches_survive_and_buffered_ones_go_from_the_end() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let disk = MemoryDisk::new(seed);
        let (mut written, mut synced, mut life) = (0_u64, 0_u64, 0);
        while life < 4 {
            life += 1;
            let store = Store::open_in(&disk, Path::new(FOLDER), NETWORK).unwrap();
            let (numbers, copies) = (store.table("numbers").unwrap(), store.table("copies").unwrap());
            let found = numbers.iter().count() as u64;
            assert_eq!(found, copies.iter().count() as u64, "seed {seed}: a batch is whole or not there");
            assert!((synced..=written).contains(&found), "seed {seed}: {synced} <= {found} <= {written}");
            let last = numbers.last().unwrap().map(|(key, _)| key);
            assert_eq!(
                last,
                found.checked_sub(1).map(|last| last.to_be_bytes().to_vec().into()),
                "seed {seed}"
            );
            (written, synced) = (found, found);
            disk.fail_power_after(dice.below(12));
            loop {
                let durability = if dice.below(3) == 0 { Durability::Synced } else { Durability::Buffered };
                let mut batch = store.batch();
                batch.put(&numbers, written.to_be_bytes(), [life]);
                batch.put(&copies, written.to_be_bytes(), [life]);
                written += 1;
                match batch.commit(durability) {
                    Ok(()) if durability == Durability::Synced => synced = written,
                    Ok(()) => {}
                    Err(_) => break,
                }
            }
            assert!(disk.is_off() && numbers.last().is_err());
            disk.crash(|bound| dice.below(bound));
            assert!(numbers.last().is_err(), "the earlier process is dead");
        }
    }
}

#[test]
fn the_log_keeps_what_was_synced_at_whatever_operation_the_power_fails() {
    let path = Path::new("/node/consensus.log");
    for seed in 0..4_000 {
        let mut dice = Dice(seed);
        let disk = MemoryDisk::new(seed);
        // Records that are in the log for certain, and those appended since.
        let (mut synced, mut appended): (Vec<Vec<u8>>, Vec<Vec<u8>>) = Default::default();
        for life in 0..5_u8 {
            let Ok((mut log, replayed)) = Log::open_on(Arc::new(disk.clone()), path) else {
                panic!("seed {seed}: the log cannot be opened");
            };
            let all: Vec<Vec<u8>> = synced.iter().chain(&appended).cloned().collect();
            assert!(
                all.starts_with(&replayed.iter().map(|record| record.to_vec()).collect::<Vec<_>>()),
                "seed {seed}"
            );
            assert!(replayed.len() >= synced.len(), "seed {seed}: {} of {}", replayed.len(), synced.len());
            synced = all[..replayed.len()].to_vec();
            appended.clear();
            disk.fail_power_after(dice.below(14));
            work(&mut log, &mut dice, life, &mut synced, &mut appended);
            disk.crash(|bound| dice.below(bound));
        }
    }
}

/// Appends and syncs until the power fails.
fn work(log: &mut Log, dice: &mut Dice, life: u8, synced: &mut Vec<Vec<u8>>, appended: &mut Vec<Vec<u8>>) {
    loop {
        match dice.below(7) {
            0..4 => {
                let record = vec![life; usize::try_from(dice.below(40)).unwrap()];
                appended.push(record.clone());
                if log.append(&record).is_err() {
                    return;
                }
            }
            _ => {
                if log.sync().is_err() {
                    return;
                }
                synced.append(appended);
            }
        }
    }
}

#[test]
fn a_disk_in_memory_is_of_one_process_and_one_network() {
    let disk = MemoryDisk::new(0);
    let store = Store::open_in(&disk, Path::new(FOLDER), NETWORK).unwrap();
    let again = || Store::open_in(&disk, Path::new(FOLDER), NETWORK);
    assert!(matches!(again(), Err(StorageError::InUse { .. })));
    drop(store);
    let other = Store::open_in(&disk, Path::new(FOLDER), NetworkId([1; 32]));
    assert!(matches!(other, Err(StorageError::OtherNetwork { .. })));
    drop(again().unwrap());
    disk.fail_power_after(0);
    assert!(again().unwrap().batch().commit(Durability::Synced).is_err());
    assert!(matches!(again(), Err(StorageError::Io { .. })), "no power");
    disk.crash(|_| 0);
    assert!(again().is_ok());
}

#[test]
fn a_damaged_byte_in_synced_records_is_found() {
    let path = Path::new("/node/consensus.log");
    let disk = MemoryDisk::new(0);
    let (mut log, _) = Log::open_on(Arc::new(disk.clone()), path).unwrap();
    for record in [b"first", b"other"] {
        log.append(record).unwrap();
        log.sync().unwrap();
    }
    disk.damage(path, 30);
    let error = Log::open_on(Arc::new(disk), path).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}
