//! JSON with keys in the order in which they are written, so that a seed gives the same bytes everywhere.

/// A JSON value in the making.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Left out of the object or list in which it stands.
    Absent,
    Flag(bool),
    /// A number's digits.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(&'static str, Node)>),
}

/// An object with its keys in order; a value that is `None` leaves its key out.
macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::generate::node::Node::Object(vec![$(($key, $crate::generate::node::Node::from($value))),*])
    };
}
pub(super) use object;

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i32> for Node {
    fn from(number: i32) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Vec<Node>> for Node {
    fn from(list: Vec<Node>) -> Self {
        Self::List(list)
    }
}

impl<const N: usize> From<[Node; N]> for Node {
    fn from(list: [Node; N]) -> Self {
        Self::List(list.into())
    }
}

impl<T: Into<Node>> From<Option<T>> for Node {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl Node {
    /// An object with one more key at its end.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Self>) -> Self {
        if let Self::Object(pairs) = &mut self {
            pairs.push((key, value.into()));
        }
        self
    }

    /// `value` / 10^`decimals` as a decimal with exactly that many digits after the point.
    pub(super) fn decimal(value: i32, decimals: usize) -> Self {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let sign = if value < 0 { "-" } else { "" };
        let point = if decimals == 0 { "" } else { "." };
        Self::Number(format!("{sign}{whole}{point}{fraction}"))
    }

    /// Appends the JSON text.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Absent => out.push_str("null"),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().filter(|item| **item != Self::Absent).enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(pairs) => {
                out.push('{');
                for (index, (key, value)) in
                    pairs.iter().filter(|(_, value)| *value != Self::Absent).enumerate()
                {
                    out.push_str(if index == 0 { "\"" } else { ",\"" });
                    out.push_str(key);
                    out.push_str("\":");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_write_json_in_order() {
        let node = object! { "z": 1, "a": [Node::decimal(-5, 2), "x\"\n\u{1}".into()], "none": None::<i32>, "b": true };
        let mut text = String::new();
        node.write(&mut text);
        assert_eq!(text, r#"{"z":1,"a":[-0.05,"x\"\n\u0001"],"b":true}"#);
    }
}
