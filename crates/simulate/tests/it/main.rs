//! Runs over a state in memory.

mod deadlines;
