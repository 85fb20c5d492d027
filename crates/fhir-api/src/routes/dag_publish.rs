//! `POST /dags/$publish`: publishes de-identified charts for named readers.

use super::dags::PublicationView;
use crate::{
    answer::{self, Answer},
    extract,
    outcome::Failure,
    state::Shared,
};
use axum::extract::{Request, State};
use bxp_content::{PeerId, Reader, purpose_named};
use bxp_market::Order;
use bxp_types::SubjectId;
use serde::{Deserialize, Serialize};

/// Tokens of one publication.
const TOKENS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    purpose: String,
    request: Option<String>,
    /// Ids of peers.
    #[serde(default)]
    peers: Vec<String>,
    /// How many tokens of the gateway to make.
    #[serde(default)]
    tokens: usize,
    /// Seconds since the epoch.
    until: u64,
    /// Pseudonyms of patients at this node.
    #[serde(default)]
    patients: Vec<SubjectId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(flatten)]
    publication: PublicationView,
    charts: usize,
    records: usize,
    /// Records that are too large for a block.
    too_large: usize,
    /// The tokens: told now, and never again.
    #[serde(rename = "tokenTexts")]
    token_texts: Vec<String>,
}

/// Publishes.
pub(crate) async fn publish(State(shared): State<Shared>, request: Request) -> Answer {
    let body = extract::body(request).await?;
    let (order, token_texts) = read(&body)?;
    let published = shared.blocking(move |edge| Ok(edge.publisher.publish(&order)?)).await?;
    answer::json(&Done {
        publication: PublicationView::from(&published.publication),
        charts: published.charts,
        records: published.records,
        too_large: published.too_large,
        token_texts,
    })
}

fn read(body: &[u8]) -> Result<(Order, Vec<String>), Failure> {
    const FORM: &str =
        r#"{"purpose":"research","request":ADDRESS,"peers":[PEER-ID],"tokens":0,"until":SECONDS}"#;
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        Failure::bad_request(format!("the body is not of the form {FORM}, line {}", error.line()))
    })?;
    if wanted.tokens > TOKENS_MAX {
        return Err(Failure::bad_request(format!("a publication has at most {TOKENS_MAX} tokens")));
    }
    let peers = wanted.peers.iter().map(|peer| {
        let peer: Result<PeerId, _> = peer.parse();
        peer.map(Reader::Peer).map_err(|_| Failure::bad_request("peers has a text that is no id of a peer"))
    });
    let mut readers = peers.collect::<Result<Vec<_>, _>>()?;
    let tokens: Vec<String> = (0..wanted.tokens).map(|_| hex::encode(rand::random::<[u8; 32]>())).collect();
    readers.extend(tokens.iter().map(|token| Reader::of_token(token)));
    let purpose = purpose_named(&wanted.purpose, wanted.request.as_deref())
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    Ok((Order { purpose, readers, until_s: wanted.until, patients: wanted.patients }, tokens))
}
