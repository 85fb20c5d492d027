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
    Car {
        /// How much of it.
        scope: Scope,
        /// Whether a block comes as often as it is met (`dups=y`), or once.
        duplicates: bool,
    },
}

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked for.
    pub wish: Wish,
    /// What the header said and the query did not, as the query would say it.
    pub by_header: Vec<(&'static str, String)>,
    /// The query asked for something else than the header.
    pub overruled: bool,
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

/// Reads a request. What the query says goes before the header.
///
/// # Errors
/// [`Refusal`].
pub fn wish(accept: Option<&str>, query: &[(String, String)]) -> Result<Asked, Refusal> {
    let parameter = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let form = match parameter("format") {
        Some("raw") => Some(Form::Raw),
        Some("car") => Some(Form::Car),
        Some(_) => return Err(Refusal::NotServed("format is raw or car; nothing else is served here")),
        None => None,
    };
    let alternatives = accept.map(alternatives).unwrap_or_default();
    let of_query = Parameters {
        version: parameter("car-version"),
        order: parameter("car-order"),
        duplicates: parameter("car-dups"),
    };
    let mut fitting = alternatives.iter().filter(|one| form.is_none_or(|form| one.form == form));
    let other_form = fitting.clone().next().is_none() && !alternatives.is_empty();
    // The first that can be served; where none can, the first one's reason.
    let (form, parameters, duplicates) = match (fitting.next().map(|one| one.under(of_query)), form) {
        (Some(Ok(served)), _) => served,
        (Some(Err(reason)), _) => {
            fitting.find_map(|one| one.under(of_query).ok()).ok_or(Refusal::NotServed(reason))?
        }
        (None, Some(form)) => {
            (form, Parameters::default(), of_query.duplicates(form).map_err(Refusal::NotServed)?)
        }
        (None, None) => return Err(Refusal::NoForm { accept: accept.is_some() }),
    };
    let wish = match form {
        Form::Raw => Wish::Raw,
        Form::Car => Wish::Car { scope: scope(&parameter)?, duplicates },
    };
    let mut by_header = Vec::new();
    if parameter("format").is_none() {
        by_header.push(("format", form.name().to_owned()));
    }
    if form == Form::Car {
        for (name, said, header) in [
            ("car-version", of_query.version, parameters.version),
            ("car-order", of_query.order, parameters.order),
            ("car-dups", of_query.duplicates, parameters.duplicates),
        ] {
            by_header.extend(header.filter(|_| said.is_none()).map(|value| (name, value.to_owned())));
        }
    }
    let overruled = other_form || (form == Form::Car && of_query.contradicts(&parameters));
    Ok(Asked { wish, by_header, overruled })
}

fn scope<'q>(parameter: &impl Fn(&str) -> Option<&'q str>) -> Result<Scope, Refusal> {
    let range = parameter("entity-bytes").map(byte_range).transpose()?;
    Ok(match (parameter("dag-scope"), range) {
        (None | Some("all"), None) => Scope::All,
        (Some("block"), _) => Scope::Block,
        (None | Some("all" | "entity"), range) => Scope::Entity(range.unwrap_or(ByteRange::ALL)),
        _ => return Err(Refusal::Parameter("dag-scope is block, entity or all")),
    })
}

/// In which of the two forms an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Raw,
    Car,
}

impl Form {
    fn of(media_type: &str) -> Option<Self> {
        [(RAW, Self::Raw), (CAR, Self::Car)]
            .into_iter()
            .find_map(|(name, form)| media_type.eq_ignore_ascii_case(name).then_some(form))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Car => "car",
        }
    }
}

/// Parameters of CAR files (IPIP-412), as they were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Parameters<'a> {
    version: Option<&'a str>,
    order: Option<&'a str>,
    duplicates: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn or(self, other: &Alternative<'a>) -> Self {
        let other = other.parameters;
        Self {
            version: self.version.or(other.version),
            order: self.order.or(other.order),
            duplicates: self.duplicates.or(other.duplicates),
        }
    }

    /// Whether blocks come as often as they are met.
    ///
    /// # Errors
    /// What of them is not served.
    fn duplicates(self, form: Form) -> Result<bool, &'static str> {
        if form == Form::Raw {
            return Ok(false);
        }
        if !matches!(self.version, None | Some("1")) {
            return Err("CAR files are of version 1");
        }
        if !matches!(self.order, None | Some("dfs" | "unk")) {
            return Err("CAR files are in the order dfs");
        }
        match self.duplicates {
            None | Some("n") => Ok(false),
            Some("y") => Ok(true),
            Some(_) => Err("dups is y or n"),
        }
    }

    fn contradicts(&self, other: &Self) -> bool {
        [(self.version, other.version), (self.order, other.order), (self.duplicates, other.duplicates)]
            .into_iter()
            .any(|(one, other)| one.is_some() && other.is_some() && one != other)
    }
}

/// A media type that is served, and its parameters.
#[derive(Clone, Copy, Debug)]
struct Alternative<'a> {
    form: Form,
    parameters: Parameters<'a>,
}

impl<'a> Alternative<'a> {
    /// Its form, its parameters, and whether blocks come as often as they are met, where the query goes before it.
    ///
    /// # Errors
    /// What of them is not served.
    fn under(&self, of_query: Parameters<'a>) -> Result<(Form, Parameters<'a>, bool), &'static str> {
        let duplicates = of_query.or(self).duplicates(self.form)?;
        Ok((self.form, self.parameters, duplicates))
    }
}

