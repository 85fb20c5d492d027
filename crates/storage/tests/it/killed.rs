//! Goal: what a killed process has acknowledged is there. A child process of this very test binary writes and prints
//! each acknowledgement; the parent kills it (SIGKILL) in the middle of its work and reads what it left.

use crate::store::NETWORK;
use bxp_storage::{Durability, Log, StorageError, Store};
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

const FOLDER: &str = "BXP_STORAGE_TEST_FOLDER";
const VALUE_BYTES: &str = "BXP_STORAGE_TEST_VALUE_BYTES";
const ACKNOWLEDGED_MIN: u64 = 40;
/// A child that nobody kills ends by itself after so many bytes.
const CHILD_BYTES_MAX: u64 = 256 << 20;

/// The child: writes until it is killed. In an ordinary run of the tests there is no folder and nothing to do.
#[test]
fn child_writes_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let store = Store::open(folder, NETWORK).unwrap();
    let (numbers, copies) = (store.table("numbers").unwrap(), store.table("copies").unwrap());
    let (mut log, _) = Log::open(&folder.join("wal")).unwrap();
    let value_bytes: u64 = env::var(VALUE_BYTES).unwrap().parse().unwrap();
    for number in 0..CHILD_BYTES_MAX / value_bytes {
        let value = value(number, value_bytes);
        let written = write(&store, &mut log, number, |batch, key| {
            batch.put(&numbers, key, &value);
            batch.put(&copies, key, &value);
        });
        match written {
            Ok(()) => println!("acknowledged {number}"),
            Err(error) => {
                println!("failed {error}");
                return;
            }
        }
    }
}

fn write(
    store: &Store,
    log: &mut Log,
    number: u64,
    put: impl Fn(&mut bxp_storage::Batch, [u8; 8]),
) -> Result<(), StorageError> {
    let key = number.to_be_bytes();
    log.append(&key)?;
    log.sync()?;
    let mut batch = store.batch();
    put(&mut batch, key);
    batch.commit(Durability::Synced)
}

/// Bytes that do not compress, so that a bounded disk fills.
fn value(number: u64, bytes: u64) -> Vec<u8> {
    let mixed = |at: u64| (number.wrapping_mul(1 << 32) + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..bytes).map(|at| (mixed(mixed(at) >> 7) >> 56) as u8).collect()
}

fn child(folder: &Path, value_bytes: u64, shell: Option<&str>) -> Child {
    let test = ["killed::child_writes_until_killed", "--exact", "--nocapture", "--test-threads=1"];
    let binary = env::current_exe().unwrap();
    let mut command = if let Some(limits) = shell {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]).arg(binary);
        command
    } else {
        Command::new(binary)
    };
    command
        .args(test)
        .env(FOLDER, folder)
        .env(VALUE_BYTES, value_bytes.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The highest acknowledged number that `child` printed, and the failure it named; stops reading after `enough`.
fn read_acknowledgements(child: &mut Child, enough: u64) -> (u64, Option<String>) {
    let mut highest = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test harness writes its own words before the first line.
        if let Some((_, number)) = line.split_once("acknowledged ") {
            highest = number.parse().unwrap();
            if highest >= enough {
                break;
            }
        } else if let Some((_, failure)) = line.split_once("failed ") {
            return (highest, Some(failure.to_owned()));
        }
    }
    (highest, None)
}

fn assert_all_there(folder: &Path, value_bytes: u64, highest: u64) {
    let store = Store::open(folder, NETWORK).unwrap();
    let (numbers, copies) = (store.table("numbers").unwrap(), store.table("copies").unwrap());
    let (_, records) = Log::open(&folder.join("wal")).unwrap();
    for number in 0..=highest {
        let key = number.to_be_bytes();
        assert_eq!(numbers.get(key).unwrap().unwrap(), value(number, value_bytes), "{number}");
        assert_eq!(records[usize::try_from(number).unwrap()], key.as_slice());
    }
    let all = |table: &bxp_storage::Table| table.iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(all(&numbers), all(&copies), "a batch is in both tables or in none");
}

#[test]
fn after_kill_9_everything_acknowledged_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut highest = 0;
    for round in 0..3 {
        let mut child = child(folder.path(), 4096, None);
        (highest, _) = read_acknowledgements(&mut child, ACKNOWLEDGED_MIN + round * 7);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(highest >= ACKNOWLEDGED_MIN, "the child was killed while it worked");
        if round == 0 {
            assert_all_there(folder.path(), 4096, highest);
        }
        // The next child begins at number 0 again and so has a log of its own.
        std::fs::remove_file(folder.path().join("wal")).unwrap();
    }
    let store = Store::open(folder.path(), NETWORK).unwrap();
    assert!(store.table("numbers").unwrap().contains(highest.to_be_bytes()).unwrap());
}

#[test]
fn on_a_full_disk_the_error_says_so_and_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // A bound of 68 MiB (in blocks of 512 bytes) on the size of a file is the full disk that needs no rights to make;
    // the database's journal takes 64 MiB from the start.
    let mut child = child(folder.path(), 1 << 20, Some("trap '' XFSZ; ulimit -f 139264"));
    let (highest, failure) = read_acknowledgements(&mut child, u64::MAX);
    child.wait().unwrap();
    let failure = failure.expect("the child fails");
    assert!(failure.contains("no space left on the disk of"), "{failure}");
    assert!(highest > 8, "the disk was not full from the start");
    assert_all_there(folder.path(), 1 << 20, highest);
}
