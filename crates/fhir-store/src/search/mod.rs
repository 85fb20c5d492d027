//! Search (R4 section 3.1.1): from a query to the numbers of the resources that match.
//!
//! A query is a conjunction of clauses. Clauses that name codes or references are lists of resource numbers in their order,
//! which are joined by leaping from the one to the next; ranges and texts become lists where they are short, and tests of
//! single resources where they are not. No plan depends on the database's statistics, and no clause costs more than the
//! bounds in [`execute`].

mod cursor;
mod execute;
mod parse;
mod plan;
mod query;
mod range;
mod sort;
mod test;

pub use execute::{Page, Selection, TOTAL_MAX};
pub use parse::{Parsed, parse};
pub use query::{Clause, Include, Prefix, Query, Sort, SortBy, Test, Window};
pub use sort::SortValue;
