//! Placement in the vault: who gets an identity block, who may delete one, and what a node that leaves its country signs.

use crate::node::{Node, lose, row_key};
use bxp_privacy::{CopyFacts, decide_copy};
use bxp_storage::Durability;
use bxp_types::{Jurisdiction, ValidatorIndex};
use bxp_vault::{Copy, Directory, MANIFEST_RECORDS_MAX, Member, RecordEntry, Statement, VaultError};
use ed25519_zebra::VerificationKey;
use std::num::NonZeroU16;

const US: Jurisdiction = Jurisdiction::US;
const DE: Jurisdiction = Jurisdiction::DE;
const RECORDS: u8 = 96;

/// These nodes, each where it says, with two copies in the US.
fn directory(height: u64, nodes: &[(&Node, Jurisdiction)]) -> Directory {
    let member = |(node, country): &(&Node, Jurisdiction)| Member {
        validator: node.vault.me(),
        country: *country,
        public_key: node.enclave.public().public_key,
        sealing_key: node.enclave.public().sealing_key,
    };
    Directory::new(height, nodes.iter().map(member), [(US, NonZeroU16::new(2).unwrap())].into())
}

fn key_of(node: &Node) -> VerificationKey {
    VerificationKey::try_from(node.enclave.public().public_key.0).unwrap()
}

/// Node 0 holds [`RECORDS`], nodes 1 and 2 have what placement gives them; all in the US.
fn three() -> ([Node; 3], Vec<RecordEntry>) {
    let nodes = [0, 1, 2].map(|me| Node::new(me, US));
    let all = nodes.each_ref().map(|node| (node, US));
    for node in &nodes {
        assert!(node.vault.adopt(directory(0, &all)).unwrap());
    }
    let entries: Vec<_> =
        (1..=RECORDS).map(|subject| nodes[0].take_in(subject, "Jane Doe", "rest")).collect();
    for to in &nodes[1..] {
        hand_over(&nodes[0], to, &entries).unwrap();
    }
    (nodes, entries)
}

/// Hands records over, by the placement that the holder knows.
fn hand_over(holder: &Node, to: &Node, entries: &[RecordEntry]) -> Result<(), VaultError> {
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    let (whole, rest) = holder.vault.split_by_placement(&ids, &to.recipient()).unwrap();
    let permit = holder.own_permit(holder.identity_class());
    for records in [whole, rest] {
        let sent = holder.vault.replicate(&records, &to.recipient(), &permit).unwrap();
        to.accept(holder.vault.me(), &sent)?;
    }
    Ok(())
}

fn has(node: &Node, entry: &RecordEntry) -> bool {
    node.vault.block(&entry.identity_cid).unwrap().is_some()
        && node.vault.has_key(&entry.identity_cid).unwrap()
}

/// A copy as `from` gives it to `to`, which placement has keep it.
fn copy(from: &Node, to: &Node, entry: &RecordEntry) -> Copy {
    let facts = CopyFacts {
        now_ms: crate::node::START_MS,
        requester_jurisdiction: Some(US),
        residency: US,
        placed: true,
    };
    let permit = decide_copy(to.vault.me(), entry.record_id, &facts).unwrap();
    let block = from.vault.block_for(&entry.identity_cid, to.vault.me()).unwrap().unwrap();
    let keys = from.vault.release_copy(entry.record_id, &to.recipient(), &permit).unwrap();
    Copy { record: entry.record_id, block, keys }
}

/// Everything that the node lacks, from node `from`.
fn fetch_all(from: &Node, to: &Node) -> usize {
    let wanted = to.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap().wanted;
    to.vault.accept_copies(&wanted.iter().map(|entry| copy(from, to, entry)).collect::<Vec<_>>()).unwrap()
}

fn vouches(node: &Node, entries: &[RecordEntry], digest: bxp_types::Digest) -> Vec<bool> {
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    node.vault.holds(&ids, digest).unwrap()
}

