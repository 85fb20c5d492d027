//! What a request asks for, by its `Accept` header and its query.

use std::fmt;

/// The media types that are answered.
const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";

/// Alternatives of one `Accept` header that are looked at; browsers send fewer than ten.
const ALTERNATIVES_MAX: usize = 32;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// One block.
    Raw,
    /// A CAR file of what is at the end of the path.
    Car(Scope),
}

/// How much of what is at the end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Its first block.
    Block,
    /// A whole file, or the entries of a folder; of everything else the first block.
    Entity(ByteRange),
    /// All that hangs under it.
    All,
}

/// Bytes of a file, both ends included. Negative numbers count from the end; without `to` it goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub from: i64,
    /// The last byte.
    pub to: Option<i64>,
}

impl ByteRange {
    /// All bytes.
    pub const ALL: Self = Self { from: 0, to: None };

    /// The first byte and the one behind the last, of a file of `size` bytes; nothing where they are outside of it.
    #[must_use]
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let place = |offset: i64| match u64::try_from(offset) {
            Ok(offset) => Some(offset),
            Err(_) => size.checked_sub(offset.unsigned_abs()),
        };
        let from = place(self.from).unwrap_or(0);
        let end = match self.to {
            None => size,
            Some(to) => place(to)?.saturating_add(1).min(size),
        };
        (from < end).then_some((from, end))
    }
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Neither form is asked for: 400 without an `Accept` header, else 406.
    NoForm {
        /// Whether there was an `Accept` header.
        accept: bool,
    },
    /// A form that is asked for in a way that is not served.
    NotServed(&'static str),
    /// A parameter that cannot be understood.
    Parameter(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoForm { .. } => {
                write!(f, "ask for {RAW} or {CAR}, in Accept or as format=raw or format=car")
            }
            Self::NotServed(what) => write!(f, "{what}"),
            Self::Parameter(what) => write!(f, "{what}"),
        }
    }
}

/// Reads a request. `format` and `car-version` in the query go before the header.
///
/// # Errors
/// [`Refusal`].
pub fn wish(accept: Option<&str>, query: &[(String, String)]) -> Result<Wish, Refusal> {
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let alternative = accept.and_then(best_alternative);
    let is_car = match (parameter("format"), alternative) {
        (Some("raw"), _) => false,
        (Some("car"), _) => true,
        (Some(_), _) => return Err(Refusal::NotServed("format is raw or car; nothing else is served here")),
        (None, Some(alternative)) => alternative.is_car,
        (None, None) => return Err(Refusal::NoForm { accept: accept.is_some() }),
    };
    if !is_car {
        return Ok(Wish::Raw);
    }
    let version = parameter("car-version").or(alternative.and_then(|alternative| alternative.version));
    if version.is_some_and(|version| version != "1") {
        return Err(Refusal::NotServed("CAR files are of version 1"));
    }
    let order = parameter("car-order").or(alternative.and_then(|alternative| alternative.order));
    if !matches!(order, None | Some("dfs" | "unk")) {
        return Err(Refusal::NotServed("CAR files are in the order dfs"));
    }
    let range = parameter("entity-bytes").map(byte_range).transpose()?;
    Ok(Wish::Car(match (parameter("dag-scope"), range) {
        (None | Some("all"), None) => Scope::All,
        (Some("block"), _) => Scope::Block,
        (None | Some("all" | "entity"), range) => Scope::Entity(range.unwrap_or(ByteRange::ALL)),
        _ => return Err(Refusal::Parameter("dag-scope is block, entity or all")),
    }))
}

/// A media type that is served, and its parameters.
#[derive(Clone, Copy, Debug)]
struct Alternative<'a> {
    is_car: bool,
    version: Option<&'a str>,
    order: Option<&'a str>,
}

/// The alternative of the header that its client likes best (RFC 9110 section 12.5.1), the first of equals.
fn best_alternative(accept: &str) -> Option<Alternative<'_>> {
    let mut best: Option<(f32, Alternative<'_>)> = None;
    for text in accept.split(',').take(ALTERNATIVES_MAX) {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let is_car = kind.eq_ignore_ascii_case(CAR);
        if !is_car && !kind.eq_ignore_ascii_case(RAW) {
            continue;
        }
        let (mut quality, mut alternative) = (1.0, Alternative { is_car, version: None, order: None });
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => alternative.version = Some(value.trim()),
                "order" => alternative.order = Some(value.trim()),
                _ => {}
            }
        }
        if quality > 0.0 && best.is_none_or(|(liked, _)| quality > liked) {
            best = Some((quality, alternative));
        }
    }
    best.map(|(_, alternative)| alternative)
}

