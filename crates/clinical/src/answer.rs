//! Answers of one node to another: `0`, then what was asked for; or `1 || reason in UTF-8`.
//!
//! Key release, erasure and keeping answer in this form. What comes from a peer is adversarial: a reason is cut short, and
//! goes into errors and logs without control characters.

use bytes::Bytes;

/// The first byte of a good answer.
pub(crate) const DONE: u8 = 0;
const REFUSED: u8 = 1;
const REASON_BYTES_MAX: usize = 256;

/// The answer that refuses, and says why.
pub(crate) fn refused(reason: &str) -> Bytes {
    [&[REFUSED], reason.as_bytes()].concat().into()
}

/// What follows in a good answer, or the other's reason.
pub(crate) fn read(answer: &[u8]) -> Result<&[u8], String> {
    match answer.split_first() {
        Some((&DONE, rest)) => Ok(rest),
        Some((&REFUSED, reason)) => {
            let reason = String::from_utf8_lossy(&reason[..reason.len().min(REASON_BYTES_MAX)]);
            Err(reason.chars().filter(|character| !character.is_control()).collect())
        }
        _ => Err(malformed()),
    }
}

/// Why an answer that nobody understands is none.
pub(crate) fn malformed() -> String {
    "the answer is malformed".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_pinned_and_reasons_are_cut_short() {
        assert_eq!(&refused("no")[..], b"\x01no");
        assert_eq!(read(&[DONE, 1, 2]), Ok(&[1, 2][..]));
        assert_eq!(read(b"\x01not\npermitted"), Err("notpermitted".to_owned()));
        let long = "x".repeat(REASON_BYTES_MAX + 1);
        assert_eq!(read(&refused(&long)), Err(long[1..].to_owned()));
        assert_eq!((read(&[]), read(&[2])), (Err(malformed()), Err(malformed())));
    }
}
