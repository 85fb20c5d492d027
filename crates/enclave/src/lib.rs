//! Keys, sealing and signing.
