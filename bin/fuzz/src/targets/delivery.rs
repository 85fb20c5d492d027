//! Deliveries of charts to a buyer, and requests for them. Anybody can seal to a buyer: nothing of a delivery is true before
//! it was compared with the chain.

use bxp_enclave::SealingKeypair;
use bxp_market::{Chart, fuzz};
use bxp_types::{Address, B256, Secret};
use std::sync::LazyLock;

const REQUEST: Address = Address::repeat_byte(0x11);
const HOLDER: Address = Address::repeat_byte(0x22);

/// The keys of the buyer.
static KEYS: LazyLock<SealingKeypair> =
    LazyLock::new(|| SealingKeypair::from_private_key(&Secret::new([1; 32])).expect("a key pair"));

/// Content has one encoding, and who asks for a delivery names it.
pub(crate) fn delivery(bytes: &[u8]) {
    read(bytes);
}

/// Whether the bytes are content, sealed, compressed or neither, or a request.
fn read(bytes: &[u8]) -> bool {
    let unpacked = fuzz::unpacked(bytes).ok();
    let content = |bytes: &[u8]| {
        let again = fuzz::content(REQUEST, HOLDER, bytes).ok()?;
        assert_eq!(again, bytes, "content has one encoding");
        let packed = fuzz::packed(&again).expect("there is memory to compress");
        assert_eq!(fuzz::unpacked(&packed).ok(), Some(again));
        Some(())
    };
    let is_content = content(bytes).or_else(|| content(unpacked.as_deref()?)).is_some();
    let asked = fuzz::requested(bytes);
    if let Some(cid) = asked {
        assert_eq!(fuzz::requested(&cid.to_bytes()), Some(cid));
    }
    fuzz::opens(&KEYS, REQUEST, HOLDER, bytes) || is_content || asked.is_some()
}

pub(crate) fn deliveries() -> Vec<Vec<u8>> {
    let chart = |subject: u8, records: &[&str]| {
        let records = records.iter().map(|&record| record.to_owned()).collect();
        Chart { subject: [subject; 16], records }
    };
    let patient = r#"{"resourceType":"Patient","id":"9d0f","gender":"female","birthDate":"1931"}"#;
    let observation = r#"{"resourceType":"Observation","id":"b5c1","status":"final"}"#;
    let contents = [
        (vec![chart(3, &["{}"])], vec![B256::repeat_byte(7)]),
        (vec![chart(3, &[patient, observation]), chart(4, &[patient])], vec![]),
        (vec![], vec![B256::repeat_byte(7), B256::repeat_byte(8)]),
    ];
    let contents: Vec<_> = contents
        .into_iter()
        .filter_map(|(charts, rules)| fuzz::content_of(REQUEST, HOLDER, charts, rules).ok())
        .collect();
    let packed = contents.iter().filter_map(|content| fuzz::packed(content).ok());
    let sealed = fuzz::sealed(REQUEST, HOLDER, KEYS.public_key(), vec![chart(3, &[observation])]);
    let cid = bxp_vault::cid_of(b"sealed").expect("a CID");
    packed.chain(contents.iter().cloned()).chain(sealed).chain([cid.to_bytes()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_and_requests_are_read() {
        let seeds = deliveries();
        assert_eq!(seeds.len(), 8);
        assert!(seeds.iter().all(|seed| read(seed)));
    }
}
