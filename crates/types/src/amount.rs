//! Amounts of BXM, the native coin: 18 decimals, mBXM = 1/1000 BXM (row B1).

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An amount of BXM in its smallest unit (10^-18 BXM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub U256);

/// Why an amount could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an amount looks like \"2 BXM\", \"0.5 BXM\" or \"40 mBXM\" with at most 18 decimals, got {0:?}")]
pub struct ParseAmountError(String);

const DECIMALS: usize = 18;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);

    /// `whole` BXM.
    #[must_use]
    pub fn from_bxm(whole: u64) -> Self {
        Self(U256::from(whole) * U256::from(1_000_000_000_000_000_000_u64))
    }

    /// `milli` thousandths of a BXM.
    #[must_use]
    pub fn from_mbxm(milli: u64) -> Self {
        Self(U256::from(milli) * U256::from(1_000_000_000_000_000_u64))
    }

    /// The sum, or nothing on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing when `other` is more.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:0>width$}", self.0, width = DECIMALS + 1);
        let (whole, fraction) = digits.split_at(digits.len() - DECIMALS);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        f.pad(&format!("{whole}{point}{fraction} BXM"))
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAmountError(text.to_owned());
        let (number, decimals) = match text.trim().to_ascii_lowercase() {
            lower if lower.ends_with("mbxm") => (lower[..lower.len() - 4].trim().to_owned(), DECIMALS - 3),
            lower if lower.ends_with("bxm") => (lower[..lower.len() - 3].trim().to_owned(), DECIMALS),
            _ => return Err(error()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > decimals || !digits_only(whole) || !digits_only(fraction) {
            return Err(error());
        }
        U256::from_str_radix(&format!("{whole}{fraction:0<decimals$}"), 10).map(Self).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_what_they_write() {
        for (text, shown) in
            [("2 BXM", "2 BXM"), ("40 mBXM", "0.04 BXM"), ("0.5bxm", "0.5 BXM"), ("0 BXM", "0 BXM")]
        {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.to_string(), shown);
            assert_eq!(shown.parse::<Amount>(), Ok(amount));
        }
        for wrong in ["", "2", "-1 BXM", "1.2.3 BXM", "0.0000000000000000001 BXM", "BXM", "1,5 BXM"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
    }
}
