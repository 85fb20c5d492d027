//! An account's transactions, and who made a contract.

use super::blocks::value;
use crate::{
    api::debug::traces::replay,
    context::{Context, call_deadline},
    fault::Fault,
    select, shape,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use bxp_execution::ChainSpec;
use bxp_simulate::calls_of;
use bxp_types::{Height, Ledger, LedgerError, StoredBlock, StoredReceipt};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use serde_json::{Value, json};

/// Transactions of one page at most; a block's are never torn apart.
const PAGE_MAX: usize = 100;
/// Blocks that one page is looked for in at most.
const BLOCKS_MAX: usize = 1_000;

/// A page of an account's transactions, the newest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageJson {
    txs: Vec<Value>,
    receipts: Vec<Value>,
    first_page: bool,
    last_page: bool,
}

/// Who made a contract, with which transaction.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CreatorJson {
    hash: B256,
    creator: Address,
}

/// Histories.
#[rpc(server, namespace = "ots")]
trait History {
    /// The account's transactions before the block, or up to the newest for block 0. Those count that it sent, that
    /// were sent to it, or that made it.
    #[method(name = "searchTransactionsBefore")]
    async fn search_before(&self, account: Address, block: u64, size: usize) -> Result<PageJson, Fault>;

    /// The account's transactions after the block.
    #[method(name = "searchTransactionsAfter")]
    async fn search_after(&self, account: Address, block: u64, size: usize) -> Result<PageJson, Fault>;

    /// The hash of the transaction that the account sent with this nonce.
    #[method(name = "getTransactionBySenderAndNonce")]
    async fn by_sender_and_nonce(&self, sender: Address, nonce: u64) -> Result<Option<B256>, Fault>;

