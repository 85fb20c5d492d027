//! The Bundle at the end: what R4 requires is filled in, and everything is written as a transaction of updates.

use super::{Mapped, context::Context, json::Json, require};

/// Writes the Bundle.
pub(super) fn finish(mut context: Context<'_>) -> Mapped {
    require::fill(&mut context);
    let (entries, notes) = context.into_parts();
    let resources = entries.len();
    let mut bundle = String::from(r#"{"resourceType":"Bundle","type":"transaction","entry":["#);
    for (at, entry) in entries.into_iter().enumerate() {
        let (kind, id) = (entry.kind, entry.id);
        let mut resource =
            vec![("resourceType".to_owned(), Json::from(kind)), ("id".to_owned(), Json::from(id.as_str()))];
        if let Json::Object(members) = entry.json {
            resource.extend(members);
        }
        let whole = Json::object([
            ("fullUrl", format!("urn:uuid:{id}").into()),
            ("resource", Json::Object(resource)),
            ("request", Json::object([("method", "PUT".into()), ("url", format!("{kind}/{id}").into())])),
        ]);
        if at > 0 {
            bundle.push(',');
        }
        whole.write(&mut bundle);
    }
    bundle.push_str("]}");
    Mapped { bundle, resources, notes }
}
