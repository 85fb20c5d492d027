//! Tables, batches and write-ahead log over fjall.
