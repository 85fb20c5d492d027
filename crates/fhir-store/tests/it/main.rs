//! The store on a real disk and on a real server: versions, searches, permits, damage.

mod fixture;
mod on_server;
mod searching;
mod server;
mod storing;
