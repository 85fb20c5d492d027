//! The key of a private swarm, in the file format that Kubo and Helia use.

use crate::ContentError;
use bxp_types::Secret;
use std::fmt::Write as _;

const FORM: &str = "/key/swarm/psk/1.0.0/";
const BASE: &str = "/base16/";
const BYTES: usize = 32;

/// Reads the text of a swarm key file.
///
/// # Errors
/// [`ContentError::SwarmKey`], which tells the line and nothing of the key.
pub fn read_swarm_key(text: &str) -> Result<Secret<[u8; BYTES]>, ContentError> {
    let wrong = |what: &str| Err(ContentError::SwarmKey(what.to_owned()));
    let mut lines = text.lines().map(str::trim_end);
    if lines.next() != Some(FORM) {
        return wrong("line 1 is not the format's name");
    }
    if lines.next() != Some(BASE) {
        return wrong("line 2 is not /base16/, the one encoding that is read here");
    }
    let Some(key) = lines.next().and_then(from_hex) else {
        return wrong("line 3 is not 64 hexadecimal digits");
    };
    if lines.any(|line| !line.is_empty()) {
        return wrong("something follows line 3");
    }
    Ok(Secret::new(key))
}

/// The text of a file with a new random key.
#[must_use]
pub fn new_swarm_key() -> Secret<String> {
    let key: [u8; BYTES] = rand::random();
    let mut text = format!("{FORM}\n{BASE}\n");
    for byte in key {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    Secret::new(text)
}

fn from_hex(line: &str) -> Option<[u8; BYTES]> {
    let mut key = [0; BYTES];
    if line.len() != 2 * BYTES || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_read_and_a_wrong_file_is_told() {
        let text = new_swarm_key();
        let key = read_swarm_key(text.expose()).unwrap();
        let libp2p: libp2p::pnet::PreSharedKey = text.expose().parse().unwrap();
        assert_eq!(libp2p, libp2p::pnet::PreSharedKey::new(*key.expose()), "as libp2p reads it");
        let told = |text: &str| read_swarm_key(text).unwrap_err().to_string();
        assert!(told("").starts_with("line 1"));
        assert!(told("/key/swarm/psk/1.0.0/\n/base64/\n").starts_with("line 2"));
        assert!(told("/key/swarm/psk/1.0.0/\n/base16/\nabc\n").starts_with("line 3"));
        assert!(told(&format!("{}more\n", text.expose())).starts_with("something follows"));
    }
}
