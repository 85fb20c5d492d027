//! `GET /ipfs/{cid}[/{path}]`: the trustless gateway (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>), for
//! the operator, and for whom a publication gave a token. Whoever shows neither gets 401; a block that the reader has no
//! right to is 404, as one that is not here.
//!
//! One thing is not as the specification has it: answers are `private, no-cache`, since a cache that many share would give
//! on what it was not asked to keep secret, and a publication ends.

use crate::{
    answer::Answer,
    byte_range::{self, Wanted},
    gate,
    outcome::Failure,
    state::Shared,
};
use axum::{
    body::{Body, Bytes},
    extract::{RawPathParams, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            ACCEPT, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION,
            CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
        },
    },
    response::{IntoResponse, Response},
};
use bxp_content::{
    Block, ContentError, Reader, View, car,
    gateway::{self, Refusal, Scope, Selection, Wish},
};
use cid::Cid;
use futures::stream;
use sha2::{Digest, Sha256};

const RAW: HeaderValue = HeaderValue::from_static("application/vnd.ipld.raw");
const CAR: HeaderValue = HeaderValue::from_static("application/vnd.ipld.car; version=1; order=dfs; dups=n");
const CAR_TWICE: HeaderValue =
    HeaderValue::from_static("application/vnd.ipld.car; version=1; order=dfs; dups=y");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const PATH: HeaderName = HeaderName::from_static("x-ipfs-path");
const ROOTS: HeaderName = HeaderName::from_static("x-ipfs-roots");
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
const CHALLENGE: &str = "show a token: Authorization: Bearer TOKEN";

/// Bytes of a CAR file that are read at once, between which nothing is held for a slow client but these.
const PORTION_BYTES: usize = 1 << 20;
/// The longest name that a client may give to what it saves.
const FILENAME_CHARACTERS_MAX: usize = 128;

/// Blocks still to be written.
type Blocks = Box<dyn Iterator<Item = Result<Block, ContentError>> + Send>;

/// What is asked for, and by whom.
struct Asked {
    uri: Uri,
    root: Cid,
    path: Vec<String>,
    query: Vec<(String, String)>,
    asked: gateway::Asked,
    view: View,
}

/// Gives a block, or a CAR file.
pub(crate) async fn content(
    State(shared): State<Shared>,
    parameters: RawPathParams,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let Some(reader) = reader(&shared, &headers).await? else { return Ok(gate::challenge_with(CHALLENGE)) };
    if headers.get(SERVICE_WORKER).is_some_and(|value| value.as_bytes() == b"script") {
        return Err(Failure::bad_request("nothing here is a script for a browser"));
    }
    let asked = read(&shared, reader, &parameters, uri, &headers)?;
    let missing = || {
        let status =
            if is_cached_only(&headers) { StatusCode::PRECONDITION_FAILED } else { StatusCode::NOT_FOUND };
        Failure::new(status, "not-found", "no such content here")
    };
    let mut response = match asked.asked.wish {
        Wish::Raw => raw(&shared, &asked, &headers, &method).await?,
        Wish::Car { scope, duplicates } => car(&shared, &asked, scope, duplicates, &headers, &method).await?,
    }
    .ok_or_else(missing)?;
    let answer = response.headers_mut();
    answer.insert(PATH, HeaderValue::from_str(asked.uri.path()).map_err(Failure::encoding)?);
    if let Some(location) = location(&asked) {
        answer.insert(CONTENT_LOCATION, location);
    }
    answer.insert(CACHE_CONTROL, PRIVATE);
    answer.insert(VARY, HeaderValue::from_static("Accept, Authorization"));
    Ok(response)
}

/// Who reads: the operator, or whom a publication names by a token; nothing for everyone else.
async fn reader(shared: &Shared, headers: &HeaderMap) -> Result<Option<Reader>, Failure> {
    if gate::is_operator(headers, &shared.edge().operator_token) {
        return Ok(Some(Reader::Operator));
    }
    let Some(token) = gate::bearer(headers).and_then(|token| std::str::from_utf8(token).ok()) else {
        return Ok(None);
    };
    let reader = Reader::of_token(token);
    let known = reader.clone();
    let known = shared.blocking(move |edge| Ok(edge.publisher.content().knows(&known)?)).await?;
    Ok(known.then_some(reader))
}

