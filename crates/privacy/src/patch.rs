//! The items of a patch, read. `split::walk` writes them and says what each kind means.

use crate::JoinError;
use sonic_rs::{JsonContainerTrait as _, JsonType, JsonValueTrait as _, Value};

/// An item of a patch.
pub(crate) enum Item<'a> {
    /// So many members or elements are as they were.
    Take(usize),
    /// The key of a removed member; its value is the next item.
    Key(&'a str),
    /// The original value of a changed one.
    Original(&'a Value),
    /// A removed element of an array.
    Added(&'a Value),
    /// The patch of a container.
    Patch(&'a [Value]),
}

pub(crate) fn item(value: &Value) -> Result<Item<'_>, JoinError> {
    let read = match value.get_type() {
        JsonType::Number => {
            value.as_raw_number().and_then(|count| count.as_str().parse().ok()).map(Item::Take)
        }
        JsonType::String => value.as_str().map(Item::Key),
        JsonType::Array => value.as_array().map(|patch| Item::Patch(patch.as_slice())),
        JsonType::Object => value.get("=").map(Item::Original).or_else(|| value.get("+").map(Item::Added)),
        JsonType::Null | JsonType::Boolean => None,
    };
    read.ok_or(JoinError::Remainder)
}
