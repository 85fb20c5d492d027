//! ED and RP to Attachment, and base64.

use crate::{
    Repetition,
    map::{context::Context, json::Json},
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |number: usize| u32::from(chunk.get(number).copied().unwrap_or_default());
        let group = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let index = usize::try_from((group >> (18 - 6 * place)) & 63).unwrap_or_default();
            let letter = if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' };
            text.push(letter);
        }
    }
    text
}

/// Whether a text is base64, without line breaks.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// An Attachment of an ED (`kind` "ED") or RP.
pub(crate) fn attachment(context: &mut Context<'_>, one: &Repetition<'_>, kind: &str) -> Option<Json> {
    let mut attachment = Json::object([("contentType", media_type(one).into())]);
    if kind == "RP" {
        let url: String = one.component(1).split_whitespace().collect();
        if url.is_empty() {
            return None;
        }
        attachment.put("url", url);
        return Some(attachment);
    }
    let data = one.component(5);
    let encoded: String = match one.component(4).to_uppercase().as_str() {
        "BASE64" => data.split_whitespace().collect(),
        "HEX" => hex::decode(data.split_whitespace().collect::<String>())
            .map(|bytes| base64(&bytes))
            .unwrap_or_default(),
        _ => base64(data.as_bytes()),
    };
    if encoded.is_empty() || !is_base64(&encoded) {
        context.note_here("data that is not encoded as ED.4 says");
        return None;
    }
    attachment.put("data", encoded);
    Some(attachment)
}

/// The media type of ED.2 and ED.3, or RP.3 and RP.4 (HL7 tables 0191 and 0291).
fn media_type(one: &Repetition<'_>) -> String {
    let (kind, subtype) = if one.component(4).eq_ignore_ascii_case("base64") || !one.component(5).is_empty() {
        (one.component(2), one.component(3))
    } else {
        (one.component(3), one.component(4))
    };
    let known = match subtype.to_uppercase().as_str() {
        "PDF" => "application/pdf",
        "JPEG" | "JPG" => "image/jpeg",
        "PNG" => "image/png",
        "GIF" => "image/gif",
        "TIFF" | "TIF" => "image/tiff",
        "PICT" => "image/x-pict",
        "DICOM" => "application/dicom",
        "HTML" => "text/html",
        "RTF" => "application/rtf",
        "XML" => "application/xml",
        "PLAIN" => "text/plain",
        "SGML" => "text/sgml",
        "BASIC" => "audio/basic",
        "X-HL7-CDA-LEVEL-ONE" | "X-HL7-CDA-LEVEL-TWO" => "application/hl7-cda+xml",
        "OCTET-STREAM" => "application/octet-stream",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let main = match kind.to_uppercase().as_str() {
        "IM" | "IMAGE" | "NS" => "image",
        "AU" | "AUDIO" => "audio",
        "TEXT" | "FT" | "SD" => "text",
        "AP" | "APPLICATION" => "application",
        "VIDEO" => "video",
        "MULTIPART" => "multipart",
        _ => return String::new(),
    };
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
    if subtype.is_empty() || !subtype.bytes().all(safe) {
        String::new()
    } else {
        format!("{main}/{}", subtype.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let table = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (text, encoded) in table {
            assert_eq!(base64(text.as_bytes()), encoded);
            assert!(is_base64(encoded));
        }
        assert!(!is_base64("Zg=") && !is_base64("Zg =") && !is_base64("===="));
    }
}
