//! Seeds that have found something, each with what it was.
