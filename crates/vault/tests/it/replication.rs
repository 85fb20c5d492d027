//! Replication and key release: what compatriots get, what foreigners get, what is refused from peers.

use crate::node::Node;
use bxp_enclave::SealingKeypair;
use bxp_storage::Durability;
use bxp_types::{B256, BlockClass, Bytes, Jurisdiction, SealedBlock, ValidatorIndex};
use bxp_vault::{Accepted, MerkleBatch, Recipient, RecordEntry, Replica, VaultError, open_released};

fn replicate(holder: &Node, entries: &[RecordEntry], to: &Node) -> Replica {
    let ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    let class = if holder.vault.home() == to.vault.home() {
        holder.identity_class()
    } else {
        BlockClass::Deidentified
    };
    holder.vault.replicate(&ids, &to.recipient(), &holder.own_permit(class)).unwrap()
}

/// Stages and commits; on an error nothing may have been staged.
fn accept(to: &Node, from: u16, manifest: &[u8], blocks: &[SealedBlock]) -> Result<Accepted, VaultError> {
    let mut batch = to.store.batch();
    let sealing = to.vault.sealing();
    let accepted = to.vault.stage_replica(&mut batch, ValidatorIndex(from), manifest, blocks, &sealing);
    assert!(accepted.is_ok() || batch.is_empty());
    batch.commit(Durability::Buffered).unwrap();
    accepted
}

fn send(holder: &Node, entries: &[RecordEntry], to: &Node) -> Result<Accepted, VaultError> {
    let replica = replicate(holder, entries, to);
    accept(to, holder.vault.me().0, &replica.manifest, &replica.blocks)
}

fn anchored_holder() -> (Node, Vec<RecordEntry>) {
    let holder = Node::new(0, Jurisdiction::US);
    let entries: Vec<_> =
        (1..=3).map(|subject| holder.take_in(subject, "Jane Doe", "{\"code\":\"I48\"}")).collect();
    let mut batch = holder.store.batch();
    holder.vault.stage_batch(&mut batch, &MerkleBatch::new(&entries).unwrap()).unwrap();
    batch.commit(Durability::Buffered).unwrap();
    (holder, entries)
}

#[test]
fn a_compatriot_gets_the_whole_record_with_its_proof() {
    let (holder, entries) = anchored_holder();
    let replica = Node::new(1, Jurisdiction::US);
    let accepted = send(&holder, &entries, &replica).unwrap();
    assert_eq!(accepted, Accepted { records: 3, blocks: 6, keys: 6, erased: 0 });
    let again = send(&holder, &entries, &replica).unwrap();
    assert_eq!(again.records, 0, "sent again, nothing is new");
    let replica = replica.reopen();
    for entry in &entries {
        let permit = replica.treatment(1, Jurisdiction::US, entry.record_id, replica.identity_class());
        let identity = replica.vault.open_identity(entry.record_id, &permit).unwrap();
        assert_eq!(&identity.expose()[..], b"Jane Doe");
        assert!(replica.vault.open_deidentified(entry.record_id, &permit).is_ok());
        let here = replica.vault.placement(entry.record_id).unwrap();
        assert_eq!(here, holder.vault.placement(entry.record_id).unwrap());
    }
    assert_eq!(replica.vault.entries(0).count(), 3);
    assert!(!replica.vault.pending_batches().unwrap()[0].own);
    let mut none = replica.vault.prove(&[entries[0].record_id]).unwrap();
    assert_eq!(none.pop().unwrap(), None, "only the holder proves");
}

#[test]
fn a_foreigner_gets_the_rest_and_opens_it_when_the_key_is_released() {
    let (holder, entries) = anchored_holder();
    let foreign = Node::new(2, Jurisdiction::DE);
    let replica = replicate(&holder, &entries, &foreign);
    assert!(replica.blocks.iter().all(|block| block.class == BlockClass::Deidentified));
    assert_eq!(
        send(&holder, &entries, &foreign).unwrap(),
        Accepted { records: 3, blocks: 3, keys: 0, erased: 0 }
    );
    let holding = foreign.vault.holdings().unwrap()[&Jurisdiction::US];
    assert_eq!((holding.identity_blocks, holding.identity_keys, holding.deidentified_keys), (0, 0, 0));
    assert_eq!(holding.deidentified_blocks, 3);

    let entry = &entries[0];
    let permit = holder.treatment(2, Jurisdiction::DE, entry.record_id, BlockClass::Deidentified);
    let cid = entry.deidentified_cid;
    assert!(matches!(
        foreign.vault.open_deidentified(entry.record_id, &permit),
        Err(VaultError::MissingKey(missing)) if missing == cid
    ));
    let wrapped = holder.vault.release_key(&cid, &foreign.recipient(), &permit).unwrap();
    foreign.vault.accept_key(&cid, &wrapped).unwrap();
    let foreign = foreign.reopen();
    assert_eq!(
        &foreign.vault.open_deidentified(entry.record_id, &permit).unwrap()[..],
        b"{\"code\":\"I48\"}"
    );
    assert!(foreign.vault.accept_key(&entries[1].deidentified_cid, &wrapped).is_err(), "another block's key");
    let disclosed = holder.vault.disclosures_of(entry.subject).unwrap();
    assert_eq!((disclosed.len(), disclosed[0].requester), (1, ValidatorIndex(2)));
}

