//! Content-addressed sealed records in residency partitions.
