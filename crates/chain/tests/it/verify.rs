//! Verifying a stored chain: a whole one has no findings, and each damage is found and named.

use crate::cluster::{Cluster, Wallet};
use alloy_consensus::{Receipt, ReceiptEnvelope, ReceiptWithBloom, transaction::TxHashRef as _};
use alloy_primitives::{Address, Bloom, Log, LogData};
use bxp_chain::{
    block_index::BlockIndex,
    blocks::Blocks,
    codec,
    verify::{Finding, Verifier},
};
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, Height, Ledger, StoredBlock, StoredReceipt};

/// A stopped node's chain and its network.
struct Stopped {
    store: Store,
    genesis: Genesis,
    head: Height,
}

impl Stopped {
    async fn after_transfers(count: u64) -> (Cluster, Self) {
        let mut cluster = Cluster::start(4).await;
        for nonce in 0..count {
            let hash = cluster.chain(0).submit(Wallet::new(1).transfer(nonce)).await.unwrap();
            cluster.wait_included(&[0], &[hash]).await;
        }
        cluster.wait_certified(&[0]).await;
        cluster.stop(0).await;
        let genesis = cluster.genesis().clone();
        let store = cluster.store(0).await;
        let head = Verifier::new(&genesis, &store).unwrap().run(None, |_, _| {}).unwrap().head;
        let stopped = Self { store, genesis, head };
        stopped.settle_locations();
        (cluster, stopped)
    }

    /// The index of transactions in its table, as it is when much has happened.
    fn settle_locations(&self) {
        let blocks = Blocks::open(&self.store).unwrap();
        let table = self.store.table("transaction-locations").unwrap();
        let mut batch = self.store.batch();
        for height in (1..=self.head.0).map(Height) {
            for transaction in blocks.block(height).unwrap().unwrap().transactions {
                let location = blocks.locate(*transaction.tx_hash()).unwrap().unwrap();
                batch.put(&table, transaction.tx_hash(), codec::encode_location(location));
            }
        }
        batch.put(&table, [0], self.head.0.to_be_bytes());
        batch.commit(Durability::Buffered).unwrap();
    }

    fn verify(&self) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Store::open(folder.path(), self.genesis.network_id()).unwrap();
        Verifier::new(&self.genesis, &self.store).unwrap().run(Some(&scratch), |_, _| {}).unwrap().findings
    }

    /// What is found while the byte at `position` of the entry at `key` is another.
    fn damaged(&self, table: &str, key: &[u8], position: usize) -> Vec<Finding> {
        let table = self.store.table(table).unwrap();
        let whole = table.get(key).unwrap().unwrap();
        let mut value = whole.to_vec();
        value[position % whole.len()] ^= 1;
        let put = |value: &[u8]| {
            let mut batch = self.store.batch();
            batch.put(&table, key, value);
            batch.commit(Durability::Buffered).unwrap();
        };
        put(&value);
        let findings = self.verify();
        put(&whole);
        findings
    }

    fn last_key(&self, table: &str) -> Vec<u8> {
        self.store.table(table).unwrap().last().unwrap().unwrap().0.to_vec()
    }

    fn first_key(&self, table: &str) -> Vec<u8> {
        self.store.table(table).unwrap().first().unwrap().unwrap().0.to_vec()
    }
}

/// Goal: whatever byte of a block, a receipt, a certificate, an index or the state is another, the report says where.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_is_found_and_named() {
    let (_cluster, stopped) = Stopped::after_transfers(3).await;
    assert_eq!(stopped.verify(), [], "a whole chain has no findings");
    assert!(stopped.head >= Height(1));
    // Block 1 has the first transfer, or is before it; each has a header with all its fields.
    let height = 1_u64.to_be_bytes();
    for (table, positions) in
        [("blocks", vec![0, 5, 40, 90, 200, 480, 530, 560, 600]), ("certificates", vec![0, 5, 20, 60])]
    {
        for position in positions {
            let findings = stopped.damaged(table, &height, position);
            let named = findings.iter().any(|finding| finding.height == Some(Height(1)));
            assert!(named, "{table}, byte {position}: {findings:?}");
        }
    }
    let with_receipts = (1..=stopped.head.0).find(|height| {
        let table = stopped.store.table("receipts").unwrap();
        table.get(height.to_be_bytes()).unwrap().unwrap().len() > 100
    });
    let with_receipts = with_receipts.unwrap();
    let length =
        stopped.store.table("receipts").unwrap().get(with_receipts.to_be_bytes()).unwrap().unwrap().len();
    for position in [0, 10, 100, length - 8, length - 1] {
        let findings = stopped.damaged("receipts", &with_receipts.to_be_bytes(), position);
        let named = |finding: &Finding| {
            finding.height == Some(Height(with_receipts))
                && (finding.field.contains("receipt") || finding.field.contains("logsBloom"))
        };
        assert!(findings.iter().any(named), "byte {position}: {findings:?}");
    }
    for table in ["state.accounts", "state.account_nodes", "state.block_hashes", "state.history_packs"] {
        let findings = stopped.damaged(table, &stopped.first_key(table), 3);
        assert!(findings.iter().any(|finding| finding.field.starts_with(table)), "{table}: {findings:?}");
    }
    for table in ["block-heights", "transaction-locations"] {
        let findings = stopped.damaged(table, &stopped.last_key(table), 7);
        assert!(findings.iter().any(|finding| finding.height.is_some()), "{table}: {findings:?}");
    }
}

