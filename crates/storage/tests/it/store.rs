//! Tables, batches, snapshots, and what opening a folder refuses.

use crate::place::Place;
use bxp_storage::{Batch, Durability, Result, StorageError, Store};
use bxp_types::NetworkId;
use std::{collections::BTreeMap, fs};

pub(crate) const NETWORK: NetworkId = NetworkId([0xab; 32]);

#[test]
fn a_batch_is_seen_in_all_tables_and_after_opening_again() -> Result<()> {
    for (place, durability) in Place::both().into_iter().flat_map(|place| {
        [Durability::Buffered, Durability::Synced].map(|durability| (place.clone(), durability))
    }) {
        let store = place.open()?;
        let (one, two) = (store.table("one")?, store.table("two")?);
        let mut batch = store.batch();
        batch.put(&one, b"key", b"replaced");
        batch.put(&one, b"key", b"value");
        batch.put(&two, b"key", b"");
        batch.remove(&two, b"absent");
        assert_eq!((batch.len(), one.get(b"key")?.is_some()), (4, durability == Durability::Synced));
        batch.commit(durability)?;
        drop((one, two, store));

        let store = place.open()?;
        let (one, two) = (store.table("one")?, store.table("two")?);
        assert_eq!(one.get(b"key")?.unwrap(), b"value".as_slice());
        assert!(two.contains(b"key")? && !two.contains(b"absent")?);
        store.batch().commit(Durability::Synced)?;
    }
    Ok(())
}

#[test]
fn entries_come_in_the_order_of_their_keys_from_both_ends() -> Result<()> {
    for place in Place::both() {
        let table = place.open()?.table("ordered")?;
        assert_eq!((table.first()?, table.last()?), (None, None));
        assert!(matches!(place.open(), Err(StorageError::InUse { .. })), "a table keeps the folder locked");
        drop(table);
        let store = place.open()?;
        let table = store.table("ordered")?;
        let mut batch = store.batch();
        for key in ["b2", "a", "b1", "c", "b"] {
            batch.put(&table, key, key.to_uppercase());
        }
        batch.commit(Durability::Buffered)?;
        let keys = |entries: bxp_storage::Entries| -> Result<Vec<String>> {
            entries.map(|entry| Ok(String::from_utf8(entry?.0.to_vec()).unwrap())).collect()
        };
        assert_eq!(keys(table.iter_prefix("b"))?, ["b", "b1", "b2"]);
        assert_eq!(keys(table.range("a".."b1"))?, ["a", "b"]);
        assert_eq!(keys(table.range("a"..="b1"))?, ["a", "b", "b1"]);
        assert_eq!(keys(table.iter())?, ["a", "b", "b1", "b2", "c"]);
        assert_eq!(table.iter_prefix("b").next_back().unwrap()?.1, b"B2".as_slice());
        assert_eq!((table.first()?.unwrap().0, table.last()?.unwrap().1), ("a".into(), "C".into()));
        let mut from_both = table.iter();
        let ends = [from_both.next(), from_both.next_back(), from_both.next()];
        assert_eq!(ends.map(|entry| entry.unwrap().unwrap().0), ["a", "c", "b"]);
        assert_eq!(from_both.rev().count(), 2);
    }
    Ok(())
}

#[test]
fn of_a_key_that_a_batch_writes_twice_the_later_write_stays() -> Result<()> {
    for place in Place::both() {
        let store = place.open()?;
        let (one, other) = (store.table("one")?, store.table("other")?);
        let mut batch = store.batch();
        for (key, value) in [("b", "first"), ("z", "alone"), ("a", "first"), ("b", "second")] {
            batch.put(&one, key, value);
            batch.put(&other, key, value);
        }
        batch.remove(&one, "a");
        batch.remove(&other, "b");
        batch.put(&other, "b", "third");
        batch.commit(Durability::Synced)?;
        drop((one, other, store));
        let store = place.open()?;
        let (one, other) = (store.table("one")?, store.table("other")?);
        let get = |table: &bxp_storage::Table, key: &str| table.get(key);
        assert_eq!(
            (get(&one, "a")?, get(&one, "b")?, get(&one, "z")?),
            (None, Some("second".into()), Some("alone".into()))
        );
        assert_eq!((get(&other, "a")?, get(&other, "b")?), (Some("first".into()), Some("third".into())));
    }
    Ok(())
}

