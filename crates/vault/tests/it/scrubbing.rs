//! What is lost or damaged is found before somebody needs it, and a peer's copy mends it.

use crate::node::{Node, lose, row_key};
use bxp_storage::Durability;
use bxp_types::{BlockClass, Jurisdiction, ValidatorIndex};
use bxp_vault::{RecordEntry, Scrubbed, VaultError};

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

/// A holder of five records, a peer that has them too, and their entries.
fn replicated() -> (Node, Node, Vec<RecordEntry>) {
    let (holder, peer) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let entries: Vec<_> = (1..=5).map(|subject| holder.take_in(subject, "Jane", "rest")).collect();
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    let permit = holder.own_permit(holder.identity_class());
    let sent = holder.vault.replicate(&ids, &peer.recipient(), &permit).unwrap();
    peer.accept(ValidatorIndex(0), &sent).unwrap();
    (holder, peer, entries)
}

#[test]
fn lost_and_damaged_blocks_are_found_and_mended_from_a_peer() {
    let (holder, peer, entries) = replicated();
    let sound = scrub(&holder);
    assert_eq!((sound.records, sound.sound, sound.opened), (5, 10, 10));
    assert!(sound.is_sound() && scrub(&peer).is_sound());
    assert_eq!(scrub(&peer).opened, 0, "another's records are not opened");

    let (lost, damaged) = (entries[1].identity_cid, entries[3].deidentified_cid);
    lose(&holder, "vault.identity.US", &lost);
    lose(&holder, "vault.keys", &entries[4].identity_cid);
    let other = holder.vault.block(&entries[0].deidentified_cid).unwrap().unwrap();
    let mut batch = holder.store.batch();
    batch.put(&holder.store.table("vault.deidentified").unwrap(), row_key(&damaged), &other.bytes);
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

#[test]
fn a_block_whose_key_is_lost_with_it_is_found_missing_and_taken_in_again() {
    let (holder, peer, entries) = replicated();
    let (entry, cid) = (&entries[2], entries[2].deidentified_cid);
    lose(&peer, "vault.keys", &cid);
    lose(&peer, "vault.deidentified", &cid);
    let block = holder.vault.block(&cid).unwrap().unwrap();
    let refused = peer.vault.accept_block(&block);
    assert!(matches!(refused, Err(VaultError::UnexpectedBlock(_))), "nothing leads to its record");

    assert_eq!(scrub(&peer).missing, [cid]);
    assert_eq!(peer.vault.entry_of_block(&cid).unwrap().as_ref(), Some(entry));
    assert!(peer.vault.wants_block(&cid).unwrap());
    peer.vault.accept_block(&block).unwrap();
    let seen = scrub(&peer);
    assert!(seen.is_sound());
    assert_eq!(seen.sound, 10);
    let permit = peer.treatment(0, Jurisdiction::US, entry.record_id, BlockClass::Deidentified);
    let released = peer.vault.release_key(&cid, &holder.recipient(), &permit);
    assert!(
        matches!(released, Err(VaultError::MissingKey(missing)) if missing == cid),
        "no peer's block helps"
    );
}

#[test]
fn a_sound_block_whose_key_is_lost_leads_to_its_record_until_that_is_erased() {
    let (holder, _, entries) = replicated();
    let (entry, cid) = (&entries[0], entries[0].identity_cid);
    let names = holder.store.table("vault.by-cid").unwrap();
    scrub(&holder);
    assert_eq!(names.iter().count(), 0, "all lead to their records by their keys");
    lose(&holder, "vault.keys", &cid);
    assert_eq!(scrub(&holder).unopened, [cid]);
    assert_eq!(holder.vault.entry_of_block(&cid).unwrap().as_ref(), Some(entry));
    assert_eq!(names.iter().count(), 1);
    holder.vault.erase(entry.record_id).unwrap();
    scrub(&holder);
    assert_eq!(names.iter().count(), 0, "an erased record leaves no name");
}

/// Goal: a row of a key that is too short to be read ends neither a scrub nor the mending of its block.
#[test]
fn a_key_whose_row_is_cut_short_counts_as_lost() {
    let (holder, peer, entries) = replicated();
    let (entry, cid) = (&entries[2], entries[2].identity_cid);
    let mut batch = holder.store.batch();
    batch.put(&holder.store.table("vault.keys").unwrap(), row_key(&cid), [7_u8; 3]);
    batch.commit(Durability::Buffered).unwrap();
    lose(&holder, "vault.identity.US", &cid);
    assert!(matches!(holder.vault.entry_of_block(&cid), Err(VaultError::Malformed(_))));

    assert_eq!(scrub(&holder).missing, [cid]);
    assert!(!holder.vault.has_key(&cid).unwrap(), "it is asked for again");
    assert_eq!(holder.vault.entry_of_block(&cid).unwrap().as_ref(), Some(entry));
    holder.vault.accept_block(&peer.vault.block(&cid).unwrap().unwrap()).unwrap();
    let seen = scrub(&holder);
    assert_eq!((seen.missing.len(), seen.unopened.as_slice()), (0, [cid].as_slice()));
}
