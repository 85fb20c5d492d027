//! Whether an answer is the right one.

use serde_json::Value;

/// How closely an answer is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Equal, except for the words of an error, which are each client's own.
    Exact,
    /// Of the same shape: what the test calls `speconly`.
    Shape,
}

/// What is wrong with `answer`.
pub(super) fn compare(expected: &Value, answer: &Value, strictness: Strictness) -> Option<String> {
    match (expected.get("error"), answer.get("error")) {
        (Some(wanted), Some(got)) => {
            // The words differ between clients, and some add data; code and the data asked for are what programs go by.
            let data = wanted.get("data").is_none_or(|data| got.get("data") == Some(data));
            let same = wanted["code"] == got["code"] && data;
            let enough = same || strictness == Strictness::Shape;
            (!enough).then(|| format!("error {got} instead of {wanted}"))
        }
        (None, None) => {
            let (wanted, got) = (&expected["result"], &answer["result"]);
            match strictness {
                Strictness::Exact => difference("result", wanted, got),
                Strictness::Shape => misshapen("result", wanted, got),
            }
        }
        (None, Some(got)) => Some(format!("error {got} instead of a result")),
        (Some(wanted), None) => Some(format!("{} instead of error {wanted}", shown(&answer["result"]))),
    }
}

/// The first place where two values differ.
fn difference(place: &str, wanted: &Value, got: &Value) -> Option<String> {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            let missing = wanted.keys().find(|key| !got.contains_key(*key));
            if let Some(key) = missing {
                return Some(format!("{place}.{key} is missing"));
            }
            if let Some(key) = got.keys().find(|key| !wanted.contains_key(*key)) {
                return Some(format!("{place}.{key} is too much"));
            }
            wanted.iter().find_map(|(key, value)| difference(&format!("{place}.{key}"), value, &got[key]))
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => {
            let mut pairs = wanted.iter().zip(got).enumerate();
            pairs.find_map(|(index, (wanted, got))| difference(&format!("{place}[{index}]"), wanted, got))
        }
        _ if wanted == got => None,
        _ => Some(format!("{place} is {} instead of {}", shown(got), shown(wanted))),
    }
}

/// The first place where `got` lacks what `wanted` has, or has a value of another kind.
fn misshapen(place: &str, wanted: &Value, got: &Value) -> Option<String> {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            wanted.iter().find_map(|(key, value)| match got.get(key) {
                Some(got) => misshapen(&format!("{place}.{key}"), value, got),
                // Maps by address or nonce have other keys in another client.
                None if key.starts_with("0x") || key.bytes().all(|digit| digit.is_ascii_digit()) => None,
                None => Some(format!("{place}.{key} is missing")),
            })
        }
        (Value::Array(wanted), Value::Array(got)) => {
            let mut pairs = wanted.iter().zip(got).enumerate();
            pairs.find_map(|(index, (wanted, got))| misshapen(&format!("{place}[{index}]"), wanted, got))
        }
        (Value::Null, _) | (_, Value::Null) => None,
        _ if std::mem::discriminant(wanted) == std::mem::discriminant(got) => None,
        _ => Some(format!("{place} is {} and no value like {}", shown(got), shown(wanted))),
    }
}

fn shown(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = value.to_string();
    if text.len() > LONGEST { format!("{}...", text.chars().take(LONGEST).collect::<String>()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_exact_answer_differs_in_nothing_but_an_errors_words() {
        let exact = |wanted, got| compare(&wanted, &got, Strictness::Exact);
        assert_eq!(exact(json!({ "result": { "a": [1] } }), json!({ "result": { "a": [1] } })), None);
        let found = exact(json!({ "result": { "a": [1] } }), json!({ "result": { "a": [2] } })).unwrap();
        assert_eq!(found, "result.a[0] is 2 instead of 1");
        assert!(
            exact(json!({ "result": {} }), json!({ "result": { "b": 1 } })).unwrap().contains("too much")
        );
        let error = |code, words| json!({ "error": { "code": code, "message": words } });
        assert_eq!(exact(error(3, "a"), error(3, "b")), None);
        assert!(exact(error(3, "a"), error(4, "a")).is_some());
        assert!(exact(error(3, "a"), json!({ "result": 1 })).is_some());
    }

    #[test]
    fn a_shape_is_fields_and_kinds() {
        let shape = |wanted, got| compare(&wanted, &got, Strictness::Shape);
        assert_eq!(
            shape(json!({ "result": { "a": "0x1" } }), json!({ "result": { "a": "0x2", "b": 1 } })),
            None
        );
        assert!(shape(json!({ "result": { "a": "0x1" } }), json!({ "result": {} })).is_some());
        assert!(shape(json!({ "result": { "a": "0x1" } }), json!({ "result": { "a": 1 } })).is_some());
    }
}
