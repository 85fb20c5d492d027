//! Goal: nodes that are killed (SIGKILL) while copies move lose none and never have too few. A child process of this very
//! test binary hosts a whole country and moves a node out and in; the parent kills it and counts.

use super::net::{DE, Net, US, make};
use crate::child::child;
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
};

const FOLDER: &str = "BXP_KEEPING_TEST_FOLDER";
const COPIES: usize = 2;
/// A child that nobody kills ends by itself.
const MOVES_MAX: u64 = 100;
const KILLS: u64 = 6;

/// Node 3 in the US in every second directory, else in Germany.
fn stand(net: &Net, height: u64) {
    let third = if height.is_multiple_of(2) { DE } else { US };
    net.move_to(height, &[(0, US), (1, US), (2, US), (3, third)]);
}

/// The child. In an ordinary run of the tests there is no folder and nothing to do.
#[test]
fn child_moves_copies_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..MOVES_MAX {
            // A node that comes to a country is opened anew there.
            let net = Net::open(Path::new(&folder));
            let height = net.seats[0].vault.directory().height + 1;
            stand(&net, height);
            for seat in &net.seats {
                seat.vault.adopt(net.directory.0.lock().clone()).unwrap();
                println!("moving");
            }
            drop(net);
            let net = Net::open(Path::new(&folder));
            stand(&net, height);
            for _ in 0..3 {
                for of in (0..net.seats.len()).rev() {
                    let round = net.keeping(of).round().await.unwrap();
                    println!("round {round:?}");
                }
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_never_too_few_whenever_the_nodes_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &[US, US, US, DE], COPIES as u16);
    let net = Net::open(dir.path());
    let entries = net.take_in().await;
    drop(net);
    for kill in 0..KILLS {
        let mut child = child("keeping::killed::child_moves_copies_until_killed", FOLDER, dir.path());
        let mut lines = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            line.unwrap();
            lines += 1;
            // At another place of the work each time.
            if lines == 8 + 3 * kill {
                child.kill().unwrap();
            }
        }
        assert!(lines >= 8 + 3 * kill, "the child worked until it was killed");
        child.wait().unwrap();
        let net = Net::open(dir.path());
        for entry in &entries {
            let holders = net.holders(entry);
            assert!(holders.len() >= COPIES && holders.contains(&0), "after kill {kill}: {holders:?}");
            let opening =
                holders.iter().filter(|node| net.seats[usize::from(**node)].opens(entry, US)).count();
            assert!(opening >= 1, "the holder opens its own");
        }
    }
    let net = Net::open(dir.path());
    let height = (0..net.seats.len()).map(|of| net.seats[of].vault.directory().height).max().unwrap() + 1;
    // Everyone hears of one directory, and what was broken off goes on to its end.
    stand(&net, height);
    for seat in &net.seats {
        seat.vault.adopt(net.directory.0.lock().clone()).unwrap();
    }
    drop(net);
    let net = Net::open(dir.path());
    stand(&net, height);
    net.settle().await;
    super::assert_placed(&net, &entries, COPIES);
    for entry in &entries {
        for node in net.holders(entry) {
            assert!(net.seats[usize::from(node)].opens(entry, US), "a copy that is kept opens");
        }
    }
}
