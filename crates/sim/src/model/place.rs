//! Where validators stand, and how far a message has to go.

use serde::Serialize;
use std::time::Duration;

/// The kinds of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// One data centre.
    Lan,
    /// Ten regions of four continents, in turn.
    Wan,
    /// One machine whose cores all validators and clients share.
    Local,
}

/// Dallas, Toronto, Washington, Frankfurt, London, Madrid, Osaka, Sydney, Tokyo, Sao Paulo: average round-trip times in
/// milliseconds between regions of IBM Cloud from 27 July to 25 August 2024, as IBM publishes them in "Network latency
/// dashboards" of its documentation of VPC. Within a region: its average between two zones, some 2 ms.
const ROUND_TRIP_MS: [[u64; 10]; 10] = [
    [2, 34, 31, 123, 113, 119, 150, 186, 143, 146],
    [34, 2, 19, 93, 82, 108, 168, 215, 162, 129],
    [31, 19, 2, 91, 75, 87, 172, 214, 164, 118],
    [123, 93, 91, 2, 13, 29, 232, 250, 233, 198],
    [113, 83, 75, 13, 2, 27, 244, 261, 243, 188],
    [122, 106, 88, 29, 27, 2, 257, 275, 258, 209],
    [150, 169, 172, 231, 243, 257, 2, 122, 9, 293],
    [186, 214, 214, 249, 261, 275, 122, 2, 115, 328],
    [143, 162, 166, 233, 244, 256, 9, 115, 2, 284],
    [144, 128, 119, 196, 187, 208, 291, 328, 283, 2],
];

/// A usual round trip within one data centre: the same table has 0.08 to 0.1 ms within a zone, and 2 ms between zones.
const LAN_ONE_WAY: Duration = Duration::from_micros(50);
/// Loopback, with the wake-up of the other process.
const LOCAL_ONE_WAY: Duration = Duration::from_micros(20);

impl Place {
    /// How long the last bit of a message travels.
    pub(super) fn one_way(self, from: usize, to: usize) -> Duration {
        match self {
            Self::Local => LOCAL_ONE_WAY,
            Self::Lan => LAN_ONE_WAY,
            Self::Wan => Duration::from_millis(ROUND_TRIP_MS[from % 10][to % 10]) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_take_about_as_long() {
        for from in 0..10 {
            for to in 0..10 {
                let there = Place::Wan.one_way(from, to).as_micros();
                let back = Place::Wan.one_way(to, from).as_micros();
                assert!(there.abs_diff(back) <= 2_000 && there >= 1_000, "{from} to {to}");
            }
        }
    }
}
