//! A node's configuration file (TOML).

mod content;
mod release;
mod rpc;
mod segments;

use crate::Fhir;
use anyhow::{Context, Result, ensure};
use bxp_chain::{Retention, sync};
use bxp_types::{Genesis, Jurisdiction};
pub use content::Content;
pub use release::Release;
pub use rpc::Rpc;
pub use segments::Segments;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What `bxp node --config FILE` reads. Relative paths are relative to the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The validator's name in genesis.
    pub name: String,
    /// The genesis document.
    pub genesis: PathBuf,
    /// Where the node keeps everything: `chain/`, `enclave/`, `consensus.log`, `operator.token`.
    pub data_dir: PathBuf,
    /// Sockets.
    pub listen: Listen,
    /// The country of patients whose record names none.
    pub default_jurisdiction: Jurisdiction,
    /// Validators that oversee (45 CFR 164.512(d)): to them, de-identified records are shown for oversight.
    #[serde(default)]
    pub regulators: Vec<String>,
    /// What validation does with a resource that is not valid: `strict` refuses it, `warn` takes it and says so, `off` looks
    /// at its type and id alone.
    #[serde(default)]
    pub validation: bxp_clinical::validate::Mode,
    /// The same for the profiles of US Core 6.1 that a resource names in `meta.profile`; `warn` by default.
    #[serde(default = "default_profiles")]
    pub profiles: bxp_clinical::validate::Mode,
    /// The least time between two blocks, in milliseconds.
    #[serde(default = "default_block_interval_ms")]
    pub block_interval_ms: u64,
    /// Keep the state of every block.
    #[serde(default)]
    pub archive: bool,
    /// Without `archive`: of how many blocks below the newest the state is kept, at least 256. A node that catches up writes
    /// so many before they become its head, and answers from the head's state meanwhile.
    #[serde(default = "default_state_history_blocks")]
    pub state_history_blocks: u64,
    /// Who checks the signatures of a proposal: `all` validators, or a few of them (`sharded`; see `docs/legal.md`).
    #[serde(default)]
    pub verification: Verification,
    /// The most milliseconds that a vote waits to share a frame with others. Without it none in a network of up to 16
    /// validators, and 0.1 for each one beyond, at most 40.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote_gather_ms: Option<u64>,
    /// When old blocks leave the database for segments.
    #[serde(default)]
    pub segments: Segments,
    /// How charts leave for buyers.
    #[serde(default)]
    pub release: Release,
    /// The content store and its swarm of IPFS peers.
    #[serde(default)]
    pub content: Content,
    /// TLS of `listen.mllp`; without it the feed is in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mllp_tls: Option<MllpTls>,
    /// How much one client of Ethereum JSON-RPC may ask.
    #[serde(default)]
    pub rpc: Rpc,
    /// Where whole resources are kept.
    #[serde(default)]
    pub fhir: Fhir,
}

/// The table `[mllp_tls]`: files in PEM, read when the node starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MllpTls {
    /// The node's certificate, and those between it and its authority.
    pub certificates: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities whose certificates senders must show; without it any sender is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
}

/// Who checks the signatures of a proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// Every validator checks every proposal.
    #[default]
    All,
    /// t+1 to 2t+1 validators check, the others go by their reports.
    Sharded,
}

impl From<Verification> for bxp_chain::Verification {
    fn from(verification: Verification) -> Self {
        match verification {
            Verification::All => Self::All,
            Verification::Sharded => Self::Sharded,
        }
    }
}

/// The node's sockets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Validators' peer-to-peer socket.
    pub p2p: SocketAddr,
    /// Ethereum JSON-RPC, HTTP and WebSocket.
    pub rpc: SocketAddr,
    /// FHIR REST.
    pub fhir: SocketAddr,
    /// Prometheus metrics.
    pub metrics: SocketAddr,
    /// HL7 v2 over MLLP; without it the node takes no feeds. Without `[mllp_tls]` it is not encrypted: an address of
    /// this machine, or of a network that only the hospital's own systems are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mllp: Option<SocketAddr>,
}

/// The most blocks of a segment: what an interrupted making has to do again.
const SEGMENT_BLOCKS_MAX: u64 = 1 << 20;

/// The longest a vote may be told to wait: a height has four steps, which then take four seconds.
const VOTE_GATHER_MS_MAX: u64 = 1_000;

const fn default_profiles() -> bxp_clinical::validate::Mode {
    bxp_clinical::validate::Mode::Warn
}

const fn default_block_interval_ms() -> u64 {
    50
}

const fn default_state_history_blocks() -> u64 {
    sync::BLOCKS_MAX
}

