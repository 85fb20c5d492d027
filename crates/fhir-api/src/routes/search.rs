//! `GET /{type}?...`, `POST /{type}/_search` and `GET /Patient/{id}/{type}?...` (R4 section 3.1.1).

use crate::{
    Edge,
    answer::Answer,
    bundle::{BundleText, warning},
    disclose::{reader, shown},
    extract::{self, PathOf},
    http,
    outcome::Failure,
    page::Next,
    routes::unknown,
    state::Shared,
    subset::Subset,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::CONTENT_TYPE},
};
use bxp_fhir_store::{Kind, Parameters, search, search::Clause};
use std::collections::HashSet;

/// Resources of a page, unless `_count` says another number.
const LISTED: usize = 50;
/// The most resources that go along with a page.
pub(crate) const INCLUDED_MAX: usize = 1_000;

/// Searches by the query.
pub(crate) async fn by_get(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let kind = unknown::stored_kind(&kind)?;
    let parameters = pairs(request.uri().query().unwrap_or_default().as_bytes());
    search_kind(shared, Scope::of(kind), parameters, request.headers().clone()).await
}

/// Searches a patient's compartment.
pub(crate) async fn in_compartment(
    State(shared): State<Shared>,
    PathOf((compartment, id, kind)): PathOf<(String, String, String)>,
    request: Request,
) -> Answer {
    unknown::stored_kind(&compartment)?;
    if compartment != "Patient" {
        return Err(Failure::not_found("of compartments, those of a Patient are searched here alone"));
    }
    let scope = Scope { kind: unknown::stored_kind(&kind)?, patient: Some(id) };
    let parameters = pairs(request.uri().query().unwrap_or_default().as_bytes());
    search_kind(shared, scope, parameters, request.headers().clone()).await
}

/// What is searched.
struct Scope {
    kind: Kind,
    /// Of this patient's compartment alone.
    patient: Option<String>,
}

impl Scope {
    const fn of(kind: Kind) -> Self {
        Self { kind, patient: None }
    }

    /// The address that is searched.
    fn address(&self) -> String {
        let name = Parameters::r4().name(self.kind);
        self.patient.as_ref().map_or_else(|| name.to_owned(), |id| format!("Patient/{id}/{name}"))
    }
}

/// Searches by the query and a form in the body.
pub(crate) async fn by_post(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let kind = unknown::stored_kind(&kind)?;
    let headers = request.headers().clone();
    search_kind(shared, Scope::of(kind), form_of(request).await?, headers).await
}

/// The parameters of the query and of a form in the body.
pub(crate) async fn form_of(request: Request) -> Result<Vec<(String, String)>, Failure> {
    let headers = request.headers();
    let form = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !form.starts_with("application/x-www-form-urlencoded") && !form.is_empty() {
        let text = "a search takes application/x-www-form-urlencoded";
        let status = axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Failure::new(status, "not-supported", text));
    }
    let mut parameters = pairs(request.uri().query().unwrap_or_default().as_bytes());
    parameters.extend(pairs(&extract::body(request).await?));
    Ok(parameters)
}

pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

async fn search_kind(
    shared: Shared,
    scope: Scope,
    parameters: Vec<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    shared.blocking(move |edge| Ok(answer(edge, &scope, parameters, &headers)?.response())).await
}

/// A search within a Bundle.
pub(crate) fn within_bundle(
    edge: &Edge,
    kind: Kind,
    query: &str,
    headers: &HeaderMap,
) -> Result<String, Failure> {
    Ok(answer(edge, &Scope::of(kind), pairs(query.as_bytes()), headers)?.finish())
}

/// A search over one type, by whatever address.
pub(crate) fn within_kind(
    edge: &Edge,
    kind: Kind,
    parameters: Vec<(String, String)>,
    headers: &HeaderMap,
) -> Result<BundleText, Failure> {
    answer(edge, &Scope::of(kind), parameters, headers)
}

/// How a search is to be answered.
pub(crate) struct Shape {
    pub(crate) count: usize,
    pub(crate) subset: Subset,
    /// The number alone.
    pub(crate) only_total: bool,
    pub(crate) accurate_total: bool,
    pub(crate) purpose: bxp_privacy::Purpose,
}