#[test]
fn a_snapshot_sees_none_of_what_comes_later() -> Result<()> {
    for place in Place::both() {
        let store = place.open()?;
        let table = store.table("table")?;
        let write = |value: &str| {
            let mut batch = store.batch();
            batch.put(&table, "key", value);
            batch.put(&table, value, "");
            batch.commit(Durability::Buffered)
        };
        write("old")?;
        let (snapshot, walk) = (store.snapshot(), table.iter());
        write("new")?;
        assert_eq!(snapshot.get(&table, "key")?.unwrap(), "old");
        assert_eq!((snapshot.iter_prefix(&table, "").count(), walk.count()), (2, 2));
        assert_eq!((snapshot.range(&table, "l"..).count(), snapshot.range(&table, ..="key").count()), (1, 1));
        let mut batch = store.batch();
        batch.remove(&table, "key");
        batch.commit(Durability::Buffered)?;
        assert_eq!(snapshot.get(&table, "key")?.unwrap(), "old");
        assert_eq!((table.get("key")?, table.contains("new")?), (None, true));
    }
    Ok(())
}

#[test]
fn another_process_and_another_network_are_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/on/the/way");
    let store = Store::open(&path, NETWORK)?;
    let error = Store::open(&path, NETWORK).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("another process uses data folder {}; stop it, or use another --dir", path.display())
    );
    drop(store);
    let other = NetworkId([0xcd; 32]);
    assert_eq!(
        Store::open(&path, other).unwrap_err().to_string(),
        format!(
            "data folder {} belongs to network {NETWORK}, this node is of network {other}; use another --dir",
            path.display()
        )
    );
    fs::write(path.join("network"), "no id").unwrap();
    assert!(matches!(Store::open(&path, NETWORK), Err(StorageError::Corrupt { .. })));
    Ok(())
}

#[test]
fn a_folder_whose_creation_was_interrupted_is_made_anew() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let beside = folder.path().join("database.new");
    fs::create_dir_all(&beside).unwrap();
    fs::write(beside.join("0.jnl"), b"").unwrap();
    let store = Store::open(folder.path(), NETWORK)?;
    assert!(store.table("table")?.last()?.is_none() && !beside.exists());
    Ok(())
}

#[test]
fn a_path_that_is_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(file.path(), NETWORK).unwrap_err();
    assert!(error.to_string().starts_with("create data folder at /"), "{error}");
}

#[test]
fn what_the_database_cannot_hold_is_refused_before_anything_is_written() -> Result<()> {
    for (place, other) in Place::both().into_iter().zip(Place::both()) {
        refuses_misuse(&place.open()?, &other.open()?.table("table")?)?;
    }
    // A store of one kind refuses a table of the other.
    let [folder, memory] = Place::both();
    refuses_misuse(&folder.open()?, &memory.open()?.table("table")?)?;
    refuses_misuse(&memory.open()?, &folder.open()?.table("table")?)
}

fn refuses_misuse(store: &Store, foreign: &bxp_storage::Table) -> Result<()> {
    let table = store.table("table")?;
    assert!(store.table("").is_err() && store.table(&"x".repeat(256)).is_err());
    let misuses: [&dyn Fn(&mut Batch); 4] = [
        &|batch| batch.put(&table, b"", b"value"),
        &|batch| batch.put(&table, vec![0; 65_536], b"value"),
        &|batch| batch.remove(&table, b""),
        &|batch| batch.put(foreign, b"key", b"value"),
    ];
    for misuse in misuses {
        let mut batch = store.batch();
        batch.put(&table, b"good", b"value");
        misuse(&mut batch);
        assert!(matches!(batch.commit(Durability::Buffered), Err(StorageError::Misuse { .. })));
        assert!(table.last()?.is_none() && foreign.last()?.is_none());
    }
    Ok(())
}

