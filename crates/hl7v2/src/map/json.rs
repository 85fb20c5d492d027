//! A JSON value that is built element by element: decimals keep the digits that were sent, keys their order.

use std::fmt::Write;

/// A JSON value without null: what is not there is left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// A text.
    Text(String),
    /// A number, in JSON's own form.
    Number(String),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Json>),
    /// An object, its members in order.
    Object(Vec<(String, Json)>),
}

impl Default for Json {
    fn default() -> Self {
        Self::Object(Vec::new())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Json {
    /// An object of the members that are not empty.
    #[must_use]
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        let members = members.into_iter().filter(|(_, value)| !value.is_empty());
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) | Self::Number(text) => text.is_empty(),
            Self::Bool(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Object(members) => members.is_empty(),
        }
    }

    /// A member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether there is such a member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A member that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Puts a member, unless it is empty or there is one already: the first that fills an element stays.
    pub fn put(&mut self, name: &str, value: impl Into<Json>) {
        let value = value.into();
        if !value.is_empty() && !self.has(name) {
            self.replace(name, value);
        }
    }

    /// Puts a member in place of the one that is there.
    pub fn replace(&mut self, name: &str, value: impl Into<Json>) {
        let value = value.into();
        if let Self::Object(members) = self {
            match members.iter_mut().find(|(key, _)| key == name) {
                Some((_, old)) => *old = value,
                None => members.push((name.to_owned(), value)),
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(key, _)| key != name);
        }
    }

    /// Appends to a list member, unless the value is empty or in the list already.
    pub fn push(&mut self, name: &str, value: impl Into<Json>) {
        let value = value.into();
        if value.is_empty() {
            return;
        }
        if let Self::List(items) = self.member(name, true)
            && !items.contains(&value)
        {
            items.push(value);
        }
    }

    /// The member, made where it is not there.
    fn member(&mut self, name: &str, list: bool) -> &mut Json {
        if !matches!(self, Self::Object(_)) {
            *self = Self::default();
        }
        let Self::Object(members) = self else { return self };
        let at = members.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
            let empty = if list { Self::List(Vec::new()) } else { Self::default() };
            members.push((name.to_owned(), empty));
            members.len() - 1
        });
        &mut members[at].1
    }

    /// Sets the element that `path` leads to. What is there already stays; true if something was set.
    pub(crate) fn set(&mut self, path: &[Step], value: Json) -> bool {
        if value.is_empty() {
            return false;
        }
        let Some((step, rest)) = path.split_first() else { return false };
        if rest.is_empty() && step.reach == Reach::Only {
            let free = !self.has(&step.name);
            self.put(&step.name, value);
            return free;
        }
        let inner = self.member(&step.name, step.reach != Reach::Only);
        if step.reach == Reach::Only {
            return inner.set(rest, value);
        }
        let Self::List(items) = inner else { return false };
        if rest.is_empty() {
            let new = !items.contains(&value);
            if new {
                items.push(value);
            }
            return new;
        }
        if step.reach == Reach::New || items.is_empty() {
            let url = step.url.as_deref().map(|url| ("url".to_owned(), Self::from(url)));
            items.push(Self::Object(url.into_iter().collect()));
        }
        items.last_mut().is_some_and(|last| last.set(rest, value))
    }

    /// Writes it as JSON text.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_text(text, out),
            Self::Number(number) => out.push_str(number),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    out.push(if at == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Self::Object(members) => {
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push(if at == 0 { '{' } else { ',' });
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if members.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for one in text.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // FHIR allows no other control characters in a string.
            one if one < ' ' || one == '\u{7f}' => out.push(' '),
            one if matches!(one, '\u{2028}' | '\u{2029}') => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(one));
            }
            one => out.push(one),
        }
    }
    out.push('"');
}

/// How a step reaches into a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No list: `name`.
    Only,
    /// A new item: `name*`.
    New,
    /// The last item, or a first one: `name+`.
    Last,
}

/// A step of a path: `name`, `name*`, `name+`, `extension*{url}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) reach: Reach,
    /// The url of a new extension.
    pub(crate) url: Option<String>,
}

/// Reads a path: steps with dots between, urls in braces. A url without a scheme is one of HL7's core extensions, one
/// that begins with `=` stands as it is.
pub(crate) fn path(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['.', '{']).unwrap_or(rest.len());
        let (name, mut after) = rest.split_at(end);
        let mut url = None;
        if let Some(inner) = after.strip_prefix('{') {
            let (text, behind) = inner.split_once('}').unwrap_or((inner, ""));
            url = Some(match text.strip_prefix('=') {
                Some(own) => own.to_owned(),
                None if text.contains(':') => text.to_owned(),
                None => format!("http://hl7.org/fhir/StructureDefinition/{text}"),
            });
            after = behind;
        }
        let (name, reach) = match (name.strip_suffix('*'), name.strip_suffix('+')) {
            (Some(name), _) => (name, Reach::New),
            (_, Some(name)) => (name, Reach::Last),
            _ => (name, Reach::Only),
        };
        steps.push(Step { name: name.to_owned(), reach, url });
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &Json) -> String {
        let mut out = String::new();
        json.write(&mut out);
        out
    }

    #[test]
    fn paths_lead_into_lists_and_extensions() {
        let mut json = Json::default();
        for (to, value) in
            [("name*.family", "A"), ("name+.given*", "B"), ("name+.family", "C"), ("name*.family", "D")]
        {
            json.set(&path(to), value.into());
        }
        json.set(&path("extension*{patient-religion}.valueCode"), "x".into());
        json.set(&path("extension*{=code}.valueCode"), "y".into());
        let expected = r#"{"name":[{"family":"A","given":["B"]},{"family":"D"}],"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-religion","valueCode":"x"},{"url":"code","valueCode":"y"}]}"#;
        assert_eq!(text(&json), expected);
        assert!(!json.set(&path("a.b"), "".into()) && !json.has("a"));
    }

    #[test]
    fn text_is_escaped_and_numbers_keep_their_digits() {
        let json = Json::object([
            ("a", "q\"\\\n\u{1}\u{2028}".into()),
            ("n", Json::Number("1.50".into())),
            ("e", Json::default()),
        ]);
        assert_eq!(text(&json), r#"{"a":"q\"\\\n \u2028","n":1.50}"#);
    }
}
