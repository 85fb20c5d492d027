//! `GET /?_type=A,B&...` and `POST /_search`: a search over several resource types, or over all (R4 section 3.1.0.1.4).
//!
//! Its parameters are those that every searched type has (`_id`, `_lastUpdated`, and others where the types share them).
//! What is found comes type by type and within a type by age, so that paging is stable; to sort, search one type.

use super::search::{INCLUDED_MAX, Shape, form_of, pairs, shown_query, within_kind};
use crate::{
    Edge,
    answer::Answer,
    bundle::{BundleText, warning},
    disclose::{reader, shown},
    http,
    outcome::Failure,
    page::Next,
    routes::everything::kinds,
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
};
use bxp_fhir_store::{
    Kind, Parameters, Reader, Resource,
    search::{self, Include, Query, SortValue},
};
use std::collections::HashSet;

/// The address in sealed links.
const ADDRESS: &str = "system";

/// Searches by the query.
pub(crate) async fn by_get(State(shared): State<Shared>, request: Request) -> Answer {
    let parameters = pairs(request.uri().query().unwrap_or_default().as_bytes());
    run(shared, parameters, request.headers().clone()).await
}

/// Searches by the query and a form in the body.
pub(crate) async fn by_post(State(shared): State<Shared>, request: Request) -> Answer {
    let headers = request.headers().clone();
    run(shared, form_of(request).await?, headers).await
}

async fn run(shared: Shared, parameters: Vec<(String, String)>, headers: HeaderMap) -> Answer {
    shared.blocking(move |edge| Ok(answer(edge, parameters, &headers)?.response())).await
}

fn answer(edge: &Edge, asked: Vec<(String, String)>, headers: &HeaderMap) -> Result<BundleText, Failure> {
    let page = asked.iter().find(|(name, _)| name == "_page").map(|(_, value)| value.as_str());
    let next = page.map(|page| Next::open(edge, ADDRESS, page)).transpose()?;
    let (parameters, from, upto) = match next {
        Some(Next { parameters, kind, after, upto, .. }) => (parameters, Some((kind, after)), Some(upto)),
        None => (asked, None, None),
    };
    let types = parameters.iter().find(|(name, _)| name == "_type").map(|(_, value)| value.as_str());
    let kinds = searched(types)?;
    if let [kind] = kinds.as_slice() {
        return within_kind(edge, *kind, parameters, headers);
    }
    let shape = Shape::read(&parameters)?;
    let Understood { queries, includes, ignored } = understand(edge, &kinds, &parameters, headers)?;
    let reader = reader(edge)?;
    let upto = match upto {
        Some(upto) => upto,
        None => reader.newest()?,
    };
    let base = http::base(headers);
    let this = format!("{base}{}", shown_query(&parameters));
    let count_all =
        || queries.iter().try_fold(0, |sum, query| Ok::<_, Failure>(sum + reader.count(query, upto)?));
    if shape.only_total {
        return Ok(BundleText::new("searchset", Some(count_all()?), &[("self", this)]));
    }
    let is_first = from.is_none();
    let (found, next) = one_page(&reader, &queries, shape.count, from, upto)?;
    let (included, cut) = reader.included(&found, &includes, INCLUDED_MAX)?;
    let total = match (&next, is_first) {
        (None, true) => Some(found.len() as u64),
        _ if shape.accurate_total => Some(count_all()?),
        _ => None,
    };
    let mut links = vec![("self", this)];
    if let Some((kind, after)) = next {
        let next = Next { of: ADDRESS.to_owned(), kind: Some(kind), parameters, upto, after };
        links.push(("next", format!("{base}?_page={}", next.seal(edge)?)));
    }
    let mut bundle = BundleText::new("searchset", total, &links);
    let matches: HashSet<i64> = found.iter().map(Resource::number).collect();
    for one in shown(edge, found.into_iter().chain(included).collect(), shape.purpose)? {
        let mode = if matches.contains(&one.number()) { "match" } else { "include" };
        let address = one.address();
        if let Some(text) = one.text {
            bundle.found(&base, &address, &shape.subset.of(one.kind, text)?, mode);
        }
    }
    if !ignored.is_empty() {
        let text = format!("passed over, as no search parameter of these types: {}", ignored.join(", "));
        bundle.remark(&warning("not-supported", &text));
    }
    if cut {
        let text = "more than 1000 resources would go along with this page; the rest is left out";
        bundle.remark(&warning("incomplete", text));
    }
    Ok(bundle)
}

