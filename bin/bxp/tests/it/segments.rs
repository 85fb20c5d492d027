//! `kill -9` while old blocks move into segments.

use crate::kit::{
    Load, Net, NodeProcess, Nonces, STAR, assert_equal_chains, assert_included, bxp, head, until,
};
use serde_json::Value;
use std::{fs, time::Duration};

/// Blocks of a segment, and blocks behind the newest that stay: a segment within two seconds.
const BLOCKS: u64 = 8;
const BEHIND: u64 = 4;
const KILLS: u64 = 20;

fn segments(node: &NodeProcess) -> Vec<String> {
    let entries = fs::read_dir(node.dir().join("chain/segments")).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Goal: a node that is killed again and again while its old blocks move loses none of them, has none twice, and serves
/// all of them. Way: segments of eight blocks under load; the node is killed after another piece of a second each time,
/// until segments were made in many of its lives; then everything is asked for, and verified.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_while_blocks_move_has_each_of_them_once() {
    let mut net = Net::make().await;
    for node in &net.nodes {
        let text = fs::read_to_string(&node.config).unwrap();
        let quick = text
            .replace("blocks = 8192", &format!("blocks = {BLOCKS}"))
            .replace("behind = 8192", &format!("behind = {BEHIND}"));
        assert_ne!(quick, text);
        fs::write(&node.config, quick).unwrap();
    }
    net.start_all().await;
    let load = Load::begin(net.nodes[1..].iter(), &net.wallets, net.chain_id, &Nonces::default());
    let mut lives_with_segments = 0;
    for kill in 0..KILLS {
        let before = segments(&net.nodes[STAR]).len();
        // Spread over the time that a segment takes, by the golden ratio.
        tokio::time::sleep(Duration::from_millis(300 + kill * 618 % 1_000)).await;
        net.nodes[STAR].kill().await;
        lives_with_segments += usize::from(segments(&net.nodes[STAR]).len() > before);
        net.nodes[STAR].start().await;
    }
    assert!(lives_with_segments >= 5, "segments were made in {lives_with_segments} lives");
    let acknowledged = load.stop().await;
    for node in &net.nodes {
        assert_included(node, &acknowledged).await;
    }
    let newest = assert_equal_chains(&net.nodes).await;
    let star = &net.nodes[STAR];
    let wanted = usize::try_from((head(&star.client).await - BEHIND) / BLOCKS).unwrap();
    until("the last segments are made", async || {
        let names = segments(star);
        names.len() + 1 >= wanted && names.iter().all(|name| name.ends_with(".segment"))
    })
    .await;
    net.nodes[STAR].stop().await;
    let star = &net.nodes[STAR];
    let verified =
        bxp().args(["verify", "chain", "--deep", "--json", "--data"]).arg(star.dir()).output().await.unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["findings"], serde_json::json!([]));
    assert_eq!(report["executed"], report["head"]);
    assert!(report["head"].as_u64().unwrap() >= newest);
    assert_eq!(report["segments"].as_u64().unwrap(), segments(star).len() as u64, "a file without a row");
    println!("{KILLS} kills, {newest} blocks, {} segments", report["segments"]);
    for node in &mut net.nodes[1..] {
        node.stop().await;
    }
}
