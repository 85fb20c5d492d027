//! The privacy manager from outside: what leaves, what comes back, who may open.

mod canary;
mod conformance;
mod fixtures;
mod identifiers;
mod joining;
mod permits;
mod properties;
mod releasing;
mod scanning;
