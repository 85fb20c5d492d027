//! The opaque links by which a search goes on: sealed, because a search may name a patient.

use crate::{Edge, outcome::Failure};
use bxp_fhir_store::search::SortValue;
use serde::{Deserialize, Serialize};

const CONTEXT: &[u8] = b"search page";

/// Where a search goes on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Next {
    /// The address that is searched: a resource type, or another that pages.
    pub(crate) of: String,
    /// Of a search over several types, the type at which it goes on.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// The search's own parameters.
    pub(crate) parameters: Vec<(String, String)>,
    /// The newest resource when it began: what came later is not in it.
    pub(crate) upto: i64,
    /// Behind what the page begins.
    pub(crate) after: (Vec<SortValue>, i64),
}

impl Next {
    /// The value of `_page`.
    pub(crate) fn seal(&self, edge: &Edge) -> Result<String, Failure> {
        let text = serde_json::to_vec(self).map_err(Failure::encoding)?;
        let sealed = edge
            .enclave
            .seal_at_rest(&text, CONTEXT)
            .map_err(|error| Failure::internal("seal a link", &error))?;
        Ok(hex::encode(sealed))
    }

    /// What [`Next::seal`] gave, for the same address.
    pub(crate) fn open(edge: &Edge, of: &str, text: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::bad_request("parameter _page is none that this node gave; begin the search again");
        let sealed = hex::decode(text).map_err(|_| wrong())?;
        let text = edge.enclave.open_at_rest(&sealed, CONTEXT).map_err(|_| wrong())?;
        let next: Self = serde_json::from_slice(&text).map_err(|_| wrong())?;
        if next.of == of { Ok(next) } else { Err(wrong()) }
    }
}
