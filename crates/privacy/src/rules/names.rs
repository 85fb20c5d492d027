//! The names that the rules speak of, as numbers: a name in a resource is looked up once, and compared as a number after.

use super::{RemovedAs, lookup::Lookup};
use crate::IdentifierKind;
use std::collections::{BTreeMap, BTreeSet};

/// The name of a member, or the URL of an extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name(pub(super) u16);

impl Name {
    /// Any name that no rule speaks of. It has no number of its own: nothing is asked of it.
    pub(crate) const UNKNOWN: Self = Self(0);
}

macro_rules! asked {
    ($($constant:ident $text:literal)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($constant),* }

        /// Names that the split itself asks for.
        #[allow(missing_docs)]
        impl Name {
            $(pub(crate) const $constant: Self = Self(Place::$constant as u16 + 1);)*
        }

        /// Their texts, in the order of their numbers.
        const ASKED: &[&str] = &[$($text),*];
    };
}

asked! {
    CODE "code"
    CODING "coding"
    COMPARATOR "comparator"
    COMPONENT "component"
    CONTAINED "contained"
    COUNTRY "country"
    ID "id"
    POSTAL_CODE "postalCode"
    REFERENCE "reference"
    RESOURCE_TYPE "resourceType"
    STATE "state"
    SYSTEM "system"
    TYPE "type"
    UNIT "unit"
    URL "url"
    VALUE "value"
}

/// All names with numbers, and how an unlisted member of each is counted.
#[derive(Debug)]
pub(crate) struct Names(Lookup<RemovedAs>);

impl Names {
    /// Of the names of listed members and of those that are counted as something.
    pub(super) fn new(listed: impl Iterator<Item = String>, removed: &BTreeMap<String, RemovedAs>) -> Self {
        // What stands beside a primitive value, under its name behind a line, is counted as the value is (R4, 2.6.2.3).
        let beside = removed.keys().map(|name| format!("_{name}"));
        let others: BTreeSet<String> = listed.chain(removed.keys().cloned()).chain(beside).collect();
        let asked = ASKED.iter().map(|name| (*name).to_owned());
        let others = others.into_iter().filter(|name| !ASKED.contains(&name.as_str()));
        let counted = |name: String| {
            let kind = removed.get(name.strip_prefix('_').unwrap_or(&name)).copied();
            (name.into_boxed_str(), kind.unwrap_or(RemovedAs::Kind(IdentifierKind::Other)))
        };
        Self(Lookup::new(asked.chain(others).map(counted)))
    }

    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Name {
        let place = self.0.get(name).map(|(place, _)| place);
        place.and_then(|place| u16::try_from(place + 1).ok()).map_or(Name::UNKNOWN, Name)
    }

    #[inline]
    pub(crate) fn removed_as(&self, name: Name) -> RemovedAs {
        let place = usize::from(name.0).checked_sub(1);
        place.and_then(|place| self.0.value(place)).copied().unwrap_or(RemovedAs::Kind(IdentifierKind::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_asked_for_have_their_numbers() {
        let removed = BTreeMap::from([("birthDate".to_owned(), RemovedAs::Kind(IdentifierKind::Date))]);
        let names = Names::new(["gender", "system"].map(str::to_owned).into_iter(), &removed);
        assert_eq!(names.get(b"system"), Name::SYSTEM);
        assert_eq!(names.get(b"value"), Name::VALUE);
        assert_eq!(names.get(b"code"), Name::CODE);
        assert_eq!(names.get(b"Jane"), Name::UNKNOWN);
        assert_ne!(names.get(b"gender"), Name::UNKNOWN);
        for (name, kind) in [
            ("birthDate", IdentifierKind::Date),
            ("_birthDate", IdentifierKind::Date),
            ("gender", IdentifierKind::Other),
            ("Jane", IdentifierKind::Other),
        ] {
            assert_eq!(names.removed_as(names.get(name.as_bytes())), RemovedAs::Kind(kind), "{name}");
        }
    }
}
