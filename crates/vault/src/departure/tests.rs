//! The rows of departures, and their keys, in bytes.

use super::*;

/// Written by hand after the DAG-CBOR specification: keys by length, then by bytes.
#[test]
fn the_row_of_a_departure_is_pinned() {
    let expected = [
        b"\xa4".as_slice(),                                 // a map of four
        b"\x64next\x18\x2a",                                // 42
        b"\x66before\x43\x01\x02\x03",                      // three bytes
        b"\x66height\x07",                                  // 7
        b"\x67notedMs\x1b\x00\x00\x01\x8b\xcf\xe5\x68\x00", // 1,700,000,000,000
    ]
    .concat();
    let before = ByteBuf::from(vec![1, 2, 3]);
    let row = Row { height: 7, noted_ms: 1_700_000_000_000, next: 42, before: before.clone() };
    assert_eq!(encoding::encode(WHAT, &row).unwrap(), expected);
    let read: Row = encoding::decode(WHAT, &expected).unwrap();
    assert_eq!((read.height, read.noted_ms, read.next, read.before), (7, 1_700_000_000_000, 42, before));
}

#[test]
fn keys_are_pinned() {
    let (node, country) = (ValidatorIndex(0x0102), Jurisdiction::DE);
    let departure = b"\x01\x02DE"; // the node and the country
    assert_eq!(key(node, country), departure);
    assert_eq!(read_key(departure).unwrap(), (node, country));
    for other in
        [b"\x01\x02de".as_slice(), b"\x01\x02De", b"\x01\x02 DE ", b"\x01\x02DE\n", b"\x01\x02D", b"\x01"]
    {
        assert!(matches!(read_key(other), Err(VaultError::Malformed(WHAT))), "{other:?}");
    }
    let part = [
        departure.as_slice(),                // the departure
        b"\x00\x00\x00\x00\x00\x00\x03\x04", // the height, 8 bytes
        b"\x00\x00\x05\x06",                 // the number of the part, 4 bytes
    ];
    assert_eq!(part_key(node, country, 0x0304, 0x0506), part.concat());
}
