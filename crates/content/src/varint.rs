//! Unsigned varints of the multiformats: seven bits a byte, least first, at most nine bytes, never longer than needed.

/// The most bytes of a varint by the multiformats' specification.
pub(crate) const BYTES_MAX: usize = 9;

/// Why bytes are no varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// They end within it.
    Cut,
    /// It has more than nine bytes, or more than it needs.
    Overlong,
}

/// Appends `value`, which is below 2^63.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits always fit a byte.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The varint that `bytes` begin with, and what follows it.
pub(crate) fn take(bytes: &[u8]) -> Result<(u64, &[u8]), Wrong> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(BYTES_MAX) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let minimal = byte != 0 || index == 0;
            let rest = bytes.get(index + 1..).unwrap_or_default();
            return if minimal { Ok((value, rest)) } else { Err(Wrong::Overlong) };
        }
    }
    Err(if bytes.len() >= BYTES_MAX { Wrong::Overlong } else { Wrong::Cut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_specifications_examples() {
        for (value, bytes) in [
            (1, &[0x01][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (255, &[0xff, 0x01]),
            (300, &[0xac, 0x02]),
            (16384, &[0x80, 0x80, 0x01]),
        ] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(take(bytes), Ok((value, &[][..])));
        }
        assert_eq!(take(&[]), Err(Wrong::Cut));
        assert_eq!(take(&[0x80]), Err(Wrong::Cut));
        assert_eq!(take(&[0x81, 0x00]), Err(Wrong::Overlong), "longer than needed");
        assert_eq!(take(&[0xff; 9]), Err(Wrong::Overlong));
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(value in 0_u64..1 << 63, rest in proptest::collection::vec(any::<u8>(), 0..4)) {
            let mut out = Vec::new();
            put(&mut out, value);
            out.extend(&rest);
            prop_assert_eq!(take(&out), Ok((value, rest.as_slice())));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let _ = take(&bytes);
        }
    }
}