fn byte_range(text: &str) -> Result<ByteRange, Refusal> {
    let wrong = Refusal::Parameter("entity-bytes is FROM:TO, such as 0:1023, 0:* or -1024:*");
    let (from, to) = text.split_once(':').ok_or(wrong)?;
    let from: i64 = from.parse().map_err(|_| wrong)?;
    let to: Option<i64> = if to == "*" { None } else { Some(to.parse().map_err(|_| wrong)?) };
    let backwards = to.is_some_and(|to| (to < 0) == (from < 0) && to < from);
    if backwards { Err(wrong) } else { Ok(ByteRange { from, to }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(accept: Option<&str>, query: &str) -> Result<Wish, Refusal> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        wish(accept, &pairs)
    }

    #[test]
    fn the_form_comes_from_the_query_or_the_header() {
        assert_eq!(asked(None, "format=raw"), Ok(Wish::Raw));
        assert_eq!(asked(Some(RAW), "format=car"), Ok(Wish::Car(Scope::All)), "the query goes first");
        assert_eq!(asked(Some("Application/vnd.ipld.RAW"), ""), Ok(Wish::Raw));
        let liked = "text/html, application/vnd.ipld.raw;q=0.5, application/vnd.ipld.car; version=1; order=dfs; dups=y";
        assert_eq!(asked(Some(liked), ""), Ok(Wish::Car(Scope::All)));
        assert_eq!(asked(Some("application/vnd.ipld.raw;q=0"), ""), Err(Refusal::NoForm { accept: true }));
        assert_eq!(asked(Some("*/*"), ""), Err(Refusal::NoForm { accept: true }));
        assert_eq!(asked(None, ""), Err(Refusal::NoForm { accept: false }));
        assert!(matches!(asked(Some(RAW), "format=json"), Err(Refusal::NotServed(_))));
        for query in ["format=car&car-version=2", "format=car&car-order=weird"] {
            assert!(matches!(asked(None, query), Err(Refusal::NotServed(_))), "{query}");
        }
        assert!(asked(Some("application/vnd.ipld.car;version=2"), "").is_err());
        assert!(asked(Some("application/vnd.ipld.car;version=2"), "car-version=1").is_ok());
    }

    #[test]
    fn scopes_and_ranges_are_read() {
        let car = |query: &str| asked(None, &format!("format=car&{query}"));
        let entity = |from, to| Ok(Wish::Car(Scope::Entity(ByteRange { from, to })));
        assert_eq!(car("dag-scope=block"), Ok(Wish::Car(Scope::Block)));
        assert_eq!(car("dag-scope=entity"), entity(0, None));
        assert_eq!(car("entity-bytes=-1024:*"), entity(-1024, None), "a range implies the entity");
        assert_eq!(car("dag-scope=entity&entity-bytes=499:-1000"), entity(499, Some(-1000)));
        let wrong = [
            "dag-scope=some",
            "entity-bytes=5",
            "entity-bytes=5:4",
            "entity-bytes=-4:-5",
            "entity-bytes=a:b",
        ];
        for query in wrong {
            assert!(matches!(car(query), Err(Refusal::Parameter(_))), "{query}");
        }
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let within = |from, to, size| ByteRange { from, to }.within(size);
        assert_eq!(within(0, None, 10), Some((0, 10)));
        assert_eq!(within(2, Some(4), 10), Some((2, 5)));
        assert_eq!(within(2, Some(400), 10), Some((2, 10)));
        assert_eq!(within(-3, None, 10), Some((7, 10)));
        assert_eq!(within(-30, None, 10), Some((0, 10)));
        assert_eq!(within(2, Some(-2), 10), Some((2, 9)));
        assert_eq!(within(10, None, 10), None);
        assert_eq!(within(0, Some(-30), 10), None);
        assert_eq!(within(0, None, 0), None);
    }

    proptest! {
        #[test]
        fn arbitrary_headers_and_ranges_never_panic(
            accept in ".{0,80}", range in ".{0,20}", from in any::<i64>(), to in any::<Option<i64>>(), size in any::<u64>(),
        ) {
            let query = [("format".to_owned(), "car".to_owned()), ("entity-bytes".to_owned(), range)];
            let _ = (wish(Some(&accept), &[]), wish(Some(&accept), &query));
            if let Some((from, end)) = (ByteRange { from, to }).within(size) {
                prop_assert!(from < end && end <= size);
            }
        }
    }
}
