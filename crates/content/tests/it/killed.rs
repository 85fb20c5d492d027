//! Goal: a process that is killed (SIGKILL) while it imports, unpins and collects leaves a store in which every pin that
//! it has acknowledged is whole. A child process of this very test binary works and prints; the parent kills it.

use crate::kit::{car, list, open, raw};
use bxp_content::{Block, Quota, Reader};
use cid::Cid;
use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

const FOLDER: &str = "BXP_CONTENT_TEST_FOLDER";
const QUOTA: Quota = Quota { bytes_max: 256 << 20, disk_free_bytes_min: 0 };
/// A child that nobody kills ends by itself.
const ROUNDS_MAX: u32 = 2_000;
const ROUNDS: u32 = 6;

fn dag(round: u32) -> (Cid, Vec<Block>) {
    let leaf = |number: u32| raw([&round.to_be_bytes()[..], &number.to_be_bytes(), &[9; 2_000]].concat());
    let leaves: Vec<_> = (0..100).map(leaf).collect();
    let root = list(&leaves);
    (*root.cid(), [vec![root], leaves].concat())
}

/// The child. In an ordinary run of the tests there is no folder and nothing to do.
#[test]
fn child_works_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let (content, _, _) = open(folder.as_ref(), QUOTA);
    let mut last: Option<Cid> = content.pins().unwrap().first().copied();
    for _ in 0..ROUNDS_MAX {
        let (root, blocks) = dag(rand::random());
        content.import(car(&[root], &blocks).as_slice()).unwrap();
        println!("pinned {root}");
        if let Some(last) = last.replace(root) {
            println!("unpinning {last}");
            content.unpin(&last).unwrap();
            content.collect().unwrap();
        }
    }
}

#[test]
fn what_was_pinned_is_whole_after_every_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (mut pinned, mut given_up) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["killed::child_works_until_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, root)) = line.split_once("unpinning ") {
                given_up.insert(root.parse::<Cid>().unwrap());
            } else if let Some((_, root)) = line.split_once("pinned ") {
                pinned.insert(root.parse::<Cid>().unwrap());
            }
            lines += 1;
            // At another place of the work each time.
            if lines > 10 + 7 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let (content, _, _) = open(dir.path(), QUOTA);
        let pins: BTreeSet<Cid> = content.pins().unwrap().into_iter().collect();
        let owed: Vec<_> = pinned.difference(&given_up).collect();
        assert!(
            !owed.is_empty() && owed.iter().all(|root| pins.contains(root)),
            "an acknowledged pin is there"
        );
        let view = content.view(Reader::Operator);
        for root in &pins {
            let blocks: Result<Vec<_>, _> = view.walk(root).collect();
            assert_eq!(blocks.unwrap().len(), 101, "all of a pinned DAG is there");
        }
        content.collect().unwrap();
        let statistics = content.statistics().unwrap();
        assert_eq!(statistics.blocks, 101 * pins.len() as u64, "what a crash left without a pin was garbage");
    }
}