/// Whether the client wants what is here alone (RFC 9111 section 5.2.1.7). All that is served is here.
fn is_cached_only(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut directives =
        values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    directives.any(|one| one.eq_ignore_ascii_case(b"only-if-cached"))
}

fn read(
    shared: &Shared,
    reader: Reader,
    parameters: &RawPathParams,
    uri: Uri,
    headers: &HeaderMap,
) -> Result<Asked, Failure> {
    let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let root = parameter("cid").and_then(|text| text.parse::<Cid>().ok());
    let root = root.ok_or_else(|| Failure::bad_request("the path begins with no CID"))?;
    let path = parameter("path").unwrap_or_default();
    let path: Vec<String> =
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let asked = gateway::wish(accept, &query).map_err(|refusal| {
        let status = match refusal {
            Refusal::NoForm { accept: true } | Refusal::NotServed(_) => StatusCode::NOT_ACCEPTABLE,
            Refusal::NoForm { accept: false } | Refusal::Parameter(_) => StatusCode::BAD_REQUEST,
        };
        Failure::new(status, "not-supported", refusal.to_string())
    })?;
    if asked.wish == Wish::Raw && !path.is_empty() {
        return Err(Failure::bad_request(
            "a raw block is asked for by its CID alone; ask for a CAR file of a path",
        ));
    }
    let view = shared.edge().publisher.content().view(reader);
    Ok(Asked { uri, root, path, query, asked, view })
}

async fn raw(
    shared: &Shared,
    asked: &Asked,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Option<Response>, Failure> {
    let (view, root) = (asked.view.clone(), asked.root);
    let Some(block) = shared.blocking(move |_| Ok(view.block(&root)?)).await? else { return Ok(None) };
    let tag = format!("\"{root}.raw\"");
    let size = block.bytes().len() as u64;
    let is_head = *method == Method::HEAD;
    let known = is_known(headers, &tag);
    let wanted = if is_head || known { Wanted::Whole } else { byte_range::wanted(headers, &tag, size) };
    let (bytes, range) = match wanted {
        Wanted::Whole => (block.bytes().clone(), None),
        Wanted::Part(from, end) => {
            let bytes = block.bytes().slice(place(from)?..place(end)?);
            (bytes, Some(format!("bytes {from}-{}/{size}", end - 1)))
        }
        Wanted::Nothing => return unsatisfiable(size).map(Some),
    };
    let length = bytes.len();
    let body = if is_head { Body::empty() } else { Body::from(bytes) };
    let mut response = answer(asked, &tag, RAW, "bin", headers, body)?;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(range) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response
            .headers_mut()
            .insert(CONTENT_RANGE, HeaderValue::from_str(&range).map_err(Failure::encoding)?);
    }
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response.headers_mut().insert(ROOTS, names(&[root])?);
    Ok(Some(response))
}

/// A place in a block, which is in memory.
fn place(offset: u64) -> Result<usize, Failure> {
    usize::try_from(offset).map_err(Failure::encoding)
}

/// Bytes are asked for that there are not: 416 says how many there are.
fn unsatisfiable(size: u64) -> Result<Response, Failure> {
    let text = "the block has no such bytes";
    let mut response = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "not-found", text).into_response();
    let range = HeaderValue::from_str(&format!("bytes */{size}")).map_err(Failure::encoding)?;
    response.headers_mut().insert(CONTENT_RANGE, range);
    Ok(response)
}

fn names(cids: &[Cid]) -> Result<HeaderValue, Failure> {
    let names: Vec<_> = cids.iter().map(Cid::to_string).collect();
    HeaderValue::from_str(&names.join(",")).map_err(Failure::encoding)
}