impl Shape {
    pub(crate) fn read(parameters: &[(String, String)]) -> Result<Self, Failure> {
        let of = |name: &str| parameters.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        let count = match of("_count") {
            Some("0") => 0,
            count => extract::limit_named("_count", count, LISTED)?,
        };
        let accurate_total = match of("_total") {
            None | Some("none" | "estimate") => false,
            Some("accurate") => true,
            Some(_) => {
                return Err(Failure::bad_request("parameter _total must be none, estimate or accurate"));
            }
        };
        Ok(Self {
            count,
            subset: Subset::read(of("_summary"), of("_elements"))?,
            only_total: count == 0 || of("_summary") == Some("count"),
            accurate_total,
            purpose: extract::purpose(of("purpose"))?,
        })
    }
}

fn answer(
    edge: &Edge,
    scope: &Scope,
    asked: Vec<(String, String)>,
    headers: &HeaderMap,
) -> Result<BundleText, Failure> {
    let (base, name) = (http::base(headers), Parameters::r4().name(scope.kind));
    let address = scope.address();
    let page = asked.iter().find(|(one, _)| one == "_page").map(|(_, value)| value.as_str());
    let next = page.map(|page| Next::open(edge, &address, page)).transpose()?;
    let (parameters, after, upto) = match next {
        Some(next) => (next.parameters, Some(next.after), Some(next.upto)),
        None => (asked, None, None),
    };
    let shape = Shape::read(&parameters)?;
    let now_ms = i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX);
    let mut parsed = search::parse(scope.kind, &parameters, std::slice::from_ref(&base), now_ms)?;
    parsed.query.clauses.extend(scope.patient.clone().map(Clause::Compartment));
    if let (true, Some(name)) = (http::is_strict(headers), parsed.ignored.first()) {
        return Err(Failure::bad_request(format!("parameter {name} is no search parameter of this type")));
    }
    let reader = reader(edge)?;
    let upto = match upto {
        Some(upto) => upto,
        None => reader.newest()?,
    };
    let this = format!("{base}{address}{}", shown_query(&parameters));
    if shape.only_total {
        let total = reader.count(&parsed.query, upto)?;
        return Ok(BundleText::new("searchset", Some(total), &[("self", this)]));
    }
    let (found, page) = reader.search(&parsed.query, shape.count, after.as_ref(), upto)?;
    let (included, cut) = reader.included(&found, &parsed.includes, INCLUDED_MAX)?;
    // The first page that is also the last has counted already.
    let total = match (&page.next, &after) {
        (None, None) => Some(page.numbers.len() as u64),
        _ if shape.accurate_total => Some(reader.count(&parsed.query, upto)?),
        _ => None,
    };
    let mut links = vec![("self", this)];
    if let Some(after) = page.next {
        let next = Next { of: address.clone(), kind: None, parameters: parameters.clone(), upto, after };
        links.push(("next", format!("{base}{address}?_page={}", next.seal(edge)?)));
    }
    let mut bundle = BundleText::new("searchset", total, &links);
    let matches: HashSet<i64> = found.iter().map(bxp_fhir_store::Resource::number).collect();
    let all = found.into_iter().chain(included).collect();
    for one in shown(edge, all, shape.purpose)? {
        let mode = if matches.contains(&one.number()) { "match" } else { "include" };
        let address = one.address();
        if let Some(text) = one.text {
            bundle.found(&base, &address, &shape.subset.of(one.kind, text)?, mode);
        }
    }
    if !parsed.ignored.is_empty() {
        let names = parsed.ignored.join(", ");
        bundle.remark(&warning(
            "not-supported",
            &format!("passed over, as no search parameter of {name}: {names}"),
        ));
    }
    if cut {
        bundle.remark(&warning(
            "incomplete",
            "more than 1000 resources would go along with this page; the rest is left out",
        ));
    }
    Ok(bundle)
}

/// The query as the server understood it.
pub(crate) fn shown_query(parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let mut query = form_urlencoded::Serializer::new(String::from("?"));
    parameters.iter().for_each(|(name, value)| {
        query.append_pair(name, value);
    });
    query.finish()
}