/// The alternatives of the header that have one of the two forms, those first that its client likes best (RFC 9110 section
/// 12.5.1), equals in their order.
fn alternatives(accept: &str) -> Vec<Alternative<'_>> {
    let mut found: Vec<(f32, Alternative<'_>)> = Vec::new();
    for text in accept.split(',').take(ALTERNATIVES_MAX) {
        let mut parts = text.split(';').map(str::trim);
        let Some(form) = parts.next().and_then(Form::of) else { continue };
        let (mut quality, mut parameters) = (1.0_f32, Parameters::default());
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.parse().unwrap_or(0.0),
                "version" => parameters.version = Some(value),
                "order" => parameters.order = Some(value),
                "dups" => parameters.duplicates = Some(value),
                _ => {}
            }
        }
        if quality > 0.0 {
            found.push((quality, Alternative { form, parameters }));
        }
    }
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().map(|(_, alternative)| alternative).collect()
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

    fn read(accept: Option<&str>, query: &str) -> Result<Asked, Refusal> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        wish(accept, &pairs)
    }

    fn asked(accept: Option<&str>, query: &str) -> Result<Wish, Refusal> {
        read(accept, query).map(|asked| asked.wish)
    }

    const ALL: Wish = Wish::Car { scope: Scope::All, duplicates: false };
    const ALL_TWICE: Wish = Wish::Car { scope: Scope::All, duplicates: true };

    #[test]
    fn the_form_comes_from_the_query_or_the_header() {
        assert_eq!(asked(None, "format=raw"), Ok(Wish::Raw));
        assert_eq!(asked(Some(RAW), "format=car"), Ok(ALL), "the query goes first");
        assert_eq!(asked(Some("Application/vnd.ipld.RAW"), ""), Ok(Wish::Raw));
        let liked = "text/html, application/vnd.ipld.raw;q=0.5, application/vnd.ipld.car; version=1; order=dfs; dups=n";
        assert_eq!(asked(Some(liked), ""), Ok(ALL));
        assert_eq!(asked(Some(liked), "format=raw"), Ok(Wish::Raw));
        assert_eq!(asked(Some("application/vnd.ipld.raw;q=0"), ""), Err(Refusal::NoForm { accept: true }));
        assert_eq!(asked(Some("*/*"), ""), Err(Refusal::NoForm { accept: true }));
        assert_eq!(asked(None, ""), Err(Refusal::NoForm { accept: false }));
        assert!(matches!(asked(Some(RAW), "format=json"), Err(Refusal::NotServed(_))));
        for query in ["format=car&car-version=2", "format=car&car-order=weird", "format=car&car-dups=x"] {
            assert!(matches!(asked(None, query), Err(Refusal::NotServed(_))), "{query}");
        }
        assert!(asked(Some("application/vnd.ipld.car;version=2"), "").is_err());
        assert!(asked(Some("application/vnd.ipld.car;version=2"), "car-version=1").is_ok());
    }

    #[test]
    fn duplicates_are_asked_for_in_the_query_or_the_header() {
        assert_eq!(asked(Some("application/vnd.ipld.car; dups=y"), ""), Ok(ALL_TWICE));
        assert_eq!(asked(Some("application/vnd.ipld.car; Dups=\"y\""), "format=car"), Ok(ALL_TWICE));
        assert_eq!(asked(None, "format=car&car-dups=y"), Ok(ALL_TWICE));
        assert_eq!(asked(Some("application/vnd.ipld.car; dups=y"), "car-dups=n"), Ok(ALL));
        assert_eq!(asked(Some("application/vnd.ipld.raw; dups=y"), ""), Ok(Wish::Raw));
    }

    #[test]
    fn the_first_alternative_that_is_served_is_taken() {
        let listed = "application/vnd.ipld.car;order=foo, application/vnd.ipld.car;order=dfs;dups=y;q=0.5";
        assert_eq!(asked(Some(listed), ""), Ok(ALL_TWICE));
        let raw_last = "application/vnd.ipld.car;version=2, application/vnd.ipld.raw;q=0.1";
        assert_eq!(asked(Some(raw_last), ""), Ok(Wish::Raw));
        assert!(matches!(asked(Some(raw_last), "format=car"), Err(Refusal::NotServed(_))));
    }

    #[test]
    fn what_only_the_header_says_is_told_apart() {
        let by_header = |accept, query| read(Some(accept), query).unwrap().by_header;
        assert_eq!(by_header(RAW, ""), [("format", "raw".to_owned())]);
        assert_eq!(by_header(RAW, "format=raw"), []);
        let car = "application/vnd.ipld.car;order=dfs;dups=y";
        let said = |name, value: &str| (name, value.to_owned());
        assert_eq!(
            by_header(car, ""),
            [said("format", "car"), said("car-order", "dfs"), said("car-dups", "y")]
        );
        assert_eq!(by_header(car, "format=car&car-dups=n"), [said("car-order", "dfs")]);
        let overruled = |accept, query| read(Some(accept), query).unwrap().overruled;
        assert!(overruled(RAW, "format=car") && overruled(car, "format=car&car-dups=n"));
        assert!(!overruled(car, "format=car") && !overruled("*/*", "format=car") && !overruled(RAW, ""));
    }

    #[test]
    fn scopes_and_ranges_are_read() {
        let car = |query: &str| asked(None, &format!("format=car&{query}"));
        let of = |scope| Ok(Wish::Car { scope, duplicates: false });
        let entity = |from, to| of(Scope::Entity(ByteRange { from, to }));
        assert_eq!(car("dag-scope=block"), of(Scope::Block));
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
        assert_eq!(within(-9999, Some(-3), 10), Some((0, 8)));
        assert_eq!(within(0, Some(0), 10), Some((0, 1)));
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
