//! Logs, and filters that tell of new logs and blocks.

use super::transactions;
use crate::{
    context::{Context, call_deadline},
    fault::Fault,
    filters::Kind,
    select,
    shape::{self, TransactionJson},
};
use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U128};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, FilterChanges, Log};
use bxp_types::{Height, Ledger, LogQuery};
use jsonrpsee::{Extensions, core::async_trait, proc_macros::rpc};
use std::net::IpAddr;

/// Blocks that one query looks through at most where no index helps: it names neither address nor topic.
const RANGE_BLOCKS_MAX: u64 = 10_000;
/// Blocks whose receipts one query reads at most, once the index has found them.
const FOUND_BLOCKS_MAX: usize = 10_000;
/// Logs that one query gives at most, except that a single block's are given whole.
const LOGS_MAX: usize = 20_000;
/// Addresses, and topics at one position, that a filter has at most, as in geth.
const ALTERNATIVES_MAX: usize = 1_000;
/// Bytes of transactions that one poll gives in full, by estimate; in JSON they are about twice as many.
const WHOLE_BYTES_MAX: usize = 8 << 20;
/// Bytes of a transaction without its calldata.
const TRANSACTION_BYTES: usize = 1_024;

/// Logs and filters. A client has at most 64 filters at once.
#[rpc(server, namespace = "eth")]
trait LogFilters {
    /// The logs of a range of blocks or of one block, by address and topics, which are looked up in an index over the
    /// whole chain. More than 20000 logs, more than 10000 blocks that hold some, or, without address and topics, a
    /// range of more than 10000 blocks is error -32005; it says which range to ask for first.
    #[method(name = "getLogs")]
    async fn logs(&self, filter: Filter) -> Result<Vec<Log>, Fault>;

    /// Installs a filter for new logs and returns its id. It expires five minutes after its last use.
    #[method(name = "newFilter", with_extensions)]
    fn new_filter(&self, filter: Filter) -> Result<U128, Fault>;

    /// Installs a filter for new blocks and returns its id. It expires five minutes after its last use.
    #[method(name = "newBlockFilter", with_extensions)]
    fn new_block_filter(&self) -> Result<U128, Fault>;

    /// Installs a filter for transactions that this node's pool takes in: for their hashes or, with `true`, for the
    /// transactions in full. It expires five minutes after its last use.
    #[method(name = "newPendingTransactionFilter", with_extensions)]
    fn new_arrival_filter(&self, full: Option<bool>) -> Result<U128, Fault>;

    /// What came since the filter was installed or last asked: logs, hashes of blocks or transactions, or
    /// transactions in full, of which one answer may leave some to the next.
    #[method(name = "getFilterChanges")]
    async fn filter_changes(&self, id: U128) -> Result<FilterChanges, Fault>;

    /// All logs of a log filter's range.
    #[method(name = "getFilterLogs")]
    async fn filter_logs(&self, id: U128) -> Result<Vec<Log>, Fault>;

    /// Forgets the filter; false if there is none.
    #[method(name = "uninstallFilter")]
    fn uninstall_filter(&self, id: U128) -> Result<bool, Fault>;
}

struct Methods(Context);

#[async_trait]
impl LogFiltersServer for Methods {
    async fn logs(&self, filter: Filter) -> Result<Vec<Log>, Fault> {
        let search = move |ledger: &dyn Ledger| {
            if filter.get_to_block().is_some_and(|to| to > ledger.head().header.number) {
                return Err(Fault::InvalidParams("block range extends beyond current head block".to_owned()));
            }
            query(ledger, &filter)
        };
        self.0.run("eth_getLogs", search).await
    }

    fn new_filter(&self, caller: &Extensions, filter: Filter) -> Result<U128, Fault> {
        check_alternatives(&filter)?;
        let next = self.0.ledger.head().height().next();
        self.0.filters.install(Kind::Logs(filter.into()), client(caller), next)
    }

    fn new_block_filter(&self, caller: &Extensions) -> Result<U128, Fault> {
        self.0.filters.install(Kind::Blocks, client(caller), self.0.ledger.head().height().next())
    }

    fn new_arrival_filter(&self, caller: &Extensions, full: Option<bool>) -> Result<U128, Fault> {
        let kind = Kind::Arrivals { full: full.unwrap_or_default() };
        self.0.filters.install(kind, client(caller), Height(self.0.arrivals.next()))
    }

