//! De-identified records as a DAG: a set of charts, each a list of records, in DAG-CBOR.
//!
//! ```text
//! set    {v: 1, kind: "bxp/record-set", holder: bytes (20), purpose: text, request: bytes (20) or null,
//!         profile: text, rules: [bytes (32)], charts: [link]}
//! chart  {v: 1, kind: "bxp/chart", subject: bytes (16), records: [link]}
//! record {v: 1, kind: "bxp/record", salt: bytes (16), resource: text}
//! ```
//!
//! `resource` is the exact JSON of a de-identified FHIR resource: a number of FHIR is a text with its digits, which
//! no number of CBOR keeps (ADR 8). `salt` is random, so that a CID cannot be found by guessing a short record. Equal
//! input gives equal bytes.

use crate::{BLOCK_BYTES_MAX, Block, Codec, ContentError, NewBlock, access::purpose_name};
use bxp_privacy::Purpose;
use bxp_types::{Address, B256, RecordId, SubjectId};
use cid::Cid;
use ipld_core::ipld::Ipld;

const VERSION: i128 = 1;

/// What a record's block has beside the text of its resource.
const AROUND_BYTES: usize = 128;

/// The longest text of a resource that fits a block.
pub const RESOURCE_BYTES_MAX: usize = BLOCK_BYTES_MAX - AROUND_BYTES;

/// A record as it leaves.
#[derive(Clone)]
pub struct ReleasedRecord {
    /// Its id at the holder, which stays there.
    pub record: RecordId,
    /// Random bits.
    pub salt: [u8; 16],
    /// The JSON of the de-identified resource.
    pub resource: String,
}

/// One patient's records as they leave.
pub struct ReleasedChart {
    /// The patient's pseudonym at the holder, which stays there.
    pub patient: SubjectId,
    /// The patient's pseudonym in this set.
    pub subject: [u8; 16],
    /// The records.
    pub records: Vec<ReleasedRecord>,
}

/// Charts, and by which rules they leave.
pub struct RecordSet {
    /// The account of the node that gives them out.
    pub holder: Address,
    /// What for.
    pub purpose: Purpose,
    /// The rule of 45 CFR 164.514 by which they leave.
    pub profile: String,
    /// Digests of the rule tables that split the records, ascending.
    pub rules: Vec<B256>,
    /// The charts.
    pub charts: Vec<ReleasedChart>,
}

impl RecordSet {
    /// The DAG: its root, and all blocks.
    ///
    /// # Errors
    /// [`ContentError::Draft`] for a purpose that nothing is published for, [`ContentError::BlockTooLarge`] for a
    /// resource above [`RESOURCE_BYTES_MAX`], and for a chart or a set of more than about 45,000 links.
    pub fn into_blocks(self) -> Result<(Cid, Vec<NewBlock>), ContentError> {
        let purpose =
            purpose_name(self.purpose).ok_or(ContentError::Draft("nothing is published for this purpose"))?;
        let (mut blocks, mut charts) = (Vec::new(), Vec::new());
        for chart in self.charts {
            let mut links = Vec::with_capacity(chart.records.len());
            for one in chart.records {
                let block = record_block(one.salt, one.resource)?;
                links.push(*block.cid());
                blocks.push(NewBlock { block, record: Some(one.record), patient: Some(chart.patient) });
            }
            let block = chart_block(chart.subject, &links)?;
            charts.push(*block.cid());
            blocks.push(NewBlock { block, record: None, patient: None });
        }
        let request = match self.purpose {
            Purpose::Research { request } => Ipld::Bytes(request.to_vec()),
            _ => Ipld::Null,
        };
        let rules = self.rules.iter().map(|digest| Ipld::Bytes(digest.to_vec())).collect();
        let root = block(
            "bxp/record-set",
            [
                ("holder", Ipld::Bytes(self.holder.to_vec())),
                ("purpose", Ipld::String(purpose.to_owned())),
                ("request", request),
                ("profile", Ipld::String(self.profile)),
                ("rules", Ipld::List(rules)),
                ("charts", list(&charts)),
            ],
        )?;
        let name = *root.cid();
        blocks.push(NewBlock { block: root, record: None, patient: None });
        Ok((name, blocks))
    }
}

