//! The operator's view of the content store: `GET /dags` lists, `POST /dags` takes a CAR file in and pins its roots,
//! `PUT /dags/{cid}` pins, `DELETE /dags/{cid}` unpins and withdraws, `POST /dags/$gc` collects garbage, and
//! `GET /dags/$stat` counts.

use crate::{
    answer::{self, Answer},
    extract::{self, PathOf},
    outcome::Failure,
    state::Shared,
};
use axum::extract::{Request, State};
use bxp_content::{
    ContentError, Publication, Reader, Statistics,
    bitswap::{Bitswap, PeerView},
    purpose_name,
};
use bxp_privacy::Purpose;
use cid::Cid;
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    pins: Vec<String>,
    publications: Vec<PublicationView>,
}

/// A publication as the operator sees it. Tokens are not among it: they are nowhere.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicationView {
    root: String,
    purpose: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    peers: Vec<String>,
    tokens: usize,
    /// Seconds since the epoch.
    made: u64,
    /// Seconds since the epoch.
    until: u64,
}

impl From<&Publication> for PublicationView {
    fn from(publication: &Publication) -> Self {
        let peers = publication.readers.iter().filter_map(|reader| match reader {
            Reader::Peer(peer) => Some(peer.to_string()),
            Reader::Operator | Reader::Token(_) => None,
        });
        let peers: Vec<_> = peers.collect();
        let request = match publication.terms.purpose {
            Purpose::Research { request } => Some(request.to_string()),
            _ => None,
        };
        Self {
            root: publication.root.to_string(),
            purpose: purpose_name(publication.terms.purpose).unwrap_or_default(),
            request,
            tokens: publication.readers.len() - peers.len(),
            peers,
            made: publication.made_s,
            until: publication.terms.until_s,
        }
    }
}

#[derive(Serialize)]
struct Imported {
    /// The roots that are pinned now.
    roots: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    #[serde(flatten)]
    statistics: Statistics,
    /// This node's address in the swarm, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    peers: Vec<PeerView>,
}

/// Lists what is pinned and published.
pub(crate) async fn list(State(shared): State<Shared>) -> Answer {
    let listed = shared.blocking(|edge| {
        let content = edge.publisher.content();
        let pins = content.pins()?.iter().map(Cid::to_string).collect();
        let publications = content.publications()?.iter().map(PublicationView::from).collect();
        Ok(Listed { pins, publications })
    });
    answer::json(&listed.await?)
}

/// Takes a CAR file in: all of it or nothing.
pub(crate) async fn import(State(shared): State<Shared>, request: Request) -> Answer {
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let roots = shared.blocking(move |edge| {
        let _place = place;
        Ok(edge.publisher.content().import(body.as_ref())?)
    });
    answer::json(&Imported { roots: roots.await?.iter().map(Cid::to_string).collect() })
}

/// Pins a DAG that is wholly here.
pub(crate) async fn pin(State(shared): State<Shared>, PathOf(text): PathOf<String>) -> Answer {
    let root = cid(&text)?;
    shared.blocking(move |edge| Ok(edge.publisher.content().pin(&root)?)).await?;
    list(State(shared)).await
}

/// Unpins a DAG and withdraws its publication: whichever of both there is.
pub(crate) async fn release(State(shared): State<Shared>, PathOf(text): PathOf<String>) -> Answer {
    let root = cid(&text)?;
    let released = shared.blocking(move |edge| {
        let content = edge.publisher.content();
        match (content.withdraw(&root), content.unpin(&root)) {
            (Err(ContentError::UnknownRoot(_)), unpinned) => Ok(unpinned?),
            (withdrawn, Err(ContentError::UnknownRoot(_))) => Ok(withdrawn?),
            (withdrawn, unpinned) => Ok(withdrawn.and(unpinned)?),
        }
    });
    released.await?;
    list(State(shared)).await
}

/// Collects garbage.
pub(crate) async fn collect(State(shared): State<Shared>) -> Answer {
    let collected = shared.blocking(|edge| Ok(edge.publisher.content().collect()?)).await?;
    answer::json(&collected)
}

/// Counts blocks and bytes, and lists the peers of the swarm.
pub(crate) async fn stat(State(shared): State<Shared>) -> Answer {
    let statistics = shared.blocking(|edge| Ok(edge.publisher.content().statistics()?)).await?;
    let swarm = shared.edge().swarm.as_ref();
    let address = swarm.map(|swarm| swarm.multiaddr().to_string());
    answer::json(&Stat { statistics, address, peers: swarm.map(Bitswap::peers).unwrap_or_default() })
}

pub(crate) fn cid(text: &str) -> Result<Cid, Failure> {
    text.parse().map_err(|_| Failure::bad_request("the path ends in no CID"))
}
