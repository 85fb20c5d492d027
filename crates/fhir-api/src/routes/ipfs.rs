//! `GET /ipfs/{cid}[/{path}]`: the trustless gateway (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>), for
//! the operator, and for whom a publication gave a token. Whoever shows neither gets 401; a block that the reader has no
//! right to is 404, as one that is not here.
//!
//! One thing is not as the specification has it: answers are `private, no-cache`, since a cache that many share would give
//! on what it was not asked to keep secret, and a publication ends.

use crate::{answer::Answer, gate, outcome::Failure, state::Shared};
use axum::{
    body::{Body, Bytes},
    extract::{RawPathParams, RawQuery, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, ETAG,
            IF_NONE_MATCH, VARY,
        },
    },
    response::Response,
};
use bxp_content::{
    Block, ContentError, Reader, View, car,
    gateway::{Refusal, Scope, Selection, Wish, wish},
};
use cid::Cid;
use futures::stream;
use sha2::{Digest, Sha256};

const RAW: HeaderValue = HeaderValue::from_static("application/vnd.ipld.raw");
const CAR: HeaderValue = HeaderValue::from_static("application/vnd.ipld.car; version=1; order=dfs; dups=n");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
const PATH: HeaderName = HeaderName::from_static("x-ipfs-path");

/// Bytes of a CAR file that are read at once, between which nothing is held for a slow client but these.
const PORTION_BYTES: usize = 1 << 20;
/// The longest name that a client may give to what it saves.
const FILENAME_CHARACTERS_MAX: usize = 128;

/// Blocks still to be written.
type Blocks = Box<dyn Iterator<Item = Result<Block, ContentError>> + Send>;

/// What is asked for, and by whom.
struct Asked {
    root: Cid,
    path: Vec<String>,
    query: Vec<(String, String)>,
    wish: Wish,
    view: View,
}

/// Gives a block, or a CAR file.
pub(crate) async fn content(
    State(shared): State<Shared>,
    parameters: RawPathParams,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let reader = reader(&shared, &headers).await?;
    let asked = read(&shared, reader, &parameters, query.as_deref(), &headers)?;
    let missing = || {
        let cached_only =
            headers.get(CACHE_CONTROL).is_some_and(|value| value.as_bytes() == b"only-if-cached");
        let status = if cached_only { StatusCode::PRECONDITION_FAILED } else { StatusCode::NOT_FOUND };
        Failure::new(status, "not-found", "no such content here")
    };
    let location = location(&asked, &headers);
    let mut response = match asked.wish {
        Wish::Raw => raw(&shared, &asked, &headers, &method).await?.ok_or_else(missing)?,
        Wish::Car(scope) => car(&shared, &asked, scope, &headers, &method).await?.ok_or_else(missing)?,
    };
    let path = std::iter::once(asked.root.to_string()).chain(asked.path);
    let path = format!("/ipfs/{}", path.collect::<Vec<_>>().join("/"));
    let answer = response.headers_mut();
    // A path of other characters is not repeated.
    if let Ok(path) = HeaderValue::from_str(&path) {
        answer.insert(PATH, path);
    }
    if let Some(location) = location {
        answer.insert(CONTENT_LOCATION, location);
    }
    answer.insert(CACHE_CONTROL, PRIVATE);
    answer.insert(VARY, HeaderValue::from_static("Accept, Authorization"));
    Ok(response)
}

/// Who reads: the operator, or whom a publication names by a token.
async fn reader(shared: &Shared, headers: &HeaderMap) -> Result<Reader, Failure> {
    if gate::is_operator(headers, &shared.edge().operator_token) {
        return Ok(Reader::Operator);
    }
    let refused =
        || Failure::new(StatusCode::UNAUTHORIZED, "login", "show a token: Authorization: Bearer TOKEN");
    let token =
        gate::bearer(headers).and_then(|token| std::str::from_utf8(token).ok()).ok_or_else(refused)?;
    let reader = Reader::of_token(token);
    let known = reader.clone();
    let known = shared.blocking(move |edge| Ok(edge.publisher.content().knows(&known)?)).await?;
    if known { Ok(reader) } else { Err(refused()) }
}

fn read(
    shared: &Shared,
    reader: Reader,
    parameters: &RawPathParams,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Asked, Failure> {
    let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let root = parameter("cid").and_then(|text| text.parse::<Cid>().ok());
    let root = root.ok_or_else(|| Failure::bad_request("the path begins with no CID"))?;
    let path = parameter("path").unwrap_or_default();
    let path: Vec<String> =
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let wish = wish(accept, &query).map_err(|refusal| {
        let status = match refusal {
            Refusal::NoForm { accept: true } | Refusal::NotServed(_) => StatusCode::NOT_ACCEPTABLE,
            Refusal::NoForm { accept: false } | Refusal::Parameter(_) => StatusCode::BAD_REQUEST,
        };
        Failure::new(status, "not-supported", refusal.to_string())
    })?;
    if wish == Wish::Raw && !path.is_empty() {
        return Err(Failure::bad_request(
            "a raw block is asked for by its CID alone; ask for a CAR file of a path",
        ));
    }
    let view = shared.edge().publisher.content().view(reader);
    Ok(Asked { root, path, query, wish, view })
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
    let length = block.bytes().len();
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(block.bytes().clone()) };
    let mut response = answer(asked, &tag, RAW, "bin", headers, body)?;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(Some(response))
}

async fn car(
    shared: &Shared,
    asked: &Asked,
    scope: Scope,
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
    let varied = Sha256::digest(format!("{scope:?}\0{}", asked.path.join("/")));
    let tag = format!("\"{root}.car.{}\"", hex::encode(&varied[..8]));
    let body = if method == Method::HEAD || is_known(headers, &tag) {
        Body::empty()
    } else {
        stream_of(shared.clone(), car::header(&[end]), selection.blocks(scope))
    };
    answer(asked, &tag, CAR, "car", headers, body).map(Some)
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
    let name = name
        .filter(|name| is_plain(name))
        .map_or_else(|| format!("{}.{extension}", asked.root), str::to_owned);
    let disposition = format!("attachment; filename=\"{name}\"");
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, media_type);
    answer.insert(ETAG, HeaderValue::from_str(tag).map_err(Failure::encoding)?);
    answer.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(Failure::encoding)?);
    Ok(response)
}

/// Whether a file's name has no character that means something in a header or in a path.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=FILENAME_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.')
}

/// Where the same is found whatever the `Accept` header says.
fn location(asked: &Asked, headers: &HeaderMap) -> Option<HeaderValue> {
    let has_format = asked.query.iter().any(|(key, _)| key == "format");
    if has_format || !headers.contains_key(ACCEPT) {
        return None;
    }
    let format = if asked.wish == Wish::Raw { "raw" } else { "car" };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("format", format);
    query.extend_pairs(&asked.query);
    let path: String = asked.path.iter().map(|segment| format!("/{segment}")).collect();
    HeaderValue::from_str(&format!("/ipfs/{}{path}?{}", asked.root, query.finish())).ok()
}

/// Whether the client says that it has this answer (RFC 9110 section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags =
        values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    tags.any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag.as_bytes())
}
