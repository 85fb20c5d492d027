//! `bxp dev rpc-compat`: this node's JSON-RPC against Ethereum's own test cases.
//!
//! A folder of `execution-apis` tests holds a chain and, for each method, files of requests and the answers that are
//! right. The chain is imported, every check of its headers included, and served by the server that a node has. Each
//! case passes, or stands with its reason on the list in `exceptions.txt`; a case that fails without being listed, or
//! passes in spite of it, fails the run.

mod case;
mod compare;

use anyhow::{Context, Result, bail};
use bxp_chain::View;
use bxp_dev_chain::ForeignChain;
use bxp_execution::{EthereumBlock, EthereumGenesis};
use bxp_rpc::{NodeInfo, NodeStatus, serve};
use bxp_types::{Height, Ledger};
use case::Case;
use clap::Args;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Cases that do not pass, each with its reason.
const EXCEPTIONS: &str = include_str!("rpc_compat/exceptions.txt");

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder with `genesis.json`, `chain.rlp` and a folder of `.io` files for each method.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Run only cases whose name contains this, and tell what each answers.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// The imported chain has no peers and is never behind.
struct Alone;

impl NodeStatus for Alone {
    fn peer_count(&self) -> usize {
        0
    }

    fn highest_block(&self) -> Height {
        Height(0)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let folder = &arguments.folder;
    let cases = Case::all(folder)?;
    let json = fs::read(folder.join("genesis.json")).context("read genesis.json")?;
    let genesis = EthereumGenesis::from_json(&json).context("understand genesis.json")?;
    let chain = View::new(import(folder, &genesis)?);
    let blocks = chain.head().header.number;
    let info = NodeInfo {
        version: format!("bxp/v{}", env!("CARGO_PKG_VERSION")),
        validator: None,
        status: Arc::new(Alone),
        spec: Arc::new(genesis.spec()?),
        developer: None,
    };
    let server = serve("127.0.0.1:0".parse()?, Arc::new(chain), info).await?;
    let url = format!("http://{}", server.local_addr());
    let exceptions = exceptions(EXCEPTIONS)?;
    let tally = check(&url, cases, &exceptions, arguments.only.as_deref()).await;
    server.stop().await;
    tally?.report(blocks, arguments.only.is_some())
}

fn import(folder: &Path, genesis: &EthereumGenesis) -> Result<ForeignChain> {
    let bytes = fs::read(folder.join("chain.rlp")).context("read chain.rlp")?;
    let blocks = EthereumBlock::read_all(&bytes).context("understand chain.rlp")?;
    ForeignChain::import(genesis, blocks).context("import chain.rlp")
}

/// Reasons by the name of the case.
fn exceptions(list: &str) -> Result<BTreeMap<&str, &str>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            line.split_once(": ").with_context(|| format!("exceptions.txt: {line:?} is no `case: reason`"))
        })
        .collect()
}

#[derive(Default)]
struct Tally {
    passed: usize,
    excepted: Vec<String>,
    unexpected: Vec<String>,
    unused: BTreeSet<String>,
}

async fn check(
    url: &str,
    cases: Vec<Case>,
    exceptions: &BTreeMap<&str, &str>,
    only: Option<&str>,
) -> Result<Tally> {
    let client = reqwest::Client::new();
    let mut tally =
        Tally { unused: exceptions.keys().map(|&name| name.to_owned()).collect(), ..Tally::default() };
    for case in cases {
        if only.is_some_and(|only| !case.name.contains(only)) {
            continue;
        }
        let failure = case.run(&client, url).await?;
        tally.unused.remove(&case.name);
        if only.is_some() {
            println!(
                "{:<8}{}\n{}",
                if failure.is_none() { "ok" } else { "FAILS" },
                case.name,
                failure.clone().unwrap_or_default()
            );
        }
        match (failure, exceptions.get(case.name.as_str())) {
            (None, None) => tally.passed += 1,
            (Some(_), Some(reason)) => tally.excepted.push(format!("{}: {reason}", case.name)),
            (Some(failure), None) => tally.unexpected.push(format!("{}: {failure}", case.name)),
            (None, Some(_)) => {
                tally.unexpected.push(format!("{}: passes, though it is on the list", case.name));
            }
        }
    }
    Ok(tally)
}

impl Tally {
    fn report(self, blocks: u64, partial: bool) -> Result<()> {
        let total = self.passed + self.excepted.len() + self.unexpected.len();
        for line in &self.excepted {
            println!("listed  {line}");
        }
        for line in &self.unexpected {
            println!("FAILS   {line}");
        }
        println!(
            "rpc-compat: {} of {total} cases pass on a chain of {blocks} blocks, {} are listed with a reason, {} are \
             unexpected",
            self.passed,
            self.excepted.len(),
            self.unexpected.len()
        );
        if !self.unexpected.is_empty() {
            bail!("{} cases do not do what is expected of them", self.unexpected.len());
        }
        if !partial && !self.unused.is_empty() {
            bail!("exceptions.txt names cases that are not there: {:?}", self.unused);
        }
        Ok(())
    }
}