/// Goal: an entry too many and an entry too few are found as well.
#[tokio::test(flavor = "multi_thread")]
async fn entries_too_many_and_too_few_are_found() {
    let (_cluster, stopped) = Stopped::after_transfers(1).await;
    for (table, field) in [
        ("state.accounts", "state.accounts"),
        ("block-heights", "number of indexed blocks"),
        ("transaction-locations", "number of indexed transactions"),
    ] {
        let rows = stopped.store.table(table).unwrap();
        let (_, value) = rows.last().unwrap().unwrap();
        let mut batch = stopped.store.batch();
        batch.put(&rows, [0xee; 32], &value);
        batch.commit(Durability::Buffered).unwrap();
        let findings = stopped.verify();
        assert!(findings.iter().any(|finding| finding.field.starts_with(field)), "{table}: {findings:?}");
        let mut batch = stopped.store.batch();
        batch.remove(&rows, [0xee; 32]);
        batch.commit(Durability::Buffered).unwrap();
    }
    let receipts = stopped.store.table("receipts").unwrap();
    let mut batch = stopped.store.batch();
    batch.remove(&receipts, 1_u64.to_be_bytes());
    batch.commit(Durability::Buffered).unwrap();
    let [finding] = &stopped.verify()[..] else { panic!("one thing is missing") };
    assert_eq!(finding.to_string(), "block 1: receipts is missing, must be there");
}

/// Fills the table of the index of logs and accounts, which a node does after a thousand blocks: with the blocks' entries,
/// and for block 0, which has none, with so many that all of them are moved.
fn fill_index(stopped: &Stopped) {
    let index = BlockIndex::open(&stopped.store).unwrap();
    let blocks = Blocks::open(&stopped.store).unwrap();
    let log = |number: u64| Log {
        address: Address::left_padding_from(&number.to_be_bytes()),
        data: LogData::new_unchecked(Vec::new(), Default::default()),
    };
    let receipt =
        Receipt { status: true.into(), cumulative_gas_used: 1, logs: (0..140_000).map(log).collect() };
    let receipt = StoredReceipt {
        receipt: ReceiptEnvelope::Eip1559(ReceiptWithBloom { receipt, logs_bloom: Bloom::ZERO }),
        gas_used: 1,
        contract_address: None,
        effective_gas_price: 1,
    };
    let with_transaction = (1..=stopped.head.0).find_map(|height| {
        blocks.block(Height(height)).unwrap().filter(|block| !block.transactions.is_empty())
    });
    let genesis = blocks.block(Height(0)).unwrap().unwrap();
    let transactions = with_transaction.unwrap().transactions[..1].to_vec();
    index.put(&StoredBlock { transactions, ..genesis }, &codec::encode_receipts(&[receipt])).unwrap();
    for height in (1..=stopped.head.0).map(Height) {
        let receipts = codec::encode_receipts(&blocks.receipts(height).unwrap().unwrap());
        index.put(&blocks.block(height).unwrap().unwrap(), &receipts).unwrap();
    }
    index.settle().unwrap();
}

/// Goal: entries that the index of logs and accounts lacks, or has too many of, are found.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_logs_and_accounts_is_compared() {
    let (_cluster, stopped) = Stopped::after_transfers(2).await;
    fill_index(&stopped);
    let verify = || Verifier::new(&stopped.genesis, &stopped.store).unwrap().run(None, |_, _| {}).unwrap();
    let [finding] = &verify().findings[..] else { panic!("block 0 has entries that it must not have") };
    assert_eq!(finding.field, "number of entries in the index of logs and accounts");
    let table = stopped.store.table("block-index").unwrap();
    let keys: Vec<_> = table.iter().map(|entry| entry.unwrap().0).filter(|key| key.len() == 16).collect();
    let mut batch = stopped.store.batch();
    keys.iter().filter(|key| key.ends_with(&[0; 8])).for_each(|key| batch.remove(&table, key));
    batch.commit(Durability::Buffered).unwrap();
    let report = verify();
    assert_eq!(report.findings, []);
    assert!(report.index_entries >= 4, "sender and recipient of two blocks: {}", report.index_entries);
    let lost = keys.iter().find(|key| !key.ends_with(&[0; 8])).unwrap();
    let mut batch = stopped.store.batch();
    batch.remove(&table, lost);
    batch.commit(Durability::Buffered).unwrap();
    let findings = verify().findings;
    let height = u64::from_be_bytes(lost[8..].try_into().unwrap());
    assert_eq!(findings[0].height, Some(Height(height)));
    assert!(findings[0].found.contains("without 1 of them"), "{findings:?}");
}
