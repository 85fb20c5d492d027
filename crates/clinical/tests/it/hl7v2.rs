//! HL7 v2 messages through the inbox into a real vault.

use crate::node::{Node, clock, cluster};
use bxp_clinical::inbox::{Inbox, Outcome};
use bxp_hl7v2::{Limits, Message, patient_candidates};
use bxp_types::Jurisdiction;
use std::path::Path;

const US: Jurisdiction = Jurisdiction::US;

fn message(control_id: &str, event: &str, more: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|HOSP|BXP|STAR|20260101120000+0000||{event}|{control_id}|P|2.5.1\rPID|1||7001^^^HOSP^MR||Quillfeather^Zebulon||19610412|M|||1 Elm St^^Springfield^IL^62701^USA\r{more}"
    )
}

fn inbox(node: &Node) -> Inbox {
    Inbox::new(node.enclave.clone(), node.ingest.clone(), clock())
}

fn code(answer: &str) -> &str {
    answer.split("\rMSA|").nth(1).unwrap().get(..2).unwrap()
}

#[test]
fn a_message_is_taken_once_and_answered_alike_when_it_comes_again() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let inbox = inbox(node);
    let first = message("1", "ADT^A01^ADT_A01", "PV1|1|I|W^1^1||||||||||||||||V1^^^HOSP\r");
    let taken = inbox.receive(first.as_bytes());
    assert_eq!((taken.outcome, code(&taken.answers[0])), (Outcome::Accepted, "AA"));
    let records = node.ingest.backlog().unwrap().batches;

    // The time of sending may differ; the answer is the one that was given.
    let resent = first.replace("20260101120000", "20260101120900");
    let again = inbox.receive(resent.as_bytes());
    assert_eq!((again.outcome, &again.answers), (Outcome::Duplicate, &taken.answers));
    assert_eq!(node.ingest.backlog().unwrap().batches, records);

    // Another message under the same control id is another message.
    let other = message("1", "ADT^A08^ADT_A01", "PV1|1|O|W^2^1||||||||||||||||V1^^^HOSP\r");
    assert_eq!(inbox.receive(other.as_bytes()).outcome, Outcome::Accepted);
    assert_eq!(node.ingest.patients().count(), 1, "the same number of the same assigner is the same patient");
}

/// Goal: an erasure leaves no dead letter about the patient, and leaves those of others. Way: letters that are refused and
/// letters that nobody can read, of two patients; one of them is erased.
#[test]
fn dead_letters_of_an_erased_patient_go_with_the_erasure() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let inbox = inbox(node);
    let other = |text: String| text.replace("7001^^^HOSP", "8002^^^HOSP").replace("Zebulon", "Other");
    for text in [message("1", "ADT^A04^ADT_A01", ""), other(message("2", "ADT^A04^ADT_A01", ""))] {
        assert_eq!(inbox.receive(text.as_bytes()).outcome, Outcome::Accepted);
    }
    // An unknown version, and a message whose header is cut off.
    let later = message("3", "ADT^A08^ADT_A01", "").replace("2.5.1", "7.5.1");
    let cut = format!("SH|{}", message("4", "ADT^A08^ADT_A01", ""));
    for text in [other(later.clone()), later, other(cut.clone()), cut] {
        assert_eq!(inbox.receive(text.as_bytes()).outcome, Outcome::Unreadable);
    }
    assert_eq!(inbox.dead_letters().unwrap().len(), 4);
    let first = message("1", "ADT^A04^ADT_A01", "");
    let first = Message::parse(&first, &Limits::default()).unwrap();
    let record = node.ingest.find("Patient", &patient_candidates(&first)[0]).unwrap().unwrap().record;
    let subject = node.vault.entry(record).unwrap().unwrap().subject;
    node.ingest.erase_patient(subject).unwrap();
    let left: Vec<u64> = inbox.dead_letters().unwrap().iter().map(|letter| letter.number).collect();
    assert_eq!(left, [1, 3], "those of the other patient");
}