type Write = (bool, u8, Option<Vec<u8>>);

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    /// Two tables behave as two `BTreeMap`s, over batches and restarts.
    #[test]
    fn tables_are_maps(in_memory: bool, batches: Vec<(bool, Vec<Write>)>) {
        let [folder, memory] = Place::both();
        let place = if in_memory { memory } else { folder };
        let mut oracle: [BTreeMap<Vec<u8>, Vec<u8>>; 2] = Default::default();
        let mut store = place.open().unwrap();
        for (restart, writes) in batches {
            if restart {
                drop(store);
                store = place.open().unwrap();
            }
            let tables = ["zero", "one"].map(|name| store.table(name).unwrap());
            let mut batch = store.batch();
            for (table, key, value) in writes {
                let table = usize::from(table);
                if let Some(value) = value {
                    batch.put(&tables[table], [key], &value);
                    oracle[table].insert(vec![key], value);
                } else {
                    batch.remove(&tables[table], [key]);
                    oracle[table].remove([key].as_slice());
                }
            }
            batch.commit(Durability::Buffered).unwrap();
            for (table, oracle) in tables.iter().zip(&oracle) {
                let read: BTreeMap<_, _> =
                    table.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect();
                proptest::prop_assert_eq!(&read, oracle);
            }
        }
    }
}

#[test]
fn ingested_entries_stand_among_the_others_and_stay() -> Result<()> {
    for place in Place::both() {
        let store = place.open()?;
        let table = store.table("ingested")?;
        let put = |key: &str, value: &str| {
            let mut batch = store.batch();
            batch.put(&table, key, value);
            batch.commit(Durability::Buffered)
        };
        put("a1", "before")?;
        put("b", "before")?;
        let earlier = store.snapshot();
        table.ingest([("a0", "x"), ("b", "ingested"), ("c", "x")])?;
        put("c", "after")?;
        table.ingest((0..10_000).map(|number| (format!("d{number:05}"), "y")))?;
        assert_eq!(earlier.get(&table, "b")?.unwrap(), b"before".as_slice());
        assert_eq!(earlier.get(&table, "a0")?, None);
        drop((earlier, table, store));

        let store = place.open()?;
        let table = store.table("ingested")?;
        let first: Vec<_> = table.iter().take(4).collect::<Result<_>>()?;
        let wanted = [("a0", "x"), ("a1", "before"), ("b", "ingested"), ("c", "after")];
        assert_eq!(first, wanted.map(|(key, value)| (key.into(), value.into())));
        assert_eq!(table.iter_prefix("d").count(), 10_000);
        // What is refused leaves nothing behind.
        for entries in [vec![("e2", "x"), ("e1", "x")], vec![("e1", "x"), ("e1", "x")], vec![("", "x")]] {
            assert!(matches!(table.ingest(entries), Err(StorageError::Misuse { .. })));
        }
        assert_eq!(table.iter_prefix("e").count(), 0);
        table.ingest(Vec::<(String, String)>::new())?;
    }
    Ok(())
}

#[test]
fn batches_are_appended_in_their_order_and_to_batches_of_their_own_store_alone() -> Result<()> {
    for place in Place::both() {
        let store = place.open()?;
        let (one, two) = (store.table("one")?, store.table("two")?);
        let mut whole = store.batch();
        whole.put(&one, b"key", b"first");
        whole.put(&two, b"gone", b"value");
        let mut later = store.batch();
        later.remove(&two, b"gone");
        later.put(&one, b"key", b"second");
        later.put(&two, b"other", b"value");
        whole.append(later);
        whole.append(store.batch());
        assert_eq!(whole.len(), 5);
        whole.commit(Durability::Synced)?;
        assert_eq!(one.get(b"key")?.unwrap(), b"second".as_slice());
        assert!(!two.contains(b"gone")? && two.contains(b"other")?);

        let stranger = Place::Memory(bxp_storage::MemoryDisk::new(1)).open()?;
        let mut mixed = store.batch();
        mixed.put(&one, b"key", b"third");
        mixed.append(stranger.batch());
        assert!(matches!(mixed.commit(Durability::Synced), Err(StorageError::Misuse { .. })));
        let mut wrong = store.batch();
        wrong.put(&one, b"", b"a key has a byte at least");
        let mut whole = store.batch();
        whole.append(wrong);
        assert!(matches!(whole.commit(Durability::Synced), Err(StorageError::Misuse { .. })));
        assert_eq!(one.get(b"key")?.unwrap(), b"second".as_slice(), "nothing is written");
    }
    Ok(())
}