#[test]
fn a_record_is_kept_by_its_holder_and_one_other_and_the_third_is_whole_without() {
    let ([holder, first, second], entries) = three();
    let mut kept = [0, 0];
    for entry in &entries {
        assert!(has(&holder, entry));
        let others = [&first, &second].map(|node| has(node, entry));
        assert_ne!(others[0], others[1], "exactly one of them");
        kept[usize::from(others[1])] += 1;
        let (without, with) = if others[0] { (&second, &first) } else { (&first, &second) };
        assert!(without.vault.block(&entry.deidentified_cid).unwrap().is_some());
        assert!(
            !without.vault.has_key(&entry.deidentified_cid).unwrap(),
            "it asks the holder, as a node abroad does"
        );
        let block = holder.vault.block(&entry.identity_cid).unwrap().unwrap();
        assert!(matches!(without.vault.accept_block(&block), Err(VaultError::NotPlaced { .. })));
        assert!(!without.vault.wants_block(&block.cid).unwrap());
        assert_eq!(holder.vault.block_for(&block.cid, without.vault.me()).unwrap(), None);
        assert_eq!(holder.vault.block_for(&block.cid, with.vault.me()).unwrap(), Some(block));
        assert_eq!(
            holder.vault.block_for(&block_cid(entry), without.vault.me()).unwrap().map(|one| one.cid),
            Some(block_cid(entry))
        );
    }
    assert!(kept[0] > 0 && kept[1] > 0, "{kept:?}");
    for node in [holder, first, second].map(Node::reopen) {
        let permit = node.own_permit(node.identity_class());
        let (seen, _) = node.vault.scrub(0, MANIFEST_RECORDS_MAX, &permit).unwrap();
        assert!(seen.is_sound(), "nothing is missed that placement does not give: {seen:?}");
        let misplaced = node.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap();
        assert!(misplaced.wanted.is_empty() && misplaced.surplus.is_empty());
    }
}

fn block_cid(entry: &RecordEntry) -> cid::Cid {
    entry.deidentified_cid
}

/// Goal: a sender that places otherwise does not get its way. Way: the holder goes by a newer directory than the others, in
/// which the third node is gone and node 1 keeps everything.
#[test]
fn what_is_not_placed_on_the_receiver_is_refused() {
    let ([holder, first, second], entries) = three();
    holder.vault.adopt(directory(1, &[(&holder, US), (&first, US)])).unwrap();
    let others: Vec<_> = entries.iter().filter(|entry| !has(&first, entry)).cloned().collect();
    assert!(matches!(hand_over(&holder, &first, &others), Err(VaultError::NotPlaced { .. })));
    assert!(others.iter().all(|entry| !has(&first, entry)), "all of it or nothing");
    let ids = [entries[0].record_id];
    assert_eq!(
        holder.vault.split_by_placement(&ids, &second.recipient()).unwrap().0,
        [],
        "gone nodes get none"
    );
    first.vault.adopt(directory(1, &[(&holder, US), (&first, US)])).unwrap();
    hand_over(&holder, &first, &others).unwrap();
    assert!(entries.iter().all(|entry| has(&first, entry)));
}

/// Goal: a keeper that has lost one key gets it from another keeper, whichever side's it is.
#[test]
fn a_lost_key_of_either_side_comes_from_another_keeper() {
    let ([holder, first, _], entries) = three();
    let entry = entries.iter().find(|entry| has(&first, entry)).unwrap();
    let wanted = || first.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap().wanted;
    for cid in [entry.identity_cid, entry.deidentified_cid] {
        lose(&first, "vault.keys", &cid);
        assert_eq!(wanted(), std::slice::from_ref(entry));
        assert_eq!(fetch_all(&holder, &first), 1);
        assert!(first.vault.has_key(&cid).unwrap() && wanted().is_empty());
    }
    lose(&first, "vault.keys", &entry.deidentified_cid);
    lose(&first, "vault.deidentified", &entry.deidentified_cid);
    assert!(wanted().is_empty(), "a key without its block cannot be checked");
}

/// Goal: what a node has sealed itself is looked for when everything is, and not each time that records come.
#[test]
fn lately_come_records_of_ones_own_are_taken_to_be_there() {
    let ([holder, first, _], entries) = three();
    let entry = entries.iter().find(|entry| has(&first, entry)).unwrap();
    for node in [&holder, &first] {
        lose(node, "vault.keys", &entry.identity_cid);
        let all = node.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap();
        let lately = node.vault.misplaced_lately(0, MANIFEST_RECORDS_MAX).unwrap();
        assert_eq!((all.next, &all.wanted[..]), (lately.next, std::slice::from_ref(entry)));
        let is_own = entry.holder == node.vault.me();
        assert_eq!(lately.wanted.is_empty(), is_own);
    }
}

