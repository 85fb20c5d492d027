//! What separates the parts of a message, as its header declares it.

use crate::Hl7Error;

/// The separators that MSH-1 and MSH-2 declare (HL7 2.8 section 2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separators {
    /// MSH-1, usually `|`.
    pub field: char,
    /// Usually `^`.
    pub component: char,
    /// Usually `~`.
    pub repetition: char,
    /// Usually `\`; a message may do without.
    pub escape: Option<char>,
    /// Usually `&`; a message may do without.
    pub subcomponent: Option<char>,
}

impl Separators {
    pub(super) fn read(header: &str) -> Result<Self, Hl7Error> {
        let wrong = |field, what| Hl7Error::Separators { field, what };
        let mut after = header.strip_prefix("MSH").ok_or(Hl7Error::NoHeader)?.chars();
        let field = after.next().ok_or(wrong(1, "the field separator is missing"))?;
        if !is_separator(field) {
            return Err(wrong(1, "a separator is one printable ASCII character that is no letter or digit"));
        }
        let encoding: Vec<char> =
            after.take_while(|one| *one != field && !matches!(one, '\r' | '\n')).collect();
        let [component, repetition, rest @ ..] = encoding.as_slice() else {
            return Err(wrong(
                2,
                "must name at least the component and the repetition separator, usually ^~\\&",
            ));
        };
        if rest.len() > 3 {
            return Err(wrong(2, "has more than five characters"));
        }
        let separators = Self {
            field,
            component: *component,
            repetition: *repetition,
            escape: rest.first().copied(),
            subcomponent: rest.get(1).copied(),
        };
        let mut all = encoding.clone();
        all.push(field);
        if !encoding.iter().all(|one| is_separator(*one)) {
            return Err(wrong(2, "a separator is one printable ASCII character that is no letter or digit"));
        }
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        if all.len() == before { Ok(separators) } else { Err(wrong(2, "two separators are the same")) }
    }
}

fn is_separator(one: char) -> bool {
    one.is_ascii_graphic() && !one.is_ascii_alphanumeric()
}