async fn car(
    shared: &Shared,
    asked: &Asked,
    scope: Scope,
    duplicates: bool,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Option<Response>, Failure> {
    let (view, root, path) = (asked.view.clone(), asked.root, asked.path.clone());
    let followed = shared.blocking(move |_| {
        let segments: Vec<_> = path.iter().map(String::as_str).collect();
        Ok(Selection::follow(view, &root, &segments)?)
    });
    let Some(selection) = followed.await? else { return Ok(None) };
    let end = selection.end().copied().unwrap_or(root);
    let roots = names(selection.roots())?;
    let varied = Sha256::digest(format!("{scope:?}\0{duplicates}\0{}", asked.path.join("/")));
    let tag = format!("\"{root}.car.{}\"", hex::encode(&varied[..8]));
    let body = if method == Method::HEAD || is_known(headers, &tag) {
        Body::empty()
    } else {
        stream_of(shared.clone(), car::header(&[end]), selection.blocks(scope, duplicates))
    };
    let media_type = if duplicates { CAR_TWICE } else { CAR };
    let mut response = answer(asked, &tag, media_type, "car", headers, body)?;
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    response.headers_mut().insert(ROOTS, roots);
    Ok(Some(response))
}

/// The file, read portion by portion as the client takes it. A block that is missing breaks it off, which the client sees.
fn stream_of(shared: Shared, header: Vec<u8>, blocks: Blocks) -> Body {
    let state = Some((header, blocks));
    Body::from_stream(stream::unfold(state, move |state| {
        let shared = shared.clone();
        async move {
            let (begun, blocks) = state?;
            match shared.blocking(move |_| portion(begun, blocks)).await {
                Ok((bytes, rest)) => Some((Ok(bytes), rest.map(|blocks| (Vec::new(), blocks)))),
                Err(failure) => Some((Err(std::io::Error::other(failure.diagnostics())), None)),
            }
        }
    }))
}

fn portion(mut bytes: Vec<u8>, mut blocks: Blocks) -> Result<(Bytes, Option<Blocks>), Failure> {
    while bytes.len() < PORTION_BYTES {
        match blocks.next() {
            Some(block) => bytes.extend(car::section(&block?)),
            None => return Ok((bytes.into(), None)),
        }
    }
    Ok((bytes.into(), Some(blocks)))
}

fn answer(
    asked: &Asked,
    tag: &str,
    media_type: HeaderValue,
    extension: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let known = is_known(headers, tag);
    let mut response = Response::new(if known { Body::empty() } else { body });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let name = asked.query.iter().find(|(key, _)| key == "filename").map(|(_, name)| name.as_str());
    let disposition = match name.filter(|name| is_plain(name)) {
        Some(name) => disposition(name),
        None => disposition(&format!("{}.{extension}", asked.root)),
    };
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, media_type);
    answer.insert(ETAG, HeaderValue::from_str(tag).map_err(Failure::encoding)?);
    answer.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(Failure::encoding)?);
    Ok(response)
}

/// Whether a file's name has no character that means something in a header or in a path.
fn is_plain(name: &str) -> bool {
    let plain = |character: char| !character.is_control() && !"/\\\":*?<>|;%".contains(character);
    let count = name.chars().count();
    (1..=FILENAME_CHARACTERS_MAX).contains(&count) && name.chars().all(plain) && !name.starts_with('.')
}

/// How the answer is saved: a name beyond ASCII in both of its forms (RFC 6266 section 5, RFC 8187).
fn disposition(name: &str) -> String {
    let ascii: String = name.chars().map(|one| if one.is_ascii() { one } else { '_' }).collect();
    if name.is_ascii() {
        format!("attachment; filename=\"{ascii}\"")
    } else {
        let encoded: String = name.bytes().map(encoded).collect();
        format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
    }
}

/// A byte of a name as RFC 8187 section 3.2 has it.
fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

/// Where the same is found whatever the `Accept` header says: where that header had a say, or was overruled.
fn location(asked: &Asked) -> Option<HeaderValue> {
    if asked.asked.by_header.is_empty() && !asked.asked.overruled {
        return None;
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(&asked.asked.by_header);
    query.extend_pairs(&asked.query);
    HeaderValue::from_str(&format!("{}?{}", asked.uri.path(), query.finish())).ok()
}

/// Whether the client says that it has this answer (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags =
        values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    tags.any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes())
}
