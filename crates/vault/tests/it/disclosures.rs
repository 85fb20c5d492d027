//! The accounting of disclosures: complete, chained, and before the data.

use crate::node::{Node, START_MS};
use bxp_privacy::Purpose;
use bxp_storage::Durability;
use bxp_types::{BlockClass, Jurisdiction, ValidatorIndex};
use bxp_vault::VaultError;

#[test]
fn every_opening_for_someone_else_is_accounted_for() {
    let node = Node::new(0, Jurisdiction::US);
    let (jane, john) = (node.take_in(1, "Jane", "rest"), node.take_in(2, "John", "rest"));
    let own = node.own_permit(node.identity_class());
    node.vault.open_identity(jane.record_id, &own).unwrap();
    node.vault.open_deidentified_all(&[jane.record_id, john.record_id], &own).unwrap();
    assert_eq!(node.vault.disclosure_head().0, 0, "the holder's own work is none");

    let doctor = node.treatment(3, Jurisdiction::US, jane.record_id, node.identity_class());
    node.vault.open_identity(jane.record_id, &doctor).unwrap();
    node.later(5);
    node.vault.open_deidentified(jane.record_id, &doctor).unwrap();
    node.vault.open_deidentified(john.record_id, &node.research(2)).unwrap();
    assert!(node.vault.open_identity(john.record_id, &doctor).is_err());

    let node = node.reopen();
    let rows = node.vault.disclosures_of(jane.subject).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].class, rows[1].class), (node.identity_class(), BlockClass::Deidentified));
    assert_eq!((rows[0].time_ms, rows[1].time_ms), (START_MS, START_MS + 5));
    assert_eq!((rows[0].requester, rows[0].purpose), (ValidatorIndex(3), Purpose::Treatment));
    let rows = node.vault.disclosures_of(john.subject).unwrap();
    assert!(matches!(rows[..], [ref row] if matches!(row.purpose, Purpose::Research { .. })));
    assert_eq!(node.vault.verify_disclosures().unwrap(), 3);

    let doctor = node.treatment(3, Jurisdiction::US, jane.record_id, node.identity_class());
    let whole = node.vault.open_whole_all(&[jane.record_id], &doctor).unwrap();
    assert_eq!((whole[0].0.expose().as_ref(), whole[0].1.as_ref()), (b"Jane".as_slice(), b"rest".as_slice()));
    assert_eq!(node.vault.disclosures_of(jane.subject).unwrap().len(), 4, "a row for each side");
    assert!(node.vault.open_whole_all(&[jane.record_id, john.record_id], &doctor).is_err());
    assert_eq!(
        node.vault.disclosures_of(jane.subject).unwrap().len(),
        4,
        "nothing came out, nothing is noted"
    );
}

#[test]
fn a_row_that_was_changed_taken_out_or_cut_off_is_noticed() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    for _ in 0..4 {
        node.vault.open_deidentified(entry.record_id, &node.research(1)).unwrap();
    }
    assert_eq!(node.vault.verify_disclosures().unwrap(), 4);
    let table = node.store.table("vault.disclosures").unwrap();
    let rows: Vec<_> = table.iter().map(Result::unwrap).collect();
    let check = |write: &dyn Fn(&mut bxp_storage::Batch)| {
        let mut batch = node.store.batch();
        write(&mut batch);
        batch.commit(Durability::Buffered).unwrap();
        let verified = node.vault.verify_disclosures();
        let mut batch = node.store.batch();
        rows.iter().for_each(|(key, row)| batch.put(&table, key, row));
        batch.commit(Durability::Buffered).unwrap();
        verified
    };
    let mut later = rows[1].1.to_vec();
    let time = later.windows(6).position(|window| window == b"timeMs").unwrap() + 14;
    later[time] ^= 1;
    assert!(matches!(check(&|batch| batch.put(&table, &rows[1].0, &later)), Err(VaultError::BrokenChain(2))));
    assert!(matches!(check(&|batch| batch.remove(&table, &rows[2].0)), Err(VaultError::BrokenChain(2))));
    assert!(matches!(check(&|batch| batch.remove(&table, &rows[3].0)), Err(VaultError::BrokenChain(3))));
    assert_eq!(check(&|_| ()).unwrap(), 4);
}

#[test]
fn concurrent_openings_make_one_chain() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    node.vault.open_deidentified(entry.record_id, &node.research(1)).unwrap();
                }
            });
        }
    });
    assert_eq!(node.vault.verify_disclosures().unwrap(), 20);
    assert_eq!(node.vault.disclosures_of(entry.subject).unwrap().len(), 20);
}
