//! The store on a real disk: versions, searches, permits, damage.

mod fixture;
mod searching;
mod storing;