/// Goal: two copies at every moment while a node joins. Way: a fourth node; who is to give a copy up tries before, with
/// another directory, and after the fourth has it.
#[test]
fn a_copy_goes_only_when_all_keepers_hold_theirs() {
    let ([holder, first, second], entries) = three();
    let fourth = Node::new(3, US);
    let all = [(&holder, US), (&first, US), (&second, US), (&fourth, US)];
    let old = first.vault.directory_digest();
    for node in [&holder, &first, &second, &fourth] {
        assert!(node.vault.adopt(directory(9, &all)).unwrap());
        assert!(!node.vault.adopt(directory(8, &all[..3])).unwrap(), "an older one changes nothing");
        assert!(matches!(
            node.vault.adopt(directory(9, &all[..3])),
            Err(VaultError::OtherDirectory { height: 9 })
        ));
    }
    let digest = first.vault.directory_digest();
    let surplus = first.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap().surplus;
    assert!(!surplus.is_empty(), "the fourth node takes over some");
    // The fourth learns of the records, and loses the blocks that it is to take over.
    hand_over(&holder, &fourth, &entries).unwrap();
    let lost = fourth.store.table("vault.identity.US").unwrap();
    let mut batch = fourth.store.batch();
    for entry in &surplus {
        batch.remove(&lost, row_key(&entry.identity_cid));
    }
    batch.commit(Durability::Synced).unwrap();
    assert!(
        vouches(&fourth, &surplus, digest).iter().all(|held| !held),
        "it does not vouch for what it lacks"
    );
    assert!(matches!(fourth.vault.holds(&[surplus[0].record_id], old), Err(VaultError::DirectoryDiffers)));
    assert!(
        vouches(&first, &surplus, digest).iter().all(|held| !held),
        "nor who is to keep it no more, whatever it has"
    );
    assert_eq!(fetch_all(&first, &fourth), surplus.len(), "who is to keep it no more gives it");
    assert!(
        vouches(&fourth, &surplus, digest)
            .into_iter()
            .chain(vouches(&holder, &surplus, digest))
            .all(|held| held)
    );

    assert!(matches!(first.vault.shed(&surplus, old), Err(VaultError::DirectoryDiffers)));
    let kept = entries.iter().find(|entry| first.vault.keeps(entry)).unwrap();
    assert!(matches!(first.vault.shed(std::slice::from_ref(kept), digest), Err(VaultError::Placed(_))));
    let own = holder.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap();
    assert!(own.surplus.is_empty(), "the holder always keeps its own");

    // A copy of the database from before has the row of the key and the block.
    let gone = &surplus[0];
    let name = row_key(&gone.identity_cid);
    let row = |table: &str| first.store.table(table).unwrap().get(&name).unwrap().unwrap();
    let backup = (row("vault.keys"), row("vault.identity.US"));
    assert_eq!(first.vault.shed(&surplus, digest).unwrap(), surplus.len());
    let first = first.reopen();
    for entry in &surplus {
        assert!(
            first.vault.block(&entry.identity_cid).unwrap().is_none()
                && !first.vault.has_key(&entry.identity_cid).unwrap()
        );
        assert!(first.vault.entry(entry.record_id).unwrap().is_some(), "the record stays known");
    }
    let mut batch = first.store.batch();
    batch.put(&first.store.table("vault.keys").unwrap(), &name, &backup.0);
    batch.put(&first.store.table("vault.identity.US").unwrap(), &name, &backup.1);
    batch.commit(Durability::Synced).unwrap();
    let permit = first.treatment(1, US, gone.record_id, first.identity_class());
    assert!(
        matches!(first.vault.open_identity(gone.record_id, &permit), Err(VaultError::Enclave { .. })),
        "no backup opens it"
    );
    let permit = first.treatment(1, US, kept.record_id, first.identity_class());
    assert_eq!(
        &first.vault.open_identity(kept.record_id, &permit).unwrap().expose()[..],
        b"Jane Doe",
        "the others open"
    );
}

