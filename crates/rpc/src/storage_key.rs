//! A storage slot as clients write it: hexadecimal of any length up to 32 bytes.

use crate::fault::Fault;
use alloy_primitives::U256;
use serde::Deserialize;

/// Digits of the longest key.
const DIGITS_MAX: usize = 64;

/// A slot's number as a client wrote it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StorageKey(String);

impl StorageKey {
    /// The slot.
    pub(crate) fn slot(&self) -> Result<U256, Fault> {
        let invalid = |words: &str| Fault::InvalidParams(format!("{words}: {:?}", self.shown()));
        let digits = self.0.strip_prefix("0x").or_else(|| self.0.strip_prefix("0X")).unwrap_or(&self.0);
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid("invalid hex in storage key"));
        }
        if digits.len() > DIGITS_MAX {
            return Err(invalid("storage key too long (want at most 32 bytes)"));
        }
        if digits.is_empty() {
            return Ok(U256::ZERO);
        }
        U256::from_str_radix(digits, 16).map_err(|_| invalid("invalid hex in storage key"))
    }

    /// The key in an answer: 32 bytes as they were asked for, a shorter one as a number, as geth has it.
    pub(crate) fn written(&self) -> String {
        let long = self.0.len() == DIGITS_MAX + 2;
        if long {
            self.0.to_lowercase()
        } else {
            self.slot().map_or_else(|_| self.shown(), |slot| format!("{slot:#x}"))
        }
    }

    fn shown(&self) -> String {
        self.0.chars().take(DIGITS_MAX + 8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_geth_reads_them() {
        let read = |key: &str| StorageKey(key.to_owned()).slot().map_err(|fault| fault.to_string());
        assert_eq!(read("0x0").unwrap(), U256::ZERO);
        assert_eq!(read("0x").unwrap(), U256::ZERO);
        assert_eq!(read("0x00ff").unwrap(), U256::from(255));
        assert!(read("0xasdf").unwrap_err().starts_with("invalid hex in storage key"));
        assert!(read(&format!("0x{}", "0".repeat(65))).unwrap_err().starts_with("storage key too long"));
        assert_eq!(StorageKey("0x00".to_owned()).written(), "0x0");
        let long = format!("0x{:064x}", 7);
        assert_eq!(StorageKey(long.clone()).written(), long);
    }
}
