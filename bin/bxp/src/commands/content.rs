//! `bxp content`: de-identified content as IPFS peers know it.

use crate::operator::Operator;
use anyhow::{Context, Result, ensure};
use bxp_content::bitswap::new_swarm_key;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

const CAR: &str = "application/vnd.ipld.car";
const RAW: &str = "application/vnd.ipld.raw";
/// How long a publication lasts unless told otherwise: a day.
const LASTS_S: u64 = 24 * 60 * 60;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Args)]
struct Of {
    /// The node's configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Publish de-identified charts of this node for named peers or gateway tokens.
    Publish(Publish),
    /// Fetch a DAG from peers of the swarm by bitswap, verify and pin it.
    Fetch {
        /// The root.
        cid: String,
        /// Addresses of peers, such as /ip4/192.0.2.1/tcp/4001/p2p/PEER-ID.
        #[arg(long = "from", required = true, value_name = "ADDRESS")]
        peers: Vec<String>,
        #[command(flatten)]
        of: Of,
    },
    /// List what is pinned and published.
    Ls(Of),
    /// Write one block to a file.
    Get {
        /// The block.
        cid: String,
        /// The file, which must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Write a DAG, or what is at the end of a path, to a CAR file.
    Export {
        /// The root, and after it the path: CID/charts/0.
        path: String,
        /// The file, which must not exist.
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Take the DAGs of a CAR file in and pin them.
    Import {
        /// The file, of version 1.
        file: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Pin a DAG that is here.
    Pin {
        /// The root.
        cid: String,
        #[command(flatten)]
        of: Of,
    },
    /// Unpin a DAG and withdraw its publication.
    Rm {
        /// The root.
        cid: String,
        #[command(flatten)]
        of: Of,
    },
    /// Remove what nothing pins, publishes or anchors.
    Gc(Of),
    /// Count blocks and bytes, and list the peers of the swarm.
    Stat(Of),
    /// Make the key file of a new private swarm.
    SwarmKey {
        /// The file, which must not exist.
        file: PathBuf,
    },
}

#[derive(Args)]
struct Publish {
    /// What for: research, oversight or treatment.
    #[arg(long)]
    purpose: String,
    /// For research: the address of the data request, whose counted charts are published.
    #[arg(long, value_name = "ADDRESS")]
    request: Option<String>,
    /// Ids of peers that may read.
    #[arg(long = "peer", value_name = "PEER-ID")]
    peers: Vec<String>,
    /// How many gateway tokens to make; they are printed once.
    #[arg(long, default_value_t = 0)]
    tokens: usize,
    /// Whose charts, by pseudonym; for research all counted ones where none is named.
    #[arg(long = "patient", value_name = "ID")]
    patients: Vec<String>,
    /// How long it may be read, in seconds.
    #[arg(long, default_value_t = LASTS_S)]
    seconds: u64,
    #[command(flatten)]
    of: Of,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let answer: Value = match arguments.action {
        Action::SwarmKey { file } => return write_swarm_key(&file),
        Action::Publish(publish) => {
            Operator::of(&publish.of.config)?.post("dags/$publish", &order(&publish)?).await?
        }
        Action::Fetch { cid, peers, of } => {
            let body = json!({ "root": cid, "peers": peers });
            Operator::of(&of.config)?.post("dags/$fetch", &body).await?
        }
        Action::Ls(of) => Operator::of(&of.config)?.get("dags").await?,
        Action::Get { cid, output, of } => return download(&of, &format!("ipfs/{cid}"), RAW, &output).await,
        Action::Export { path, output, of } => {
            return download(&of, &format!("ipfs/{path}"), CAR, &output).await;
        }
        Action::Import { file, of } => {
            let bytes = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            Operator::of(&of.config)?.send("dags", CAR, bytes).await?
        }
        Action::Pin { cid, of } => Operator::of(&of.config)?.put(&format!("dags/{cid}")).await?,
        Action::Rm { cid, of } => Operator::of(&of.config)?.delete(&format!("dags/{cid}")).await?,
        Action::Gc(of) => Operator::of(&of.config)?.post("dags/$gc", &Value::Null).await?,
        Action::Stat(of) => Operator::of(&of.config)?.get("dags/$stat").await?,
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

fn order(publish: &Publish) -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "purpose": publish.purpose,
        "request": publish.request,
        "peers": publish.peers,
        "tokens": publish.tokens,
        "patients": publish.patients,
        "until": now.saturating_add(publish.seconds),
    }))
}

/// Writes a download to a new file. A file that broke off is removed again.
async fn download(of: &Of, path: &str, media_type: &'static str, output: &Path) -> Result<()> {
    let mut response = Operator::of(&of.config)?.download(path, media_type).await?;
    let mut file = File::create_new(output).with_context(|| format!("create {}", output.display()))?;
    let written = async {
        let mut bytes = 0_u64;
        while let Some(chunk) = response.chunk().await.context("read the node's answer to its end")? {
            file.write_all(&chunk).with_context(|| format!("write {}", output.display()))?;
            bytes += chunk.len() as u64;
        }
        file.sync_all()?;
        Ok(bytes)
    };
    match written.await {
        Ok(bytes) => println!("{bytes} bytes written to {}", output.display()),
        Err(error) => {
            fs::remove_file(output).with_context(|| format!("remove {}", output.display()))?;
            return Err(error);
        }
    }
    Ok(())
}

/// Writes a new swarm key, readable by its owner only.
pub(crate) fn write_swarm_key(path: &Path) -> Result<()> {
    ensure!(!path.exists(), "{} exists; whoever has its key needs it still", path.display());
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(new_swarm_key().expose().as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}