/// The types that are searched, each once, in the order in which they are given out.
fn searched(types: Option<&str>) -> Result<Vec<Kind>, Failure> {
    let mut kinds = kinds(types.filter(|types| !types.is_empty()))?;
    if kinds.is_empty() {
        kinds = Parameters::r4().kinds().collect();
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

struct Understood {
    /// One a type.
    queries: Vec<Query>,
    includes: Vec<Include>,
    /// Parameters of no type.
    ignored: Vec<String>,
}

/// Reads the parameters for every type: all of them must have each, or none.
fn understand(
    edge: &Edge,
    kinds: &[Kind],
    parameters: &[(String, String)],
    headers: &HeaderMap,
) -> Result<Understood, Failure> {
    if parameters.iter().any(|(name, _)| name == "_sort") {
        let text = "a search over several types is in the order of types and age; to sort, search one type";
        return Err(Failure::bad_request(text));
    }
    let base = http::base(headers);
    let now_ms = i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX);
    let mut understood = Understood { queries: Vec::new(), includes: Vec::new(), ignored: Vec::new() };
    for (number, kind) in kinds.iter().enumerate() {
        let parsed = search::parse(*kind, parameters, std::slice::from_ref(&base), now_ms)?;
        if number == 0 {
            (understood.includes, understood.ignored) = (parsed.includes, parsed.ignored);
        } else if understood.ignored != parsed.ignored {
            let some = understood.ignored.iter().chain(&parsed.ignored);
            let name = some
                .filter(|name| !(understood.ignored.contains(name) && parsed.ignored.contains(name)))
                .map(String::as_str)
                .next();
            let text = format!(
                "parameter {} is not one of every type that is searched; name the types in _type, or leave it out",
                name.unwrap_or_default()
            );
            return Err(Failure::bad_request(text));
        }
        understood.queries.push(parsed.query);
    }
    if let (true, Some(name)) = (http::is_strict(headers), understood.ignored.first()) {
        return Err(Failure::bad_request(format!("parameter {name} is no search parameter of these types")));
    }
    Ok(understood)
}

/// A resource behind which a page begins.
type Behind = (Vec<SortValue>, i64);

/// Where a page goes on: at a type, behind a resource of it.
type Place = (String, Behind);

/// Takes from one type after the other until the page is full. The next place is one at which something is.
fn one_page(
    reader: &Reader,
    queries: &[Query],
    count: usize,
    from: Option<(Option<String>, Behind)>,
    upto: i64,
) -> Result<(Vec<Resource>, Option<Place>), Failure> {
    let name = |query: &Query| Parameters::r4().name(query.kind).to_owned();
    let (first, mut after) = match from {
        Some((kind, after)) => {
            let at = queries.iter().position(|query| Some(name(query)) == kind);
            (at.unwrap_or(queries.len()), Some(after))
        }
        None => (0, None),
    };
    let mut all = Vec::new();
    for query in queries.iter().skip(first) {
        let left = count.saturating_sub(all.len());
        let (found, page) = reader.search(query, left.max(1), after.take().as_ref(), upto)?;
        if left == 0 {
            // The page is full: it is only looked whether there is more.
            if !page.numbers.is_empty() {
                return Ok((all, Some((name(query), (Vec::new(), 0)))));
            }
            continue;
        }
        all.extend(found);
        if let Some(after) = page.next {
            return Ok((all, Some((name(query), after))));
        }
    }
    Ok((all, None))
}
