//! The two wire types of Protocol Buffers that bitswap and DAG-PB use, read in place.

use crate::varint;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers, in their order. It ends after the first error.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        // Negative 32-bit numbers, such as a priority, are written in ten bytes, which no multiformats varint has.
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f).wrapping_shl(u32::try_from(7 * index).unwrap_or(0));
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err("a number is cut or too long")
    }

    fn read(&mut self) -> Result<(u64, Field<'a>), &'static str> {
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| "a field is cut")?;
                Field::Bytes(self.take(length)?)
            }
            1 => {
                self.take(8)?;
                Field::Number(0)
            }
            5 => {
                self.take(4)?;
                Field::Number(0)
            }
            _ => return Err("it has a field of an unknown wire type"),
        };
        Ok((key >> 3, field))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("a field is cut")?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

/// Appends a number; zero, the default, is not written.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        varint::put(out, field << 3);
        varint::put(out, value);
    }
}

/// Appends bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint::put(out, field << 3 | 2);
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
