//! The market's tables: open requests, matches, deliveries. Pseudonyms, addresses and ciphertext; no content in clear.

use crate::{MarketError, encoding};
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{Address, Bytes, Height, RecordId, SubjectId};
use cid::Cid;
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const CURSOR_KEY: &[u8] = b"followed";
const OPEN: &str = "row of an open request";
const MATCH: &str = "row of a match";
const DELIVERY: &str = "row of a delivery";

/// A request that may still want or owe something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenRow {
    v: u8,
    /// The block that opened it.
    pub(crate) height: u64,
    /// Records are matched up to this number of arrival in the vault.
    pub(crate) scanned: u64,
    /// All deliveries before this one are settled.
    pub(crate) unsettled: u64,
}

impl OpenRow {
    pub(crate) const fn new(height: Height) -> Self {
        Self { v: VERSION, height: height.0, scanned: 0, unsettled: 0 }
    }
}

/// Where a chart that fits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MatchState {
    /// It fits and is not delivered.
    Matched,
    /// It is in a delivery that the contract has not counted yet.
    Prepared,
    /// The contract counted it.
    Delivered,
    /// It is not to be delivered: counted through another chart, erased, or refused by the contract.
    LeftOut,
}

/// A chart that fits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// The record whose anchor is proven: the condition that fits.
    pub(crate) record: RecordId,
    pub(crate) state: MatchState,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchWire {
    v: u8,
    #[serde(with = "serde_bytes")]
    record: [u8; 16],
    state: MatchState,
}

/// A sealed delivery of this holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryRow {
    pub(crate) request: Address,
    /// Whose charts; forgotten once it is counted.
    pub(crate) subjects: Vec<SubjectId>,
    /// The transaction's calldata; forgotten once it is counted.
    pub(crate) call: Bytes,
    /// The delivery's number in the contract, once it is counted.
    pub(crate) number: Option<u64>,
    /// It is handed out until then, in seconds since the epoch.
    pub(crate) until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryWire {
    v: u8,
    #[serde(with = "serde_bytes")]
    request: [u8; 20],
    #[serde(with = "serde_bytes")]
    subjects: Vec<u8>,
    #[serde(with = "serde_bytes")]
    call: Vec<u8>,
    number: Option<u64>,
    until: u64,
}

/// The tables. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    store: Store,
    /// `followed` -> height (u64 BE).
    cursor: Table,
    /// Request -> [`OpenRow`].
    open: Table,
    /// Request || subject -> [`Match`].
    matches: Table,
    /// CID -> [`DeliveryRow`].
    deliveries: Table,
    /// CID -> sealed delivery.
    blocks: Table,
}

impl Tables {
    pub(crate) fn open(store: &Store) -> Result<Self, MarketError> {
        Ok(Self {
            store: store.clone(),
            cursor: store.table("market.cursor")?,
            open: store.table("market.open")?,
            matches: store.table("market.matches")?,
            deliveries: store.table("market.deliveries")?,
            blocks: store.table("market.blocks")?,
        })
    }

    pub(crate) fn batch(&self) -> Batch {
        self.store.batch()
    }

    /// The newest block whose logs were read; genesis has none.
    pub(crate) fn followed(&self) -> Result<Height, MarketError> {
        let Some(bytes) = self.cursor.get(CURSOR_KEY)? else { return Ok(Height(0)) };
        let bytes = bytes.as_ref().try_into().map_err(|_| MarketError::Malformed("cursor of the market"))?;
        Ok(Height(u64::from_be_bytes(bytes)))
    }

    pub(crate) fn put_followed(&self, batch: &mut Batch, height: Height) {
        batch.put(&self.cursor, CURSOR_KEY, height.0.to_be_bytes());
    }

    /// The open requests, by address.
    pub(crate) fn open_requests(&self) -> Result<Vec<(Address, OpenRow)>, MarketError> {
        let row = |row: bxp_storage::Result<bxp_storage::Entry>| {
            let (key, value) = row?;
            let request = Address::try_from(key.as_ref()).map_err(|_| MarketError::Malformed(OPEN))?;
            Ok((request, versioned(OPEN, encoding::decode::<OpenRow>(OPEN, &value)?, |row| row.v)?))
        };
        self.open.iter().map(row).collect()
    }

