//! What is lost or damaged is found before somebody needs it, and a peer's copy mends it.

use crate::node::{Node, row_key};
use bxp_storage::Durability;
use bxp_types::{Jurisdiction, ValidatorIndex};
use bxp_vault::Scrubbed;

fn scrub(node: &Node) -> Scrubbed {
    let permit = node.own_permit(node.identity_class());
    let (mut seen, mut from) = (Scrubbed::default(), Some(0));
    while let Some(next) = from {
        // Small steps, so that going on is tried too.
        let (part, rest) = node.vault.scrub(next, 2, &permit).unwrap();
        seen.add(part);
        from = rest;
    }
    seen
}

#[test]
fn lost_and_damaged_blocks_are_found_and_mended_from_a_peer() {
    let (holder, peer) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let entries: Vec<_> = (1..=5).map(|subject| holder.take_in(subject, "Jane", "rest")).collect();
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    let permit = holder.own_permit(holder.identity_class());
    let sent = holder.vault.replicate(&ids, &peer.recipient(), &permit).unwrap();
    let mut batch = peer.store.batch();
    peer.vault.stage_replica(&mut batch, ValidatorIndex(0), &sent.manifest, &sent.blocks).unwrap();
    batch.commit(Durability::Buffered).unwrap();
    let sound = scrub(&holder);
    assert_eq!((sound.records, sound.sound, sound.opened), (5, 10, 10));
    assert!(sound.is_sound() && scrub(&peer).is_sound());
    assert_eq!(scrub(&peer).opened, 0, "another's records are not opened");

    let (lost, damaged) = (entries[1].identity_cid, entries[3].deidentified_cid);
    let mut batch = holder.store.batch();
    batch.remove(&holder.store.table("vault.identity.US").unwrap(), row_key(&lost));
    let other = holder.vault.block(&entries[0].deidentified_cid).unwrap().unwrap();
    batch.put(&holder.store.table("vault.deidentified").unwrap(), row_key(&damaged), &other.bytes);
    batch.remove(&holder.store.table("vault.keys").unwrap(), row_key(&entries[4].identity_cid));
    batch.commit(Durability::Buffered).unwrap();
    let seen = scrub(&holder);
    assert_eq!((seen.missing.as_slice(), seen.damaged.as_slice()), ([lost].as_slice(), [damaged].as_slice()));
    assert_eq!(seen.unopened, [entries[4].identity_cid], "its key is gone");

    for cid in seen.to_fetch() {
        let block = peer.vault.block(cid).unwrap().unwrap();
        holder.vault.accept_block(&block).unwrap();
    }
    let seen = scrub(&holder);
    assert!(seen.missing.is_empty() && seen.damaged.is_empty());
    assert_eq!((seen.sound, seen.opened), (10, 9));
}
