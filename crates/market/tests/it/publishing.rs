//! Publishing for a data request: what the contract counted, for as long as the patient takes part.

use crate::stack::Stack;
use bxp_content::{ContentError, PeerId, Reader};
use bxp_market::{MarketError, Order};
use bxp_privacy::Purpose;
use bxp_types::{Address, BlockClass};
use std::time::{SystemTime, UNIX_EPOCH};

fn order(request: Address, reader: &Reader) -> Order {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let purpose = Purpose::Research { request };
    Order { purpose, readers: vec![reader.clone()], until_s: now + 600, patients: Vec::new() }
}

/// Goal: charts are published that were counted, and are given out only while their patients take part and the request is
/// open. Way: three patients, of whom two contribute; then one of these revokes; then one is erased.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_is_published_and_given_out_while_the_patient_takes_part() {
    let (stack, star, patients) = Stack::with_patients(3).await;
    star.contribute(&patients[..2], true).await;
    let (publisher, reader) = (star.publisher(), Reader::Peer(PeerId::random()));
    let request = stack.request(5, 3_600, 600).await;
    let early = publisher.publish(&order(request, &reader));
    assert!(matches!(early, Err(MarketError::NothingToPublish)), "nothing was counted yet");
    let agent = star.agent();
    stack.until("both are counted", || stack.progress(request).counted == 2).await;
    agent.stop().await;
    let disclosures = star.disclosed(patients[0]).len();
    let published = publisher.publish(&order(request, &reader)).unwrap();
    assert_eq!((published.charts, published.too_large), (2, 0));
    assert!(star.disclosed(patients[0]).len() > disclosures, "accounted for before anybody reads");
    assert_eq!(star.disclosed(patients[2]), [], "who does not contribute is not opened");

    let content = publisher.content();
    let root = published.publication.root;
    let walk = |reader: &Reader| content.view(reader.clone()).walk(&root).collect::<Result<Vec<_>, _>>();
    let blocks = walk(&reader).unwrap();
    assert_eq!(blocks.len(), 1 + 2 + published.records);
    let text: Vec<u8> = blocks.iter().flat_map(|block| block.bytes().to_vec()).collect();
    for stored in patients[..2].iter().flat_map(|patient| star.stored_records(*patient)) {
        assert!(!text.windows(stored.len()).any(|window| window == stored.as_bytes()), "fresh pseudonyms");
    }
    assert!(
        matches!(walk(&Reader::Peer(PeerId::random())), Err(ContentError::Incomplete(cid)) if cid == root)
    );
    let other = publisher.publish(&order(request, &reader)).unwrap().publication.root;
    assert_ne!(other, root, "two publications share no name");

    star.contribute(&patients[..1], false).await;
    let given = content.view(reader.clone()).walk(&root).take_while(Result::is_ok).count();
    assert!(given < blocks.len() && matches!(walk(&reader), Err(ContentError::Incomplete(_))));
    assert_eq!(walk(&Reader::Operator).unwrap().len(), blocks.len(), "the holder's own");

    let before = content.statistics().unwrap().blocks;
    star.ingest.erase_patient(star.subject_of(patients[1])).unwrap();
    publisher.sweep().unwrap();
    assert!(content.statistics().unwrap().blocks < before);
    assert!(matches!(walk(&Reader::Operator), Err(ContentError::Incomplete(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_and_readers_that_are_nobody_are_refused() {
    let (_stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let (publisher, reader) = (star.publisher(), Reader::Peer(PeerId::random()));
    assert!(publisher.publish(&order(Address::repeat_byte(9), &reader)).is_err());
    let patients = vec![star.subject_of(patients[0])];
    for reader in [reader, Reader::of_token("token")] {
        let oversight = Order {
            purpose: Purpose::Oversight,
            patients: patients.clone(),
            ..order(Address::ZERO, &reader)
        };
        assert!(matches!(publisher.publish(&oversight), Err(MarketError::Reader(_))));
    }
    assert_eq!(publisher.content().statistics().unwrap().blocks, 0);
}

/// An identity block of the vault is not taken in, not even sealed and by the operator; a de-identified one may be.
#[tokio::test(flavor = "multi_thread")]
async fn identity_blocks_stay_out_of_the_content_store() {
    let (_stack, star, patients) = Stack::with_patients(1).await;
    let record = star.ingest.chart(star.subject_of(patients[0])).unwrap()[0];
    let entry = star.vault.entry(record).unwrap().unwrap();
    let content = star.publisher().content().clone();
    for cid in [entry.identity_cid, entry.deidentified_cid] {
        let sealed = star.vault.block(&cid).unwrap().unwrap();
        let block = bxp_content::Block::verify(cid, sealed.bytes.0.clone()).unwrap();
        let file = [bxp_content::car::header(&[cid]), bxp_content::car::section(&block)].concat();
        let taken = content.import(file.as_slice());
        match sealed.class {
            BlockClass::Identity(_) => assert!(matches!(taken, Err(ContentError::Identifying(_)))),
            BlockClass::Deidentified => {
                assert_eq!(taken.unwrap(), [cid]);
                content.unpin(&cid).unwrap();
                assert_eq!(content.collect().unwrap().kept_blocks, 1, "the chain vouches for it");
            }
        }
    }
}
