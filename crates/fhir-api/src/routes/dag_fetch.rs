//! `POST /dags/$fetch`: fetches a DAG from peers of the swarm by bitswap, verifies and pins it.

use super::dags::cid;
use crate::{
    answer::{self, Answer},
    extract,
    outcome::Failure,
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bxp_content::{Multiaddr, bitswap::FetchBounds};
use serde::Deserialize;

/// Peers that one fetch may name.
const PEERS_MAX: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    root: String,
    /// Addresses, each with its peer's id.
    peers: Vec<String>,
}

/// Fetches.
pub(crate) async fn fetch(State(shared): State<Shared>, request: Request) -> Answer {
    const FORM: &str = r#"{"root":CID,"peers":["/ip4/192.0.2.1/tcp/4001/p2p/PEER-ID"]}"#;
    let body = extract::body(request).await?;
    let form = || Failure::bad_request(format!("the body is not of the form {FORM}"));
    let wanted: Wanted = serde_json::from_slice(&body).map_err(|_| form())?;
    if wanted.peers.is_empty() || wanted.peers.len() > PEERS_MAX {
        return Err(Failure::bad_request(format!("name 1 to {PEERS_MAX} peers")));
    }
    let root = cid(&wanted.root)?;
    let peers: Vec<Multiaddr> =
        wanted.peers.iter().map(|peer| peer.parse()).collect::<Result<_, _>>().map_err(|_| form())?;
    let Some(swarm) = shared.edge().swarm.clone() else {
        let text = "this node is in no swarm; give its configuration content.listen and content.swarm_key";
        return Err(Failure::new(StatusCode::CONFLICT, "conflict", text));
    };
    let fetched =
        shared.to_the_end(async move { Ok(swarm.fetch(root, &peers, FetchBounds::default()).await?) });
    answer::json(&fetched.await?)
}
