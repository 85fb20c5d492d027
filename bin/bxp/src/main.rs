//! `bxp`: one program, a whole node of the BitMED Healthcare Protocol.

fn main() {}
