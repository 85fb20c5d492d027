//! Where a data request stands, by the paper's names.

use crate::DataRequest;
use std::fmt;

/// `DataRequest.State` of the white paper's figure 2. (The ABI carries it as a number without names.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestState {
    /// Open, nothing delivered.
    Created,
    /// At least one delivery, not everything settled.
    Locked,
    /// Everything settled and refunded.
    Inactive,
}

/// A number that is no state: the address is not a data request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState(pub u8);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no state of a data request", self.0)
    }
}

impl std::error::Error for UnknownState {}

impl TryFrom<u8> for RequestState {
    type Error = UnknownState;

    fn try_from(number: u8) -> Result<Self, UnknownState> {
        match number {
            0 => Ok(Self::Created),
            1 => Ok(Self::Locked),
            2 => Ok(Self::Inactive),
            _ => Err(UnknownState(number)),
        }
    }
}

impl TryFrom<DataRequest::State> for RequestState {
    type Error = UnknownState;

    fn try_from(state: DataRequest::State) -> Result<Self, UnknownState> {
        Self::try_from(state.into_underlying())
    }
}

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Created => "Created",
            Self::Locked => "Locked",
            Self::Inactive => "Inactive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_numbers_are_states() {
        let states = [0, 1, 2].map(|number| RequestState::try_from(number).unwrap().to_string());
        assert_eq!(states, ["Created", "Locked", "Inactive"]);
        assert_eq!(RequestState::try_from(3), Err(UnknownState(3)));
    }
}