    pub(crate) fn open_request(&self, request: Address) -> Result<Option<OpenRow>, MarketError> {
        let Some(bytes) = self.open.get(request)? else { return Ok(None) };
        versioned(OPEN, encoding::decode::<OpenRow>(OPEN, &bytes)?, |row| row.v).map(Some)
    }

    pub(crate) fn put_open(
        &self,
        batch: &mut Batch,
        request: Address,
        row: &OpenRow,
    ) -> Result<(), MarketError> {
        batch.put(&self.open, request, encoding::encode(OPEN, row)?);
        Ok(())
    }

    /// Forgets a request and its matches. Deliveries stay until they expire.
    pub(crate) fn close(&self, request: Address) -> Result<(), MarketError> {
        let mut batch = self.batch();
        batch.remove(&self.open, request);
        for row in self.matches.iter_prefix(request) {
            batch.remove(&self.matches, row?.0);
        }
        Ok(batch.commit(Durability::Synced)?)
    }

    pub(crate) fn match_of(
        &self,
        request: Address,
        subject: SubjectId,
    ) -> Result<Option<Match>, MarketError> {
        let row = self.matches.get(match_key(request, subject))?;
        row.map(|bytes| decode_match(&bytes)).transpose()
    }

    /// The matches of a request in the order of the patients' pseudonyms, which is random.
    pub(crate) fn matches(
        &self,
        request: Address,
    ) -> impl Iterator<Item = Result<(SubjectId, Match), MarketError>> + use<> {
        self.matches.iter_prefix(request).map(|row| {
            let (key, value) = row?;
            let subject = key.last_chunk::<16>().ok_or(MarketError::Malformed(MATCH))?;
            Ok((SubjectId(*subject), decode_match(&value)?))
        })
    }

    pub(crate) fn put_match(
        &self,
        batch: &mut Batch,
        request: Address,
        subject: SubjectId,
        one: Match,
    ) -> Result<(), MarketError> {
        let wire = MatchWire { v: VERSION, record: one.record.0, state: one.state };
        batch.put(&self.matches, match_key(request, subject), encoding::encode(MATCH, &wire)?);
        Ok(())
    }

    pub(crate) fn remove_match(&self, batch: &mut Batch, request: Address, subject: SubjectId) {
        batch.remove(&self.matches, match_key(request, subject));
    }

    /// Sets the state of matches that are there.
    pub(crate) fn set_states(
        &self,
        batch: &mut Batch,
        request: Address,
        subjects: &[SubjectId],
        state: MatchState,
    ) -> Result<(), MarketError> {
        for subject in subjects {
            if let Some(one) = self.match_of(request, *subject)? {
                self.put_match(batch, request, *subject, Match { state, ..one })?;
            }
        }
        Ok(())
    }

    pub(crate) fn delivery(&self, cid: &Cid) -> Result<Option<DeliveryRow>, MarketError> {
        self.deliveries.get(cid.to_bytes())?.map(|bytes| DeliveryRow::decode(&bytes)).transpose()
    }

    /// All deliveries that are kept.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = Result<(Cid, DeliveryRow), MarketError>> + use<> {
        self.deliveries.iter().map(|row| {
            let (key, value) = row?;
            let cid = Cid::try_from(key.as_ref()).map_err(|_| MarketError::Malformed(DELIVERY))?;
            Ok((cid, DeliveryRow::decode(&value)?))
        })
    }

    pub(crate) fn put_delivery(
        &self,
        batch: &mut Batch,
        cid: &Cid,
        row: &DeliveryRow,
    ) -> Result<(), MarketError> {
        batch.put(&self.deliveries, cid.to_bytes(), row.encode()?);
        Ok(())
    }

    pub(crate) fn put_block(&self, batch: &mut Batch, cid: &Cid, sealed: &[u8]) {
        batch.put(&self.blocks, cid.to_bytes(), sealed);
    }

    pub(crate) fn block(&self, cid: &Cid) -> Result<Option<Bytes>, MarketError> {
        Ok(self.blocks.get(cid.to_bytes())?.map(Into::into))
    }

    pub(crate) fn remove_delivery(&self, batch: &mut Batch, cid: &Cid) {
        batch.remove(&self.deliveries, cid.to_bytes());
        batch.remove(&self.blocks, cid.to_bytes());
    }
}

impl DeliveryRow {
    fn encode(&self) -> Result<Vec<u8>, MarketError> {
        let wire = DeliveryWire {
            v: VERSION,
            request: self.request.0.0,
            subjects: self.subjects.iter().flat_map(|subject| subject.0).collect(),
            call: self.call.to_vec(),
            number: self.number,
            until: self.until,
        };
        encoding::encode(DELIVERY, &wire)
    }