#[test]
fn a_patient_who_comes_with_fewer_identifiers_is_still_the_same() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let inbox = inbox(node);
    let both = message("1", "ADT^A04^ADT_A01", "").replace("7001^^^HOSP^MR", "7001^^^HOSP^MR~55^^^REGION^PI");
    let one = message("2", "ADT^A08^ADT_A01", "").replace("7001^^^HOSP^MR", "55^^^REGION^PI");
    let stranger = message("3", "ADT^A08^ADT_A01", "").replace("7001^^^HOSP^MR", "7001^^^OTHER^MR");
    for text in [&one, &both] {
        assert_eq!(inbox.receive(text.as_bytes()).outcome, Outcome::Accepted);
    }
    assert_eq!(node.ingest.patients().count(), 1);
    assert_eq!(inbox.receive(stranger.as_bytes()).outcome, Outcome::Accepted);
    assert_eq!(node.ingest.patients().count(), 2);
}

#[test]
fn a_message_that_is_not_taken_is_kept_sealed_and_replayed() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let inbox = inbox(node);
    let foreign = message("1", "ADT^A01^ADT_A01", "").replace("USA", "DEU");
    let refused = inbox.receive(foreign.as_bytes());
    assert_eq!((refused.outcome, code(&refused.answers[0])), (Outcome::Refused, "AE"));
    assert!(refused.answers[0].contains("\rERR||") && refused.answers[0].contains("row A12"));
    assert!(!refused.answers[0].contains("Quillfeather"));

    let unreadable = inbox.receive(b"MSH|^~\\&|LAB|HOSP|||2026||ADT^A01|9|P|2.5\rPID Quillfeather");
    assert_eq!((unreadable.outcome, code(&unreadable.answers[0])), (Outcome::Unreadable, "AR"));
    assert!(unreadable.answers[0].contains("MSA|AR|9"));
    assert_eq!(inbox.receive(foreign.as_bytes()).outcome, Outcome::Refused);

    let letters = inbox.dead_letters().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.number).collect::<Vec<_>>(), [1, 2], "one a message");
    let shown = format!("{letters:?}");
    assert!(!shown.contains("Quillfeather") && letters[0].reasons[0].contains("row A12"));
    let replayed = inbox.replay(None).unwrap();
    assert!(replayed.iter().all(|one| !one.taken && !one.reasons.is_empty()));
    assert!(inbox.replay(Some(77)).unwrap().is_empty());
    assert_eq!(inbox.dead_letters().unwrap().len(), 2);
}

#[test]
fn what_the_sender_wishes_to_hear_is_said() {
    let cluster = cluster(&[US]);
    let inbox = inbox(&cluster.nodes[0]);
    let with = |number: &str, wish: &str| {
        message(number, "ADT^A01^ADT_A01", "").replace("|P|2.5.1\r", &format!("|P|2.5.1|||{wish}\r"))
    };
    let said = |text: String| -> Vec<String> {
        let received = inbox.receive(text.as_bytes());
        received.answers.iter().map(|answer| code(answer).to_owned()).collect()
    };
    assert_eq!(said(with("1", "AL|AL")), ["CA", "AA"]);
    assert_eq!(said(with("2", "AL|NE")), ["CA"]);
    assert_eq!(said(with("3", "NE|ER")), Vec::<String>::new());
    assert_eq!(said(with("4", "ER|ER").replace("USA", "DEU")), ["CE", "AE"]);
    assert_eq!(said(message("5", "ADT^A01", "").replace("|2.5.1", "|9.9")), ["AR"]);
}

#[test]
fn nothing_that_identifies_lies_in_the_clear() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let inbox = inbox(node);
    let taken = inbox.receive(message("1", "ADT^A01^ADT_A01", "").as_bytes());
    let refused = inbox.receive(message("2", "ADT^A01^ADT_A01", "").replace("USA", "DEU").as_bytes());
    assert_eq!((taken.outcome, refused.outcome), (Outcome::Accepted, Outcome::Refused));
    drop(inbox);
    let mut searched = 0;
    search(node.dir.path(), &mut searched);
    assert!(searched > 10_000, "{searched} bytes");
}

fn search(folder: &Path, searched: &mut usize) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            search(&path, searched);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        *searched += bytes.len();
        for planted in [b"Quillfeather".as_slice(), b"Zebulon", b"7001^^^HOSP"] {
            assert!(!bytes.windows(planted.len()).any(|window| window == planted), "{}", path.display());
        }
    }
}
