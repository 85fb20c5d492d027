//! `bxp_`: what Ethereum has no word for.

use crate::{context::Context, fault::Fault, select};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, U64};
use bxp_types::{Jurisdiction, Ledger};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;

/// Certificates, transactions left out, the node itself.
#[rpc(server, namespace = "bxp")]
trait Bxp {
    /// The block's certificate; null while attestations are being collected, or where there is no such block.
    #[method(name = "getCertificate")]
    async fn certificate(&self, block: BlockNumberOrTag) -> Result<Option<CertificateJson>, Fault>;

    /// Why a transaction that consensus ordered was left out of its block; null if it was not.
    #[method(name = "getDropped")]
    async fn dropped(&self, transaction: B256) -> Result<Option<String>, Fault>;

    /// The node and its network.
    #[method(name = "nodeInfo")]
    fn node_info(&self) -> Result<NodeJson, Fault>;
}

/// A block's certificate: n - t validators' Ed25519 signatures (ZIP-215 rules) over
/// `"BXP block attestation v1" || network id || height (u64 BE) || block hash`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CertificateJson {
    height: U64,
    block_hash: B256,
    network_id: B256,
    /// Signatures that make a certificate valid: n - t.
    quorum: usize,
    signatures: Vec<SignatureJson>,
}

/// One validator's signature.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureJson {
    /// Index in the genesis list.
    validator: u16,
    name: Option<String>,
    public_key: Option<B256>,
    signature: Bytes,
}

/// The node and its network.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeJson {
    version: String,
    /// Which validator the node is; null for a node that only follows.
    validator: Option<ValidatorJson>,
    chain_id: U64,
    network_id: B256,
    /// n.
    validators: usize,
    /// t, the most Byzantine validators tolerated.
    fault_bound: usize,
    peers: usize,
    head: HeadJson,
}

/// A validator as the genesis document names it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidatorJson {
    index: u16,
    name: String,
    jurisdiction: Jurisdiction,
    account: Address,
}

/// The newest block.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadJson {
    number: U64,
    hash: B256,
    timestamp_ms: U64,
}

struct Methods(Context);

#[async_trait]
impl BxpServer for Methods {
    async fn certificate(&self, block: BlockNumberOrTag) -> Result<Option<CertificateJson>, Fault> {
        self.0.run("bxp_getCertificate", move |ledger| certificate(ledger, block)).await
    }

    async fn dropped(&self, transaction: B256) -> Result<Option<String>, Fault> {
        self.0.run("bxp_getDropped", move |ledger| Ok(ledger.dropped(transaction)?)).await
    }

    fn node_info(&self) -> Result<NodeJson, Fault> {
        let (info, genesis, head) = (&self.0.info, self.0.ledger.genesis(), self.0.ledger.head());
        let validator = info.validator.and_then(|index| {
            let entry = genesis.validator(index)?;
            Some(ValidatorJson {
                index: index.0,
                name: entry.name.clone(),
                jurisdiction: entry.jurisdiction,
                account: entry.account,
            })
        });
        Ok(NodeJson {
            version: info.version.clone(),
            validator,
            chain_id: U64::from(genesis.chain_id),
            network_id: B256::from(genesis.network_id().0),
            validators: genesis.validator_count(),
            fault_bound: genesis.fault_bound(),
            peers: info.status.peer_count(),
            head: HeadJson {
                number: U64::from(head.height().0),
                hash: head.hash,
                timestamp_ms: U64::from(head.time_ms),
            },
        })
    }
}

fn certificate(ledger: &dyn Ledger, block: BlockNumberOrTag) -> Result<Option<CertificateJson>, Fault> {
    let Some(certificate) = ledger.certificate(select::height(ledger, block))? else { return Ok(None) };
    let genesis = ledger.genesis();
    let signatures = certificate.signatures.iter().map(|(validator, signature)| {
        let entry = genesis.validator(*validator);
        SignatureJson {
            validator: validator.0,
            name: entry.map(|entry| entry.name.clone()),
            public_key: entry.map(|entry| entry.public_key),
            signature: Bytes::copy_from_slice(signature),
        }
    });
    Ok(Some(CertificateJson {
        height: U64::from(certificate.height.0),
        block_hash: certificate.block_hash,
        network_id: B256::from(genesis.network_id().0),
        quorum: genesis.quorum(),
        signatures: signatures.collect(),
    }))
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