impl NodeConfig {
    /// How far back the state can be asked.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        if self.archive { Retention::All } else { Retention::Blocks(self.state_history_blocks) }
    }

    /// Reads a configuration file and resolves its paths.
    ///
    /// # Errors
    /// Says which file, and what in it is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read configuration {}", path.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("understand configuration {}", path.display()))?;
        ensure!(
            config.block_interval_ms <= 60_000,
            "block_interval_ms in {} is {}; the most is 60000",
            path.display(),
            config.block_interval_ms
        );
        ensure!(
            config.archive || config.state_history_blocks >= sync::BLOCKS_MAX,
            "state_history_blocks in {} is {}; the least is {}, as many as one import brings",
            path.display(),
            config.state_history_blocks,
            sync::BLOCKS_MAX
        );
        ensure!(
            config.segments.blocks <= SEGMENT_BLOCKS_MAX,
            "segments.blocks in {} is {}; the most is {SEGMENT_BLOCKS_MAX}",
            path.display(),
            config.segments.blocks
        );
        config.rpc.check().with_context(|| format!("check configuration {}", path.display()))?;
        ensure!(
            config.vote_gather_ms.is_none_or(|wait| wait <= VOTE_GATHER_MS_MAX),
            "vote_gather_ms in {} is {}; the most is {VOTE_GATHER_MS_MAX}, and without it the node chooses",
            path.display(),
            config.vote_gather_ms.unwrap_or_default()
        );
        let folder = path.parent().unwrap_or(Path::new("."));
        config.genesis = folder.join(&config.genesis);
        config.data_dir = folder.join(&config.data_dir);
        config.content.swarm_key = config.content.swarm_key.map(|key| folder.join(key));
        config.fhir.resolve(folder);
        config.fhir.check().with_context(|| format!("understand configuration {}", path.display()))?;
        ensure!(
            config.content.listen.is_some() == config.content.swarm_key.is_some(),
            "{} gives one of content.listen and content.swarm_key; a node in a swarm has both",
            path.display()
        );
        if let Some(tls) = &mut config.mllp_tls {
            tls.certificates = folder.join(&tls.certificates);
            tls.key = folder.join(&tls.key);
            tls.client_authorities = tls.client_authorities.as_ref().map(|path| folder.join(path));
            ensure!(
                config.listen.mllp.is_some(),
                "{} gives mllp_tls and no listen.mllp, on which it would be used",
                path.display()
            );
        }
        Ok(config)
    }

    /// Reads the genesis document that the configuration names.
    ///
    /// # Errors
    /// Says which file, and what in it is wrong.
    pub fn read_genesis(&self) -> Result<Genesis> {
        let path = self.genesis.display();
        let json = std::fs::read_to_string(&self.genesis).with_context(|| format!("read genesis {path}"))?;
        Genesis::from_json(&json).with_context(|| format!("understand genesis {path}"))
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for a configuration that was read.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).context("write configuration")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_chain::SegmentRules;
    use bxp_market::{ReleasePolicy, ReleaseProfile};

    const TEXT: &str = r#"
        name = "star"
        genesis = "../genesis.json"
        data_dir = "data"
        default_jurisdiction = "US"
        regulators = ["regulator"]
        [listen]
        p2p = "127.0.0.1:1"
        rpc = "127.0.0.1:2"
        fhir = "127.0.0.1:3"
        metrics = "127.0.0.1:4"
    "#;

    fn read(text: &str) -> Result<NodeConfig> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text)?;
        let config = NodeConfig::read(&path)?;
        assert!(config.data_dir.starts_with(folder.path()));
        Ok(config)
    }

    #[test]
    fn a_file_is_read_with_paths_beside_it() {
        let config = read(TEXT).unwrap();
        assert_eq!((config.name.as_str(), config.block_interval_ms), ("star", 50));
        assert_eq!(config.listen.mllp, None);
        let feed = read(&format!("{TEXT}\n        mllp = \"127.0.0.1:5\"\n")).unwrap();
        assert!(feed.listen.mllp.is_some() && feed.to_toml().unwrap().contains("mllp"));
        let tls = "\n[mllp_tls]\ncertificates = \"node.pem\"\nkey = \"/etc/node.key\"\n";
        assert!(read(&format!("{TEXT}{tls}")).unwrap_err().to_string().contains("no listen.mllp"));
        let files =
            read(&format!("{TEXT}\n        mllp = \"127.0.0.1:5\"\n{tls}")).unwrap().mllp_tls.unwrap();
        assert!(files.certificates.is_absolute() && files.key == Path::new("/etc/node.key"));
        assert_eq!(config.verification, Verification::All, "the default");
        let sharded = read(&TEXT.replace("[listen]", "verification = \"sharded\"\n[listen]")).unwrap();
        assert_eq!(sharded.verification, Verification::Sharded);
        assert!(sharded.to_toml().unwrap().contains("verification = \"sharded\""));
        assert_eq!(config.vote_gather_ms, None, "by the number of validators");
        let gather = |ms| read(&TEXT.replace("[listen]", &format!("vote_gather_ms = {ms}\n[listen]")));
        assert_eq!(gather(1_000).unwrap().vote_gather_ms, Some(1_000));
        assert!(gather(1_001).unwrap_err().to_string().contains("the most is 1000"));
        assert!(toml::from_str::<NodeConfig>(&config.to_toml().unwrap()).is_ok());
        assert_eq!(config.retention(), Retention::default());
        let archive = read(&TEXT.replace("[listen]", "archive = true\n[listen]")).unwrap();
        assert_eq!(archive.retention(), Retention::All);
        let rules =
            |segments: &str| read(&format!("{TEXT}[segments]\n{segments}")).map(|read| read.segments.rules());
        assert_eq!(config.segments.rules(), Some(SegmentRules::default()));
        assert_eq!(rules("behind = 5").unwrap(), Some(SegmentRules { behind: 5, ..SegmentRules::default() }));
        assert_eq!(rules("blocks = 0").unwrap(), None);
        assert!(rules("blocks = 2000000").unwrap_err().to_string().contains("the most is 1048576"));
        assert_eq!(config.release.policy(), ReleasePolicy { profile: ReleaseProfile::SafeHarbor, k_min: 1 });
    }

    #[test]
    fn no_fewer_states_are_kept_than_an_import_brings_blocks() {
        let keeping = |lines: &str| read(&TEXT.replace("[listen]", &format!("{lines}\n[listen]")));
        let least = keeping("state_history_blocks = 256").unwrap();
        assert_eq!(least.retention(), Retention::Blocks(256));
        let refused = keeping("state_history_blocks = 255").unwrap_err().to_string();
        assert!(refused.contains("node.toml is 255; the least is 256"), "{refused}");
        let archive = keeping("archive = true\nstate_history_blocks = 0").unwrap();
        assert_eq!(archive.retention(), Retention::All);
    }

    #[test]
    fn an_expert_determination_asks_for_eleven_unless_told_otherwise() {
        let policy = |release: &str| read(&format!("{TEXT}[release]\n{release}")).unwrap().release.policy();
        let profile = ReleaseProfile::ExpertDetermination;
        let declared = "profile = \"expert-determination\"\n";
        assert_eq!(policy(declared), ReleasePolicy { profile, k_min: 11 });
        assert_eq!(policy(&format!("{declared}k_min = 5")), ReleasePolicy { profile, k_min: 5 });
        assert!(read(&format!("{TEXT}[release]\nprofile = \"limited-data-set\"")).is_err());
    }

    #[test]
    fn a_node_in_a_swarm_has_a_socket_and_a_key() {
        let content = |table: &str| read(&format!("{TEXT}[content]\n{table}")).map(|config| config.content);
        assert_eq!(read(TEXT).unwrap().content, Content::default());
        assert_eq!(content("quota_bytes = 5").unwrap().quota().bytes_max, 5);
        let both = content("listen = \"127.0.0.1:6\"\nswarm_key = \"swarm.key\"").unwrap();
        assert!(both.swarm_key.unwrap().is_absolute(), "beside the file");
        let one = content("listen = \"127.0.0.1:6\"").unwrap_err().to_string();
        assert!(one.contains("a node in a swarm has both"), "{one}");
    }

    #[test]
    fn limits_of_clients_have_defaults_and_are_checked() {
        assert_eq!(read(TEXT).unwrap().rpc, Rpc::default());
        let rpc = |table: &str| read(&format!("{TEXT}[rpc]\n{table}")).map(|config| config.rpc);
        let limits = rpc("calls_per_second = 50\nlimit_loopback = true").unwrap().limits();
        assert_eq!((limits.calls_per_second, limits.burst_calls, limits.loopback), (50, 2_000, true));
        let reached = rpc("hosts = [\"node.example:*\"]\norigins = [\"https://wallet.example\"]").unwrap();
        let policy = reached.policy("127.0.0.1:8545".parse().unwrap());
        assert!(policy.hosts.contains(&"node.example:*".to_owned()) && policy.hosts.len() > 1);
        assert_eq!(policy.origins, ["https://wallet.example"]);
        let wrong = |table: &str| format!("{:#}", rpc(table).unwrap_err());
        assert!(wrong("burst_calls = 199").ends_with("the least is 200, the calls of a full batch"));
        assert!(wrong("calls_per_second = 0").contains("node.toml"));
        assert!(wrong("connections_per_client = 0").contains("the least is 1"));
        assert!(wrong("calls = 5").contains("unknown field"));
    }

    #[test]
    fn hosts_and_pages_are_checked_with_the_file() {
        let rpc = |table: &str| read(&format!("{TEXT}[rpc]\n{table}"));
        rpc("hosts = [\"node.example:443\"]\norigins = [\"https://wallet.example:443\"]").unwrap();
        for (key, wrong) in [
            ("hosts", "https://node.example"),
            ("hosts", "node.example:rpc"),
            ("origins", "wallet.example"),
            ("origins", "https://wallet.example/"),
        ] {
            let error = rpc(&format!("{key} = [{wrong:?}]")).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("node.toml") && error.contains(&format!("check rpc.{key}")), "{error}");
            assert!(error.contains(&format!("{wrong:?}")), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = format!("{:#}", read(&TEXT.replace("name =", "nam =")).unwrap_err());
        assert!(error.contains("unknown field `nam`"), "{error}");
        let error = format!("{:#}", read(&TEXT.replace("\"US\"", "\"USA\"")).unwrap_err());
        assert!(error.contains("two-letter ISO 3166-1"), "{error}");
        let error = format!("{:#}", NodeConfig::read(Path::new("/nowhere/node.toml")).unwrap_err());
        assert!(error.starts_with("read configuration /nowhere/node.toml"), "{error}");
    }
}
