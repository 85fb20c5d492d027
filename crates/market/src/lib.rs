//! Data requests: matching, delivery and settlement.