    async fn filter_changes(&self, id: U128) -> Result<FilterChanges, Fault> {
        if let Kind::Arrivals { full } = self.0.filters.kind(id)? {
            let (hashes, next) = self.arrivals(id)?;
            return if full { self.whole(id, hashes, next).await } else { Ok(FilterChanges::Hashes(hashes)) };
        }
        let head = self.0.ledger.head().height();
        let mut last = head;
        // Counted as told before the logs are read, so that two polls at once never tell of the same block.
        let (kind, first) = self.0.filters.advance(id, |first| {
            last = head.min(Height(first.0.saturating_add(RANGE_BLOCKS_MAX - 1)));
            (first <= last).then_some(last)
        })?;
        if first > last {
            return Ok(FilterChanges::Empty);
        }
        let read = move |ledger: &dyn Ledger| changes(ledger, &kind, first, last);
        match self.0.run("eth_getFilterChanges", read).await {
            Ok((changes, next)) => {
                if next <= last {
                    self.0.filters.go_back(id, next);
                }
                Ok(changes)
            }
            Err(fault) => {
                self.0.filters.go_back(id, first);
                Err(fault)
            }
        }
    }

    async fn filter_logs(&self, id: U128) -> Result<Vec<Log>, Fault> {
        match self.0.filters.kind(id)? {
            Kind::Blocks | Kind::Arrivals { .. } => Err(Fault::FilterNotFound),
            Kind::Logs(filter) => self.0.run("eth_getFilterLogs", move |ledger| query(ledger, &filter)).await,
        }
    }

    fn uninstall_filter(&self, id: U128) -> Result<bool, Fault> {
        Ok(self.0.filters.uninstall(id))
    }
}

impl Methods {
    /// The transactions that came since the filter was last asked, and the number of the next one.
    fn arrivals(&self, id: U128) -> Result<(Vec<B256>, u64), Fault> {
        let (mut hashes, mut end) = (Vec::new(), 0);
        self.0.filters.advance(id, |first| {
            (hashes, end) = self.0.arrivals.since(first.0);
            end.checked_sub(1).map(Height)
        })?;
        Ok((hashes, end))
    }

    /// The same in full. What one answer does not hold, or cannot be read now, is told the next time.
    async fn whole(&self, id: U128, hashes: Vec<B256>, next: u64) -> Result<FilterChanges, Fault> {
        let first = next.saturating_sub(hashes.len() as u64);
        match self.0.run("eth_getFilterChanges", move |ledger| whole(ledger, &hashes)).await {
            Ok((transactions, told)) => {
                let reached = first.saturating_add(told as u64);
                if reached < next {
                    self.0.filters.go_back(id, Height(reached));
                }
                Ok(FilterChanges::Transactions(transactions))
            }
            Err(fault) => {
                self.0.filters.go_back(id, Height(first));
                Err(fault)
            }
        }
    }
}

/// Who asks, as the server tells clients apart: an address that it puts into each request of a client with limits.
fn client(caller: &Extensions) -> Option<IpAddr> {
    caller.get::<IpAddr>().copied()
}

/// As many of the transactions as one answer holds, and how many of the hashes they are for. What has left the pool for
/// no block is nowhere.
fn whole(ledger: &dyn Ledger, hashes: &[B256]) -> Result<(Vec<TransactionJson>, usize), Fault> {
    let deadline = call_deadline();
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    for (told, hash) in hashes.iter().enumerate() {
        if bytes >= WHOLE_BYTES_MAX || (told > 0 && deadline.is_over()) {
            return Ok((found, told));
        }
        if let Some(transaction) = transactions::find(ledger, *hash)? {
            bytes = bytes.saturating_add(TRANSACTION_BYTES).saturating_add(transaction.input().len());
            found.push(shape::waiting(transaction));
        }
    }
    Ok((found, hashes.len()))
}

/// Refuses a filter whose lists are too long.
pub(super) fn check_alternatives(filter: &Filter) -> Result<(), Fault> {
    let longest =
        filter.topics.iter().map(alloy_rpc_types_eth::Topic::len).chain([filter.address.len()]).max();
    if longest.is_some_and(|count| count > ALTERNATIVES_MAX) {
        return Err(Fault::InvalidParams(format!(
            "exceed max addresses or topics per search position: {ALTERNATIVES_MAX}"
        )));
    }
    Ok(())
}

fn query(ledger: &dyn Ledger, filter: &Filter) -> Result<Vec<Log>, Fault> {
    check_alternatives(filter)?;
    let (first, last) = range(ledger, &filter.block_option)?;
    let (logs, next) = collect(ledger, filter, first, last)?;
    if next <= last {
        return Err(Fault::Limit(format!(
            "query needs more than {LOGS_MAX} logs or {RANGE_BLOCKS_MAX} blocks; ask for blocks {first} to {} \
             first, or name an address or topic",
            next.0.saturating_sub(1).max(first.0)
        )));
    }
    Ok(logs)
}