#[test]
fn copies_are_given_and_taken_by_placement_alone() {
    let ([holder, first, second], entries) = three();
    let entry = entries.iter().find(|entry| has(&first, entry)).unwrap();
    let facts = CopyFacts {
        now_ms: crate::node::START_MS,
        requester_jurisdiction: Some(US),
        residency: US,
        placed: true,
    };
    let permit = decide_copy(second.vault.me(), entry.record_id, &facts).unwrap();
    let refused = holder.vault.release_copy(entry.record_id, &second.recipient(), &permit);
    assert!(matches!(refused, Err(VaultError::NotPlaced { .. })), "whatever its permit says");
    let refused = holder.vault.release_copy(entry.record_id, &first.recipient(), &permit);
    assert!(matches!(refused, Err(VaultError::NotPermitted)), "another node's permit");
    let abroad = bxp_vault::Recipient { jurisdiction: DE, ..first.recipient() };
    let refused = holder.vault.release_copy(entry.record_id, &abroad, &permit);
    assert!(matches!(refused, Err(VaultError::Residency { .. })));

    let given = copy(&holder, &first, entry);
    assert!(matches!(
        second.vault.accept_copies(std::slice::from_ref(&given)),
        Err(VaultError::NotPlaced { .. })
    ));
    let other = entries.iter().find(|one| *one != entry && has(&first, one)).unwrap();
    let swapped = Copy { record: other.record_id, ..given.clone() };
    assert!(matches!(first.vault.accept_copies(&[swapped]), Err(VaultError::UnexpectedBlock(_))));
    let wrong_keys = Copy { keys: copy(&holder, &first, other).keys, ..given.clone() };
    assert!(matches!(first.vault.accept_copies(&[wrong_keys]), Err(VaultError::Enclave { .. })));
    assert_eq!(first.vault.accept_copies(std::slice::from_ref(&given)).unwrap(), 1);
    holder
        .vault
        .erase(entry.record_id)
        .map(|tombstone| first.vault.accept_tombstones(&[tombstone], &key_of(&holder)).unwrap())
        .unwrap();
    assert_eq!(first.vault.accept_copies(&[given]).unwrap(), 0, "an erased record does not come back");
    assert!(first.vault.block(&entry.identity_cid).unwrap().is_none());
}

/// Goal: who is moved to another country loses the old one's identity data and proves it. Way: node 1, which keeps copies,
/// moves to Germany; a crash after each step.
#[test]
fn a_node_that_moves_opens_nothing_deletes_and_signs() {
    let ([holder, mover, second], entries) = three();
    let had: Vec<_> = entries.iter().filter(|entry| has(&mover, entry)).cloned().collect();
    let all = [(&holder, US), (&mover, DE), (&second, US)];
    for node in [&holder, &mover, &second] {
        node.vault.adopt(directory(5, &all)).unwrap();
    }
    let permit = mover.treatment(1, US, had[0].record_id, mover.identity_class());
    assert!(matches!(mover.vault.open_identity(had[0].record_id, &permit), Err(VaultError::NotPermitted)));
    assert!(
        matches!(mover.vault.seal_record(&mover.record(99, "x", "y")), Err(VaultError::ForeignRecord { here, .. }) if here == DE)
    );
    assert_eq!(holder.vault.block_for(&had[0].identity_cid, mover.vault.me()).unwrap(), None);
    let block = holder.vault.block(&had[0].identity_cid).unwrap().unwrap();
    assert!(matches!(mover.vault.accept_block(&block), Err(VaultError::Residency { .. })));

    let mover = mover.reopen();
    assert_eq!(
        (mover.vault.home(), mover.vault.leaving()),
        (DE, vec![US]),
        "it stands where the directory says"
    );
    assert!(matches!(mover.vault.finish_departure(US), Err(VaultError::StillHeld(_))));
    let permit = mover.treatment(1, DE, had[0].record_id, bxp_types::BlockClass::Deidentified);
    assert!(mover.vault.open_identity(had[0].record_id, &permit).is_err());
    assert_eq!(
        fetch_all(&mover, &second),
        had.len(),
        "it gives what its old country is to keep, for it has it"
    );
    let digest = mover.vault.directory_digest();
    let surplus = mover.vault.misplaced(0, MANIFEST_RECORDS_MAX).unwrap().surplus;
    assert_eq!(surplus.len(), had.len());
    let (some, others) = surplus.split_at(surplus.len() / 2);
    for part in [some, others] {
        assert_eq!(mover.vault.shed(part, digest).unwrap(), part.len());
    }
    let mover = mover.reopen();
    assert_eq!(mover.vault.leaving(), [US], "until it has signed");
    mover.vault.finish_departure(US).unwrap();
    assert!(mover.vault.has_nothing_of(US).unwrap());
    let mover = mover.reopen();
    assert_eq!(mover.vault.leaving(), []);
    assert_eq!(mover.store.table("vault.identity.US").unwrap().iter().count(), 0);

    let statements = mover.vault.statements_for(holder.vault.me(), 9).unwrap();
    assert_eq!(
        statements.iter().map(|one| (one.part, one.last)).collect::<Vec<_>>(),
        [(0, false), (1, false), (2, true)]
    );
    let owed = &holder.vault.departures().unwrap()[0];
    assert_eq!((owed.node, owed.country, owed.height, owed.proven_ms), (mover.vault.me(), US, 5, None));
    assert_eq!(owed.unnamed, had.len() as u64, "nothing is proven yet");
    take_statements(&holder, &mover, &statements);
    let holder = holder.reopen();
    let proven = &holder.vault.departures().unwrap()[0];
    assert_eq!(
        (proven.deleted, proven.unnamed),
        (had.len() as u64, 0),
        "every copy that it was to keep is named"
    );
    assert!(proven.proven_ms.is_some());
    let filed = mover.vault.deletion_proofs(|_, _| false).unwrap();
    assert_eq!(filed.len(), 1);
    assert_eq!((proven.proof, proven.deleted), (Some(filed[0].digest), filed[0].blocks), "both hash alike");
    assert!(mover.vault.deletion_proofs(|country, height| (country, height) == (US, 5)).unwrap().is_empty());
    for statement in &statements {
        mover.vault.note_stated(holder.vault.me(), statement).unwrap();
    }
    assert!(mover.vault.statements_for(holder.vault.me(), 9).unwrap().is_empty());
    assert_eq!(mover.vault.statements_for(second.vault.me(), 9).unwrap().len(), 3, "each node is told");
}

