//! The data folder as its users see it: what is committed, what a crash leaves, what is refused.

mod killed;
mod place;
mod power;
mod store;