/// The first and last block of a query, the last no higher than the head.
fn range(ledger: &dyn Ledger, option: &FilterBlockOption) -> Result<(Height, Height), Fault> {
    let (from, to) = match option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = ledger.height_of(*hash)?.ok_or(Fault::UnknownBlock)?;
            return Ok((height, height));
        }
        FilterBlockOption::Range { from_block, to_block } => (from_block, to_block),
    };
    let at = |number: &Option<BlockNumberOrTag>| select::height(ledger, number.unwrap_or_default());
    let (first, last) = (at(from), at(to));
    if first > last {
        return Err(Fault::InvalidParams(format!("invalid block range params: from {first} to {last}")));
    }
    // What a filter is installed for may lie ahead.
    Ok((first, last.min(ledger.head().height())))
}

/// The logs from `first` on, and the first block that was not searched: the one after `last`, or an earlier one where
/// there are too many logs or blocks, or where time is over.
fn collect(
    ledger: &dyn Ledger,
    filter: &Filter,
    first: Height,
    last: Height,
) -> Result<(Vec<Log>, Height), Fault> {
    let asked = log_query(filter);
    let (blocks, known) = ledger.log_blocks(&asked, first, last, FOUND_BLOCKS_MAX)?;
    let beyond = known.map_or(first, Height::next).max(first);
    // The index follows the head at some distance; the newest blocks are looked through one by one.
    let end = Height(beyond.0.saturating_add(RANGE_BLOCKS_MAX - 1)).min(last);
    let full = blocks.len() >= FOUND_BLOCKS_MAX;
    let rest = (beyond.0..=end.0).map(Height).filter(|_| !full);
    let mut found = Vec::new();
    let deadline = call_deadline();
    for height in blocks.into_iter().chain(rest) {
        if deadline.is_over() && !found.is_empty() {
            return Ok((found, height));
        }
        let logs = logs_at(ledger, &asked, height)?;
        if !found.is_empty() && found.len().saturating_add(logs.len()) > LOGS_MAX {
            return Ok((found, height));
        }
        found.extend(logs);
    }
    Ok((found, if full { beyond } else { end.next().max(beyond) }))
}

/// What a filter asks of each block.
pub(super) fn log_query(filter: &Filter) -> LogQuery {
    let topics = std::array::from_fn(|position| filter.topics[position].iter().copied().collect());
    LogQuery::new(filter.address.iter().copied(), topics)
}

/// The logs of the block at `height` that `query` asks for.
pub(super) fn logs_at(ledger: &dyn Ledger, query: &LogQuery, height: Height) -> Result<Vec<Log>, Fault> {
    let found = ledger.logs(height, query)?.ok_or(Fault::MissingBlock(height))?;
    Ok(shape::logs(height, found))
}

/// What a poll tells of the blocks `first` to `last`, and the first block that it does not tell of.
fn changes(
    ledger: &dyn Ledger,
    kind: &Kind,
    first: Height,
    last: Height,
) -> Result<(FilterChanges, Height), Fault> {
    match kind {
        Kind::Blocks => {
            let hash = |number| -> Result<B256, Fault> {
                Ok(select::block_at(ledger, Height(number))?.ok_or(Fault::MissingBlock(Height(number)))?.hash)
            };
            let hashes = (first.0..=last.0).map(hash).collect::<Result<_, _>>()?;
            Ok((FilterChanges::Hashes(hashes), last.next()))
        }
        Kind::Arrivals { .. } => Ok((FilterChanges::Empty, last.next())),
        Kind::Logs(filter) => {
            let (logs, next) = new_logs(ledger, filter, first, last)?;
            Ok((FilterChanges::Logs(logs), next))
        }
    }
}

/// The new logs of a log filter, within the range that it was installed for.
fn new_logs(
    ledger: &dyn Ledger,
    filter: &Filter,
    first: Height,
    last: Height,
) -> Result<(Vec<Log>, Height), Fault> {
    let end = last.next();
    let (first, last) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => match ledger.height_of(hash)? {
            Some(height) if first <= height && height <= last => (height, height),
            _ => return Ok((Vec::new(), end)),
        },
        FilterBlockOption::Range { from_block, to_block } => {
            let numbered = |number: Option<BlockNumberOrTag>| number.and_then(|number| number.as_number());
            let from = numbered(from_block).map_or(first, |number| first.max(Height(number)));
            (from, numbered(to_block).map_or(last, |number| last.min(Height(number))))
        }
    };
    if first > last {
        return Ok((Vec::new(), end));
    }
    let (logs, next) = collect(ledger, filter, first, last)?;
    Ok((logs, if next > last { end } else { next }))
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