    fn decode(bytes: &[u8]) -> Result<Self, MarketError> {
        let wire: DeliveryWire = encoding::decode(DELIVERY, bytes)?;
        let wire = versioned(DELIVERY, wire, |wire| wire.v)?;
        let (subjects, []) = wire.subjects.as_chunks::<16>() else {
            return Err(MarketError::Malformed(DELIVERY));
        };
        Ok(Self {
            request: wire.request.into(),
            subjects: subjects.iter().copied().map(SubjectId).collect(),
            call: wire.call.into(),
            number: wire.number,
            until: wire.until,
        })
    }
}

fn decode_match(bytes: &[u8]) -> Result<Match, MarketError> {
    let wire: MatchWire = versioned(MATCH, encoding::decode(MATCH, bytes)?, |wire: &MatchWire| wire.v)?;
    Ok(Match { record: RecordId(wire.record), state: wire.state })
}

fn versioned<T>(what: &'static str, row: T, version: impl Fn(&T) -> u8) -> Result<T, MarketError> {
    if version(&row) == VERSION { Ok(row) } else { Err(MarketError::Malformed(what)) }
}

fn match_key(request: Address, subject: SubjectId) -> Vec<u8> {
    [request.as_slice(), &subject.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::NetworkId;
    use proptest::prelude::*;

    fn delivery() -> DeliveryRow {
        DeliveryRow {
            request: Address::repeat_byte(1),
            subjects: vec![SubjectId([2; 16]), SubjectId([3; 16])],
            call: Bytes::from_static(&[4, 5]),
            number: Some(6),
            until: 7,
        }
    }

    #[test]
    fn rows_are_pinned() {
        let row = delivery().encode().unwrap();
        let expected = [
            b"\xa6\x61v\x01\x64call\x42\x04\x05\x65until\x07\x66number\x06\x67request\x54".as_slice(),
            &[1; 20],
            b"\x68subjects\x58\x20",
            &[2; 16],
            &[3; 16],
        ];
        assert_eq!(row, expected.concat());
        assert_eq!(DeliveryRow::decode(&row).unwrap(), delivery());
        let open = encoding::encode(OPEN, &OpenRow::new(Height(3))).unwrap();
        assert_eq!(open, b"\xa4\x61v\x01\x66height\x03\x67scanned\x00\x69unsettled\x00");
        let wire = MatchWire { v: VERSION, record: [8; 16], state: MatchState::LeftOut };
        let expected = [b"\xa3\x61v\x01\x65state\x68left-out\x66record\x50".as_slice(), &[8; 16]].concat();
        assert_eq!(encoding::encode(MATCH, &wire).unwrap(), expected);
    }

    #[test]
    fn closing_a_request_forgets_its_matches_and_keeps_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), NetworkId([1; 32])).unwrap();
        let tables = Tables::open(&store).unwrap();
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut batch = tables.batch();
        for request in [one, two] {
            tables.put_open(&mut batch, request, &OpenRow::new(Height(1))).unwrap();
            let fits = Match { record: RecordId([3; 16]), state: MatchState::Matched };
            tables.put_match(&mut batch, request, SubjectId([4; 16]), fits).unwrap();
        }
        tables.put_followed(&mut batch, Height(9));
        batch.commit(Durability::Synced).unwrap();
        let mut batch = tables.batch();
        tables.set_states(&mut batch, two, &[SubjectId([4; 16])], MatchState::Prepared).unwrap();
        tables.set_states(&mut batch, two, &[SubjectId([5; 16])], MatchState::Prepared).unwrap();
        batch.commit(Durability::Synced).unwrap();
        tables.close(one).unwrap();
        assert_eq!(tables.open_requests().unwrap().len(), 1);
        assert_eq!(tables.matches(one).count(), 0);
        let left: Vec<_> = tables.matches(two).map(Result::unwrap).collect();
        assert_eq!((left.len(), left[0].1.state), (1, MatchState::Prepared));
        assert_eq!(tables.followed().unwrap(), Height(9));
    }

    proptest! {
        #[test]
        fn arbitrary_rows_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(DeliveryRow::decode(&bytes).is_err());
            prop_assert!(decode_match(&bytes).is_err());
        }
    }
}
