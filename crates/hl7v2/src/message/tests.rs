//! Tests of the parser.

use super::*;
use proptest::prelude::*;

const HEADER: &str = "MSH|^~\\&|A|B|C|D|20200101||ADT^A01^ADT_A01|1|P|2.5.1";

fn parse(text: &str) -> Result<Message<'_>, Hl7Error> {
    Message::parse(text, &Limits::default())
}

#[test]
fn fields_are_counted_as_hl7_counts() {
    let text = format!("{HEADER}\rPID|1||7^^^H&1.2.3&ISO^MR~8^^^K||Do\\T\\e^J&x||\"\"|\rZAB|z");
    let message = parse(&text).unwrap();
    let header = message.header();
    assert_eq!(
        (header.value(3), header.field(1).raw(), header.field(2).raw()),
        ("A".to_owned(), "|", "^~\\&")
    );
    assert_eq!(header.field_count(), 12);
    assert_eq!(message.kind(), ("ADT".to_owned(), "A01".to_owned(), "ADT_A01".to_owned()));
    let patient = message.named("PID").next().unwrap();
    let ids: Vec<_> = patient.field(3).repetitions().map(|one| one.component(1)).collect();
    assert_eq!(ids, ["7", "8"]);
    assert_eq!(patient.field(3).first().subcomponent(4, 2), "1.2.3");
    assert_eq!(patient.field(3).first().nested(4).component(3), "ISO");
    assert_eq!((patient.value(5), patient.field(5).first().subcomponent(2, 2)), ("Do&e".into(), "x".into()));
    assert!(!patient.has(7), "HL7's null is nothing");
    assert!(!patient.has(99) && patient.field(0).is_empty());
    assert_eq!(message.named("ZAB").next().unwrap().value(1), "z");
}

#[test]
fn every_ending_of_segments_is_taken() {
    for ending in ["\r", "\n", "\r\n", "\n\n", "\r\r"] {
        let text = format!("\u{feff}{HEADER}{ending}PID|1{ending}PV1|1{ending}");
        let names: Vec<_> = parse(&text).unwrap().segments().iter().map(|one| one.name.to_owned()).collect();
        assert_eq!(names, ["MSH", "PID", "PV1"], "{ending:?}");
    }
    // A line feed within a text, where segments end with returns.
    let text = format!("{HEADER}\rOBX|1|TX|a||one\ntwo\rOBX|2\n");
    let message = parse(&text).unwrap();
    assert_eq!(message.segments()[1].value(5), "one\ntwo");
    assert_eq!(message.segments().len(), 3);
}

#[test]
fn escapes_are_read_and_unknown_ones_stay() {
    let table = [
        ("a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f", "a|b^c~d\\e&f"),
        ("\\X48656C6C6F\\!", "Hello!"),
        ("\\XE4\\", "ä"),
        ("a\\.br\\b\\.sp2\\c", "a\nb\n\nc"),
        ("\\H\\loud\\N\\", "loud"),
        ("\\Zxx\\", "\\Zxx\\"),
        ("never \\ends", "never \\ends"),
        ("\\XZZ\\", "\\XZZ\\"),
    ];
    let separators = parse(HEADER).unwrap().separators();
    for (escaped, plain) in table {
        assert_eq!(escape::unescape(escaped, separators), plain);
    }
}

#[test]
fn other_separators_are_taken_and_wrong_ones_named() {
    let message = parse("MSH$%*/@$A$B\rPID$1$$7%x*8").unwrap();
    assert_eq!(message.segments()[1].field(3).repetitions().count(), 2);
    let bare = parse("MSH|^~|A\rPID|||a&b").unwrap();
    assert_eq!(bare.segments()[1].value(3), "a&b");
    let table = [
        ("", "empty"),
        ("PID|1", "does not begin with MSH"),
        ("MSH", "MSH-1: the field separator is missing"),
        ("MSHA^~\\&A", "MSH-1"),
        ("MSH|^|A", "MSH-2: must name at least"),
        ("MSH|^^\\&|A", "MSH-2: two separators are the same"),
        ("MSH|^~\\|&|A\r&", "line 2"),
        ("MSH|^~\\&#!|A", "more than five"),
        ("MSH|^~\\&|A\rPID^1^2", "line 2: no segment"),
        ("MSH|^~\\&|A\nJane Doe", "line 2: no segment"),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("Jane"), "{error}");
    }
}

#[test]
fn what_is_too_much_is_refused_with_its_place() {
    let repetitions = format!("{HEADER}\rPID|1||{}", "7~".repeat(10_000));
    assert_eq!(parse(&repetitions).unwrap_err().to_string(), "PID-3: more than 1000 repetitions");
    let fields = format!("{HEADER}\rPID{}", "|".repeat(5_000));
    assert_eq!(parse(&fields).unwrap_err().to_string(), "PID: more than 512 fields");
    let segments = format!("{HEADER}{}", "\rNTE|1".repeat(20_000));
    assert!(parse(&segments).unwrap_err().to_string().ends_with("more than 20000 segments"));
    let limits = Limits { bytes_max: 10, ..Limits::default() };
    assert_eq!(Message::parse(HEADER, &limits).unwrap_err(), Hl7Error::TooLarge { bytes_max: 10 });
    let huge = format!("{HEADER}\rOBX|1|ED|x||{}", "A".repeat(8 << 20));
    assert_eq!(parse(&huge).unwrap().segments()[1].value(5).len(), 8 << 20);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(MSH[|#A]\\PC{0,6}[|]){0,1}[A-Z|^~\\\\&\r\n\"\\PC]{0,200}") {
        if let Ok(message) = parse(&text) {
            for segment in message.segments() {
                for number in 0..=segment.field_count() + 1 {
                    for one in segment.field(number).repetitions() {
                        let _ = (one.component(1), one.subcomponent(2, 2), one.nested(1).component(1), one.whole_text());
                    }
                }
            }
        }
    }
}