fn record_block(salt: [u8; 16], resource: String) -> Result<Block, ContentError> {
    block("bxp/record", [("salt", Ipld::Bytes(salt.to_vec())), ("resource", Ipld::String(resource))])
}

fn chart_block(subject: [u8; 16], records: &[Cid]) -> Result<Block, ContentError> {
    block("bxp/chart", [("subject", Ipld::Bytes(subject.to_vec())), ("records", list(records))])
}

fn list(links: &[Cid]) -> Ipld {
    Ipld::List(links.iter().copied().map(Ipld::Link).collect())
}

fn block<const N: usize>(kind: &str, entries: [(&str, Ipld); N]) -> Result<Block, ContentError> {
    let always = [("v", Ipld::Integer(VERSION)), ("kind", Ipld::String(kind.to_owned()))];
    let entries = always.into_iter().chain(entries).map(|(key, value)| (key.to_owned(), value));
    let bytes = serde_ipld_dagcbor::to_vec(&Ipld::Map(entries.collect()));
    Block::new(Codec::DagCbor, bytes.map_err(|_| ContentError::Damaged("record set"))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> RecordSet {
        let record = ReleasedRecord {
            record: RecordId([1; 16]),
            salt: [2; 16],
            resource: r#"{"resourceType":"Patient"}"#.to_owned(),
        };
        RecordSet {
            holder: Address::repeat_byte(3),
            purpose: Purpose::Research { request: Address::repeat_byte(4) },
            profile: "safe-harbor".to_owned(),
            rules: vec![B256::repeat_byte(5)],
            charts: vec![ReleasedChart {
                patient: SubjectId([6; 16]),
                subject: [7; 16],
                records: vec![record],
            }],
        }
    }

    /// Bytes written by hand after the DAG-CBOR specification: keys by length, then by bytes.
    #[test]
    fn the_form_is_pinned() {
        let (root, blocks) = set().into_blocks().unwrap();
        let [record, chart, top] = blocks.as_slice() else { panic!("three blocks") };
        let link = |block: &Block| [&b"\xd8\x2a\x58\x25\x00"[..], &block.cid().to_bytes()].concat();
        let expected = [
            &b"\xa4\x61v\x01\x64kind\x6abxp/record\x64salt\x50"[..],
            &[2; 16],
            b"\x68resource\x78\x1a",
            br#"{"resourceType":"Patient"}"#,
        ];
        assert_eq!(*record.block.bytes(), expected.concat());
        let expected = [
            &b"\xa4\x61v\x01\x64kind\x69bxp/chart\x67records\x81"[..],
            &link(&record.block),
            b"\x67subject\x50",
            &[7; 16],
        ];
        assert_eq!(*chart.block.bytes(), expected.concat());
        let expected = [
            &b"\xa8\x61v\x01\x64kind\x6ebxp/record-set\x65rules\x81\x58\x20"[..],
            &[5; 32],
            b"\x66charts\x81",
            &link(&chart.block),
            b"\x66holder\x54",
            &[3; 20],
            b"\x67profile\x6bsafe-harbor\x67purpose\x68research\x67request\x54",
            &[4; 20],
        ];
        assert_eq!(*top.block.bytes(), expected.concat());
        assert_eq!(root, *top.block.cid());
        assert_eq!((record.record, record.patient), (Some(RecordId([1; 16])), Some(SubjectId([6; 16]))));
        let again: Vec<_> = set().into_blocks().unwrap().1.into_iter().map(|one| one.block).collect();
        assert_eq!(
            again,
            blocks.into_iter().map(|one| one.block).collect::<Vec<_>>(),
            "equal input, equal bytes"
        );
    }

    #[test]
    fn the_largest_resource_fits_and_operations_are_not_published() {
        let sized = |length: usize| {
            let mut set = set();
            set.charts[0].records[0].resource = "x".repeat(length);
            set.into_blocks()
        };
        assert!(sized(RESOURCE_BYTES_MAX).is_ok());
        assert!(matches!(sized(BLOCK_BYTES_MAX), Err(ContentError::BlockTooLarge { .. })));
        assert!(RecordSet { purpose: Purpose::Operations, ..set() }.into_blocks().is_err());
    }
}