/// Each part counts once, in its order, from its node alone.
fn take_statements(to: &Node, from: &Node, statements: &[Statement]) {
    let (me, key) = (from.vault.me(), key_of(from));
    let refused = |from: ValidatorIndex, statement: &Statement, key: &VerificationKey| {
        matches!(to.vault.accept_statement(from, statement, key), Err(VaultError::InvalidStatement { .. }))
    };
    assert!(refused(me, &statements[1], &key), "a part is missing");
    assert!(refused(to.vault.me(), &statements[0], &key), "another's");
    assert!(refused(me, &statements[0], &key_of(to)), "not signed");
    assert!(refused(me, &Statement { last: true, ..statements[0].clone() }, &key), "changed");
    assert!(refused(me, &Statement { height: 4, ..statements[0].clone() }, &key), "of another move");
    for statement in statements {
        to.vault.accept_statement(me, statement, &key).unwrap();
        to.vault.accept_statement(me, statement, &key).unwrap();
    }
    let more = Statement { part: 3, ..statements[2].clone() };
    assert!(refused(me, &more, &key), "nothing follows the last");
}

/// Goal: a directory that names nobody closes everything, and is not taken for one that says nothing.
#[test]
fn where_all_nodes_are_suspended_nobody_opens_anything() {
    let ([holder, first, _], entries) = three();
    assert!(first.vault.adopt(directory(5, &[])).unwrap());
    assert_eq!((first.vault.country(), first.vault.leaving()), (None, vec![US]));
    assert!(entries.iter().all(|entry| !first.vault.keeps(entry)));
    let block = holder.vault.block(&entries[0].identity_cid).unwrap().unwrap();
    assert!(first.vault.accept_block(&block).is_err());
    assert_eq!(first.vault.block_for(&block.cid, holder.vault.me()).unwrap(), None);
}

#[test]
fn a_node_that_is_back_before_it_has_deleted_all_owes_nothing() {
    let ([holder, mover, second], entries) = three();
    let at = |country| [(&holder, US), (&mover, country), (&second, US)];
    let had: Vec<_> = entries.iter().filter(|entry| has(&mover, entry)).collect();
    for node in [&holder, &mover] {
        node.vault.adopt(directory(5, &at(DE))).unwrap();
        assert_eq!(node.vault.departures().unwrap().len(), 1);
        node.vault.adopt(directory(6, &at(US))).unwrap();
        let owed = node.vault.departures().unwrap();
        assert_eq!(
            owed.iter().map(|one| (one.country, one.deleted)).collect::<Vec<_>>(),
            [(DE, 0)],
            "of the US nothing"
        );
        assert!(!node.vault.leaving().contains(&US));
    }
    let permit = mover.treatment(1, US, had[0].record_id, mover.identity_class());
    assert!(mover.vault.open_identity(had[0].record_id, &permit).is_ok(), "and opens again what it kept");
}
