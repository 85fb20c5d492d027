//! `GET /content/{cid}`: sealed deliveries and de-identified blocks, for anyone: what they say opens with a key alone.
//!
//! Identity blocks are never here, not even for the operator: they travel between nodes of their country only.

use crate::{
    answer::{self, Answer},
    edge::Edge,
    extract::PathOf,
    outcome::Failure,
    state::Shared,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::Response,
};
use bxp_types::BlockClass;
use cid::Cid;

const RAW: HeaderValue = HeaderValue::from_static("application/vnd.ipld.raw");
/// A copy may be kept, but is good only while the node has it still: terms end, and records are erased.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Gives the bytes that hash to the CID.
pub(crate) async fn sealed(
    State(shared): State<Shared>,
    PathOf(text): PathOf<String>,
    headers: HeaderMap,
) -> Answer {
    let missing = || Failure::not_found("no such content here");
    let cid: Cid = text.parse().map_err(|_| missing())?;
    let bytes = shared.blocking(move |edge| find(edge, &cid)).await?.ok_or_else(missing)?;
    let tag = HeaderValue::from_str(&format!("\"{cid}\"")).map_err(Failure::encoding)?;
    let mut response = if is_known(&headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        answer::response(StatusCode::OK, RAW, bytes)
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, ASK_AGAIN);
    headers.entry(CONTENT_TYPE).or_insert(RAW);
    Ok(response)
}

fn find(edge: &Edge, cid: &Cid) -> Result<Option<Bytes>, Failure> {
    if let Some(delivery) = edge.deliveries.delivery(cid)? {
        return Ok(Some(delivery.0));
    }
    let block = edge.vault().block(cid)?;
    Ok(block.filter(|block| block.class == BlockClass::Deidentified).map(|block| block.bytes.0))
}

/// Whether the client says that it has these bytes (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tags =
        headers.get_all(IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    tags.map(<[u8]>::trim_ascii)
        .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes())
}