#[test]
fn a_buyer_checks_that_what_arrived_is_what_was_anchored() {
    let (holder, entries) = anchored_holder();
    let (buyer, other) = (SealingKeypair::random().unwrap(), SealingKeypair::random().unwrap());
    let entry = &entries[0];
    let cid = entry.deidentified_cid;
    let to = Recipient { sealing_key: buyer.public_key(), ..holder.recipient() };
    let wrapped = holder.vault.release_key(&cid, &to, &holder.research(1)).unwrap();
    assert_eq!(holder.vault.disclosures_of(entry.subject).unwrap().len(), 1);
    let block = holder.vault.block(&cid).unwrap().unwrap();
    assert_eq!(&open_released(&buyer, entry, &wrapped, &block).unwrap()[..], b"{\"code\":\"I48\"}");
    assert!(open_released(&other, entry, &wrapped, &block).is_err());
    assert!(matches!(
        open_released(&buyer, &entries[1], &wrapped, &block),
        Err(VaultError::UnexpectedBlock(_))
    ));
    let lied = RecordEntry { deidentified_digest: B256::ZERO, ..entry.clone() };
    assert!(matches!(open_released(&buyer, &lied, &wrapped, &block), Err(VaultError::WrongContent(_))));
    let identity = holder.vault.release_key(&entry.identity_cid, &to, &holder.research(1));
    assert!(matches!(identity, Err(VaultError::NotPermitted)));
}

#[test]
fn identity_never_leaves_its_country_in_any_way() {
    let (holder, entries) = anchored_holder();
    let foreign = Node::new(2, Jurisdiction::DE);
    let entry = &entries[0];
    let cid = entry.identity_cid;
    // The permit is good, and for this node; the country of the recipient still stands against it.
    let own = holder.own_permit(holder.identity_class());
    let mut elsewhere = holder.recipient();
    elsewhere.jurisdiction = Jurisdiction::DE;
    assert!(matches!(
        holder.vault.release_key(&cid, &elsewhere, &own),
        Err(VaultError::Residency { home: Jurisdiction::US, there: Jurisdiction::DE, .. })
    ));
    assert!(
        matches!(holder.vault.release_key(&cid, &foreign.recipient(), &own), Err(VaultError::NotPermitted)),
        "nor does another node use this node's permit"
    );
    send(&holder, &entries, &foreign).unwrap();
    let block = holder.vault.block(&cid).unwrap().unwrap();
    assert!(matches!(foreign.vault.accept_block(&block), Err(VaultError::Residency { .. })));
    let replica = replicate(&holder, &entries, &foreign);
    let smuggled = [replica.blocks.as_slice(), std::slice::from_ref(&block)].concat();
    assert!(matches!(accept(&foreign, 0, &replica.manifest, &smuggled), Err(VaultError::Residency { .. })));
    let mut relabelled = block;
    relabelled.class = BlockClass::Deidentified;
    assert!(matches!(foreign.vault.accept_block(&relabelled), Err(VaultError::Malformed(_))));
    assert!(foreign.vault.block(&cid).unwrap().is_none());
}