    /// Who made the contract, as far back as states are kept; null for what genesis holds or what is no contract.
    #[method(name = "getContractCreator")]
    async fn contract_creator(&self, contract: Address) -> Result<Option<CreatorJson>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl HistoryServer for Methods {
    async fn search_before(&self, account: Address, block: u64, size: usize) -> Result<PageJson, Fault> {
        let search = move |ledger: &dyn Ledger| {
            let head = ledger.head().height();
            let to = if block == 0 { head } else { Height(block.saturating_sub(1)).min(head) };
            let mut page = page(ledger, account, (Height(0), to), true, size)?;
            page.first_page = to == head;
            Ok(page)
        };
        self.0.run("ots_searchTransactionsBefore", search).await
    }

    async fn search_after(&self, account: Address, block: u64, size: usize) -> Result<PageJson, Fault> {
        let search = move |ledger: &dyn Ledger| {
            let from = Height(block.saturating_add(1));
            let mut page = page(ledger, account, (from, ledger.head().height()), false, size)?;
            (page.first_page, page.last_page) = (page.last_page, block == 0);
            page.txs.reverse();
            page.receipts.reverse();
            Ok(page)
        };
        self.0.run("ots_searchTransactionsAfter", search).await
    }

    async fn by_sender_and_nonce(&self, sender: Address, nonce: u64) -> Result<Option<B256>, Fault> {
        let search = move |ledger: &dyn Ledger| {
            let sent = |height| Ok(ledger.state(height)?.account(sender)?.map_or(0, |one| one.nonce) > nonce);
            let Some(height) = first(ledger, sent)? else { return Ok(None) };
            let Some(block) = select::block_at(ledger, height)? else { return Ok(None) };
            let mut transactions = block.transactions.iter();
            let found = transactions.find(|one| one.signer() == sender && one.nonce() == nonce);
            Ok(found.map(|one| *one.tx_hash()))
        };
        self.0.run("ots_getTransactionBySenderAndNonce", search).await
    }

    async fn contract_creator(&self, contract: Address) -> Result<Option<CreatorJson>, Fault> {
        let spec = self.0.spec();
        let search = move |ledger: &dyn Ledger| creator(ledger, &spec, contract);
        self.0.run("ots_getContractCreator", search).await
    }
}

fn page(
    ledger: &dyn Ledger,
    account: Address,
    (from, to): (Height, Height),
    newest_first: bool,
    size: usize,
) -> Result<PageJson, Fault> {
    let size = size.min(PAGE_MAX);
    let heights = ledger.account_blocks(account, from, to, newest_first, BLOCKS_MAX)?;
    let whole = heights.len() < BLOCKS_MAX;
    let mut page = PageJson { last_page: whole, ..PageJson::default() };
    for height in heights {
        if page.txs.len() >= size {
            page.last_page = false;
            break;
        }
        let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
        let receipts = ledger.receipts(height)?.unwrap_or_default();
        let mut places: Vec<usize> =
            (0..receipts.len()).filter(|place| takes_part(&block, &receipts, *place, account)).collect();
        if newest_first {
            places.reverse();
        }
        for place in places {
            page.txs.push(value(&shape::included(&block, place))?);
            let mut receipt = value(&shape::receipt(&block, &receipts, place))?;
            if let Some(fields) = receipt.as_object_mut() {
                fields.insert("timestamp".to_owned(), json!(block.header.timestamp));
            }
            page.receipts.push(receipt);
        }
    }
    Ok(page)
}

fn takes_part(block: &StoredBlock, receipts: &[StoredReceipt], place: usize, account: Address) -> bool {
    let (Some(transaction), Some(receipt)) = (block.transactions.get(place), receipts.get(place)) else {
        return false;
    };
    transaction.signer() == account
        || transaction.to() == Some(account)
        || receipt.contract_address == Some(account)
}

/// The first block after whose state `holds`, where it holds from some block on. None where it does not hold yet; the
/// oldest block whose state is kept where it has always held.
fn first(
    ledger: &dyn Ledger,
    holds: impl Fn(Height) -> Result<bool, Fault>,
) -> Result<Option<Height>, Fault> {
    let head = ledger.head().height();
    if !holds(head)? {
        return Ok(None);
    }
    let mut low = match ledger.state(Height(0)) {
        Ok(_) => Height(0),
        Err(LedgerError::StateNotKept { oldest, .. }) => oldest,
        Err(error) => return Err(error.into()),
    };
    let mut high = head;
    while low < high {
        let middle = Height(low.0 + (high.0 - low.0) / 2);
        if holds(middle)? { high = middle } else { low = middle.next() }
    }
    Ok(Some(high))
}

fn creator(ledger: &dyn Ledger, spec: &ChainSpec, contract: Address) -> Result<Option<CreatorJson>, Fault> {
    let has_code = |height| {
        let view = ledger.state(height)?;
        Ok(!crate::api::state::code_of(&*view, contract)?.is_empty())
    };
    let Some(height) = first(ledger, has_code)?.filter(|height| height.0 > 0) else { return Ok(None) };
    let block = select::block_at(ledger, height)?.ok_or(Fault::MissingBlock(height))?;
    let receipts = ledger.receipts(height)?.unwrap_or_default();
    for (transaction, receipt) in block.transactions.iter().zip(receipts.iter()) {
        if receipt.contract_address == Some(contract) {
            return Ok(Some(CreatorJson { hash: *transaction.tx_hash(), creator: transaction.signer() }));
        }
    }
    let deadline = call_deadline();
    replay(ledger, spec, &block, |replayed| {
        for (index, transaction) in block.transactions.iter().enumerate() {
            if deadline.is_over() {
                return Err(bxp_simulate::SimulateError::Timeout.into());
            }
            let calls = calls_of(replayed, index)?;
            let made = calls.iter().find(|call| call.to == contract && call.r#type.starts_with("CREATE"));
            if let Some(call) = made {
                return Ok(Some(CreatorJson { hash: *transaction.tx_hash(), creator: call.from }));
            }
        }
        Ok(None)
    })
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
