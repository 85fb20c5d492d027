//! A resource's text: taken apart when it is stored, put together with id, version and time when it is read.
//!
//! What the server says of a resource (`id`, `meta.versionId`, `meta.lastUpdated`) is not stored in the text, so that all
//! the work on a text is done before its version is known. Everything else comes back character by character, in order.

use crate::{StoreError, value::date::instant};
use bxp_compression::{compressed, decompress};
use sonic_rs::{LazyValue, to_object_iter};

/// The shortest text that is worth compressing, in bytes.
const COMPRESSED_FROM: usize = 200;
/// The largest resource in bytes of JSON, which bounds what decompression may give.
pub(crate) const BYTES_MAX: usize = 64 << 20;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// A resource's text as it is stored.
#[derive(Clone, Debug)]
pub struct Body(pub(crate) Vec<u8>);

impl Body {
    /// Takes the text of a resource, without spaces; `resourceType`, `id`, `meta.versionId` and `meta.lastUpdated` are
    /// left out.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when it is no JSON object or too large.
    pub fn new(text: &str) -> Result<Self, StoreError> {
        let unusable = |_| StoreError::Unusable("a resource must be a JSON object");
        let (mut meta, mut members) = (String::new(), String::with_capacity(text.len()));
        for member in to_object_iter(text) {
            let (name, value) = member.map_err(unusable)?;
            match &*name {
                "resourceType" | "id" => {}
                "meta" if value.as_raw_str().starts_with('{') => {
                    let own = |name: &str| name == "versionId" || name == "lastUpdated";
                    for member in to_object_iter(value.as_raw_str()) {
                        let (name, value) = member.map_err(unusable)?;
                        if !own(name.trim_start_matches('_')) {
                            push(&mut meta, &name, &value)?;
                        }
                    }
                }
                "meta" => {}
                name => push(&mut members, name, &value)?,
            }
        }
        let length = u32::try_from(meta.len()).map_err(|_| StoreError::Unusable("meta is too large"))?;
        let text = [&length.to_le_bytes(), meta.as_bytes(), members.as_bytes()].concat();
        if text.len() > BYTES_MAX {
            return Err(StoreError::Unusable("a resource has at most 64 MiB"));
        }
        Ok(Self(pack(&text)))
    }
}

fn push(text: &mut String, name: &str, value: &LazyValue<'_>) -> Result<(), StoreError> {
    let encode = |_| StoreError::Unusable("a resource cannot be encoded");
    text.push(',');
    // The names of elements are letters, of which none is escaped.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        text.push('"');
        text.push_str(name);
        text.push('"');
    } else {
        text.push_str(&sonic_rs::to_string(name).map_err(encode)?);
    }
    text.push(':');
    text.push_str(value.as_raw_str());
    Ok(())
}

fn pack(text: &[u8]) -> Vec<u8> {
    let shorter = |frame: &[u8], length: u32| {
        let stored = || [&[ZSTD], length.to_le_bytes().as_slice(), frame].concat();
        (frame.len() + 5 < text.len()).then(stored)
    };
    if let (true, Ok(length)) = (text.len() >= COMPRESSED_FROM, u32::try_from(text.len()))
        && let Ok(Some(stored)) = compressed(text, |frame| shorter(frame, length))
    {
        return stored;
    }
    [&[PLAIN], text].concat()
}

fn unpack(stored: &[u8]) -> Result<Vec<u8>, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged("a resource's text");
    match stored.split_first() {
        Some((&PLAIN, text)) => Ok(text.to_vec()),
        Some((&ZSTD, rest)) => {
            let (length, packed) = rest.split_first_chunk::<4>().ok_or(DAMAGED)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if length > BYTES_MAX {
                return Err(DAMAGED);
            }
            decompress(packed, length).map_err(|_| DAMAGED)
        }
        _ => Err(DAMAGED),
    }
}

/// The whole text of a stored version.
pub(crate) fn text(
    stored: &[u8],
    kind: &str,
    id: &str,
    version: i64,
    updated_ms: i64,
) -> Result<String, StoreError> {
    const DAMAGED: StoreError = StoreError::Damaged("a resource's text");
    let unpacked = unpack(stored)?;
    let (length, rest) = unpacked.split_first_chunk::<4>().ok_or(DAMAGED)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| DAMAGED)?;
    let rest = std::str::from_utf8(rest).map_err(|_| DAMAGED)?;
    let (meta, members) = rest.split_at_checked(length).ok_or(DAMAGED)?;
    let mut text = String::with_capacity(rest.len() + 160);
    text.push_str("{\"resourceType\":\"");
    text.push_str(kind);
    text.push_str("\",\"id\":\"");
    text.push_str(id);
    text.push_str("\",\"meta\":{\"versionId\":\"");
    text.push_str(&version.to_string());
    text.push_str("\",\"lastUpdated\":\"");
    text.push_str(&instant(updated_ms));
    text.push('"');
    text.push_str(meta);
    text.push('}');
    text.push_str(members);
    text.push('}');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_in_order_with_what_the_server_says() {
        let long = "x".repeat(500);
        let sent = format!(
            r#"{{"resourceType":"Observation","meta":{{"versionId":"9","tag":[{{"code":"t"}}]}},"z":1.50,"id":"old","a":"{long}"}}"#
        );
        let body = Body::new(&sent).unwrap();
        assert!(body.0.len() < 120, "it is compressed");
        let read = text(&body.0, "Observation", "new", 3, 0).unwrap();
        let expected = format!(
            r#"{{"resourceType":"Observation","id":"new","meta":{{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z","tag":[{{"code":"t"}}]}},"z":1.50,"a":"{long}"}}"#
        );
        assert_eq!(read, expected);
    }

    #[test]
    fn a_name_comes_back_escaped_as_it_was() {
        let sent = r#"{"resourceType":"Basic","_a9":1,"":2,"b\"\\\n":{"c\"":3},"ü/\u0001":4}"#;
        let read = text(&Body::new(sent).unwrap().0, "Basic", "1", 1, 0).unwrap();
        let (_, members) = read.split_once("Z\"},").unwrap();
        assert_eq!(members, sent.split_once(',').unwrap().1);
    }

    #[test]
    fn damage_is_no_panic() {
        let body = Body::new(&format!(r#"{{"a":"{}"}}"#, "y".repeat(900))).unwrap();
        for end in 0..body.0.len() {
            assert!(text(&body.0[..end], "Basic", "1", 1, 0).is_err());
        }
        assert!(text(&[ZSTD, 255, 255, 255, 255, 0], "Basic", "1", 1, 0).is_err());
        for no_object in ["[]", "1", "", r#"{"a":1"#] {
            assert!(Body::new(no_object).is_err(), "{no_object}");
        }
    }
}