/// Goal: values that lie apart from their keys are the same as others, also when tables in memory have become files and most
/// of what these hold is stale. Way: more than fits in memory, three times over.
#[test]
fn large_values_are_read_replaced_removed_and_there_after_opening_again() -> Result<()> {
    const KEYS: u32 = 600;
    let value = |key: u32, round: u8| {
        let mut value = vec![round; 48 << 10];
        value[..4].copy_from_slice(&key.to_be_bytes());
        value
    };
    let folder = tempfile::tempdir().unwrap();
    for round in 0..9 {
        let store = Store::open(folder.path(), NETWORK)?;
        let table = store.table_of_large_values("packs")?;
        for keys in (0..KEYS).collect::<Vec<_>>().chunks(50) {
            let mut batch = store.batch();
            for key in keys {
                batch.put(&table, key.to_be_bytes(), value(*key, round));
            }
            batch.commit(Durability::Synced)?;
        }
        let mut batch = store.batch();
        (0..KEYS).filter(|key| key % 3 == 0).for_each(|key| batch.remove(&table, key.to_be_bytes()));
        batch.commit(Durability::Synced)?;
        drop((table, store));

        let table = Store::open(folder.path(), NETWORK)?.table("packs")?;
        assert_eq!(table.iter().count(), 400);
        for key in 0..KEYS {
            let expected = (key % 3 != 0).then(|| value(key, round));
            assert_eq!(
                table.get(key.to_be_bytes())?.as_deref(),
                expected.as_deref(),
                "{key} in round {round}"
            );
        }
    }
    Ok(())
}

/// Goal: a snapshot has every batch whole or not at all, also while tables in memory become files. Way: batches over three
/// tables, large enough that a table is full after a few of them, and a reader that looks at first and last rows meanwhile.
#[test]
fn no_snapshot_and_no_walk_sees_a_part_of_a_batch() -> Result<()> {
    const ROWS: u32 = 4_000;
    const ROUNDS: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), NETWORK)?;
    let tables = [store.table("first")?, store.table("second")?, store.table("third")?];
    let write = |round: u64| -> Result<()> {
        let mut value = vec![0x5a; 1 << 10];
        value[..8].copy_from_slice(&round.to_be_bytes());
        let mut batch = store.batch();
        for table in &tables {
            (0..ROWS).for_each(|key| batch.put(table, key.to_be_bytes(), &value));
        }
        batch.commit(Durability::Buffered)
    };
    let round_of = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
    write(0)?;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..=ROUNDS).try_for_each(write));
        let mut newest = 0;
        while !writer.is_finished() {
            let snapshot = store.snapshot();
            let mut seen = Vec::new();
            for key in [0, ROWS / 2, ROWS - 1] {
                for table in &tables {
                    seen.push(round_of(&snapshot.get(table, key.to_be_bytes())?.unwrap()));
                }
            }
            assert!(
                seen.iter().all(|round| *round == seen[0] && *round >= newest),
                "{seen:?} after {newest}"
            );
            newest = seen[0];
            let mut rounds = tables[1].iter();
            let ends = [rounds.next(), rounds.next_back()].map(|row| round_of(&row.unwrap().unwrap().1));
            assert_eq!(ends[0], ends[1], "a walk from both ends");
        }
        writer.join().unwrap()
    })?;
    assert_eq!(round_of(&store.snapshot().get(&tables[2], 0_u32.to_be_bytes())?.unwrap()), ROUNDS);
    Ok(())
}