#[test]
fn replicas_from_other_than_the_holder_and_damaged_ones_are_refused() {
    let (holder, entries) = anchored_holder();
    let to = Node::new(1, Jurisdiction::US);
    let Replica { manifest, blocks } = replicate(&holder, &entries, &to);
    assert!(matches!(accept(&to, 3, &manifest, &blocks), Err(VaultError::NotTheHolder { .. })));
    assert!(matches!(accept(&to, 0, &manifest, &blocks[1..]), Err(VaultError::MissingBlock(_))));
    let twice = [blocks.as_slice(), &blocks[..1]].concat();
    assert!(matches!(accept(&to, 0, &manifest, &twice), Err(VaultError::UnexpectedBlock(_))));
    let stranger = holder.seal(9, "someone else", "rest").deidentified;
    let more = [blocks.as_slice(), &[stranger]].concat();
    assert!(matches!(accept(&to, 0, &manifest, &more), Err(VaultError::UnexpectedBlock(_))));
    let mut changed = blocks.clone();
    let mut bytes = changed[0].bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    changed[0].bytes = Bytes::from(bytes);
    assert!(matches!(accept(&to, 0, &manifest, &changed), Err(VaultError::WrongCid(_))));
    for position in (0..manifest.len()).step_by(7) {
        let mut damaged = manifest.to_vec();
        damaged[position] ^= 1;
        assert!(accept(&to, 0, &damaged, &blocks).is_err(), "byte {position}");
    }
    let other = Node::new(2, Jurisdiction::US);
    assert!(
        matches!(accept(&other, 0, &manifest, &blocks), Err(VaultError::Enclave { .. })),
        "another's keys"
    );
    assert_eq!(to.vault.entries(0).count() + other.vault.entries(0).count(), 0);
    assert!(accept(&to, 0, &manifest, &blocks).is_ok());
}

#[test]
fn an_entry_does_not_change_once_it_is_here() {
    let (holder, entries) = anchored_holder();
    let to = Node::new(1, Jurisdiction::US);
    send(&holder, &entries, &to).unwrap();
    // Validator 2 claims the blocks of validator 0's record under an id of its own.
    let thief = Node::new(2, Jurisdiction::US);
    let stolen = RecordEntry { holder: ValidatorIndex(2), ..entries[0].clone() };
    let manifest = {
        let own = thief.take_in(1, "x", "y");
        let replica = replicate(&thief, std::slice::from_ref(&own), &Node::new(3, Jurisdiction::DE));
        let text = replica.manifest.to_vec();
        let (from, into) = (own.encode().unwrap(), stolen.encode().unwrap());
        let at = text.windows(from.len()).position(|window| window == from).unwrap();
        [&text[..at], &into, &text[at + from.len()..]].concat()
    };
    let blocks =
        [&stolen.identity_cid, &stolen.deidentified_cid].map(|cid| to.vault.block(cid).unwrap().unwrap());
    assert!(matches!(accept(&to, 2, &manifest, &blocks), Err(VaultError::Conflict(_))));
    assert_eq!(to.vault.entry(entries[0].record_id).unwrap().unwrap(), entries[0]);
}

#[test]
fn a_fetched_block_is_kept_only_if_a_record_names_it() {
    let (holder, entries) = anchored_holder();
    let to = Node::new(1, Jurisdiction::US);
    let block = holder.vault.block(&entries[0].identity_cid).unwrap().unwrap();
    assert!(matches!(to.vault.accept_block(&block), Err(VaultError::UnexpectedBlock(_))));
    send(&holder, &entries, &to).unwrap();
    to.vault.accept_block(&block).unwrap();
    assert!(!to.vault.wants_block(&block.cid).unwrap());
}

/// Goal: who goes through the records by the numbers of their arrival misses none. Way: records are staged, and before they
/// are committed a peer's arrive.
#[test]
fn who_goes_on_behind_the_last_record_has_seen_all_before() {
    let (node, other) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let before = node.take_in(1, "Jane", "rest");
    let [own, given_up] = ["John", "Jack"].map(|name| node.seal(2, name, "rest"));
    let listed =
        |from: u64| -> Vec<(u64, RecordEntry)> { node.vault.entries(from).map(Result::unwrap).collect() };
    let sealing = node.vault.sealing();
    let mut batch = node.store.batch();
    node.vault.stage(&mut batch, std::slice::from_ref(&own), &sealing).unwrap();
    let theirs = other.take_in(3, "Joan", "rest");
    send(&other, std::slice::from_ref(&theirs), &node).unwrap();
    let first = listed(0);
    assert_eq!(first, [(0, before)]);
    assert!(node.vault.entry(theirs.record_id).unwrap().is_some(), "what has come is here, all the same");
    batch.commit(Durability::Buffered).unwrap();
    drop(sealing);
    let rest = listed(1);
    assert_eq!(rest.iter().map(|(_, entry)| entry).collect::<Vec<_>>(), [&own.entry, &theirs]);

    let mut batch = node.store.batch();
    node.vault.stage(&mut batch, &[given_up], &node.vault.sealing()).unwrap();
    drop(batch);
    let last = node.take_in(4, "Jim", "rest");
    let from = rest[1].0 + 1;
    assert_eq!(listed(from), [(from + 1, last)], "what was never committed holds nobody up");
}
