//! Running the transactions of a block.

use crate::{
    BlockInput, DropReason, ExecutionError, Fees, State, TRANSACTION_GAS_MAX, environment,
    evm::{BlockState, Evm, OverlayEvm},
    header,
    overlay::Overlay,
    overlay_accounts::OverlayAccounts,
    parallel::{self, Base, Surroundings},
    ran::{AboveRan, Ran},
    read::StateRead,
    receipts::Ended,
    shortcut::Plain,
    system_calls,
    view::View,
};
use alloy_consensus::{Header, Transaction, TxType};
use alloy_primitives::{B256, U256, map::AddressMap};
use bxp_types::{Height, RecoveredTransaction};
use revm::{
    primitives::hardfork::SpecId,
    state::{AccountInfo, EvmState},
};
use std::sync::Arc;

/// Accounts for which room is made at once.
const ACCOUNTS_AT_FIRST_MAX: usize = 1 << 16;

/// A block whose transactions have run, and that has neither receipts nor roots.
pub struct RanBlock {
    /// The state before the block.
    pub(crate) view: View,
    pub(crate) transactions: RanTransactions,
}

/// What running the transactions of a block has given.
pub(crate) struct RanTransactions {
    /// The header as far as it is known, and everything that was read or written.
    pub(crate) block: Arc<Ran>,
    /// How the transactions ended that entered, in order.
    pub(crate) ended: Vec<Ended>,
    /// The places of those that could not enter, in order.
    pub(crate) dropped: Vec<(usize, DropReason)>,
    is_parallel: bool,
}

impl RanBlock {
    /// Whether the transactions ran on many threads, and not one after the other.
    #[must_use]
    pub const fn is_parallel(&self) -> bool {
        self.transactions.is_parallel
    }

    /// The gas that the transactions used.
    #[must_use]
    pub fn gas_used(&self) -> u64 {
        self.transactions.block.header.gas_used
    }
}

impl std::fmt::Debug for RanBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RanBlock").field("transactions", &self.transactions).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RanTransactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RanTransactions").field("block", &self.block).finish_non_exhaustive()
    }
}

/// How transactions are run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Without the EVM where the outcome is plain, and on many threads where that helps.
    Usual,
    /// Without the EVM where the outcome is plain, one after the other.
    OneByOne,
    /// Without the EVM where the outcome is plain, on many threads whether that helps or not.
    Parallel,
    /// One after the other through the EVM.
    EvmOnly,
}

impl State {
    pub(crate) fn run_in(
        &self,
        parent: &Header,
        input: &BlockInput,
        way: Way,
    ) -> Result<RanBlock, ExecutionError> {
        self.run_on(self.view(), parent.hash_slow(), input, way)
    }

    /// As [`State::run_on`], in the usual way.
    pub(crate) fn run_usual(
        &self,
        view: View,
        parent_hash: B256,
        input: &BlockInput,
    ) -> Result<RanBlock, ExecutionError> {
        self.run_on(view, parent_hash, input, Way::Usual)
    }

    /// Runs a block on the state of `view`, after the block with this hash.
    fn run_on(
        &self,
        view: View,
        parent_hash: B256,
        input: &BlockInput,
        way: Way,
    ) -> Result<RanBlock, ExecutionError> {
        self.check_on_head(&view, parent_hash, input.height)?;
        let base = On { base: &view, accounts: view.overlay_accounts(), parent_hash: Some(parent_hash) };
        let transactions = self.run_transactions(base, input, way)?;
        Ok(RanBlock { view, transactions })
    }

    /// Runs a block above one that has run on the state of `view` and is not hashed. [`ExecutionError::NotSealed`] where a
    /// transaction asks for what only that one's hash or roots say.
    pub(crate) fn run_above(
        &self,
        below: &Ran,
        view: &View,
        input: &BlockInput,
    ) -> Result<RanTransactions, ExecutionError> {
        let head = view.head()?;
        if (below.height(), input.height) != (head.height.next(), below.height().next()) {
            let (height, head_height) = (input.height, head.height);
            return Err(ExecutionError::NotOnHead {
                height,
                parent: B256::ZERO,
                head_height,
                head: head.hash,
            });
        }
        let above = AboveRan::new(below, view);
        let base = On { base: &above, accounts: view.overlay_accounts(), parent_hash: None };
        let ran = self.run_transactions(base, input, Way::Usual);
        if above.was_asked_too_early() { Err(ExecutionError::NotSealed(below.height())) } else { ran }
    }

    fn run_transactions(
        &self,
        on: On<'_>,
        input: &BlockInput,
        way: Way,
    ) -> Result<RanTransactions, ExecutionError> {
        let On { base, accounts, parent_hash } = on;
        let mut header = header::begin(parent_hash.unwrap_or_default(), input);
        let mut overlay = Overlay::within(accounts, base, self.code_cache());
        overlay.reserve((2 * input.transactions.len()).min(ACCOUNTS_AT_FIRST_MAX));
        let (mut evm, rules) = (Evm::new(overlay, self.spec(), &header), self.spec().rules(&header));
        system_calls::beacon_root(&mut evm, &header, &rules)?;
        if parent_hash.is_some() {
            system_calls::parent_hash(&mut evm, &header, &rules)?;
        }
        let block = Block::new(self, &header, way);
        let mut run = Run::new(evm, block, input.transactions.len());
        run.transactions(&Before { base, state: self, header: &header }, &input.transactions)?;
        run.evm.overlay().credit(header.beneficiary, run.fees)?;
        let Run { evm, gas_used, ended, dropped, is_parallel, .. } = run;
        let accounts = evm.into_overlay().into_accounts();
        header.gas_used = gas_used;
        let block = Arc::new(Ran::new(header, input.time_ms, accounts));
        Ok(RanTransactions { block, ended, dropped, is_parallel })
    }
}

/// What a block is run on.
struct On<'a> {
    base: &'a dyn StateRead,
    /// No accounts, in memory that was used before.
    accounts: OverlayAccounts,
    /// None where the block below is not hashed yet.
    parent_hash: Option<B256>,
}

/// What a transaction has to know of its block.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    way: Way,
    chain_id: u64,
    gas_limit: u64,
    base_fee: u64,
}

/// What a transaction gives and changes, or why it cannot enter.
pub(crate) type Effect = Result<(Ended, Writes), DropReason>;

/// What a transaction changes.
pub(crate) enum Writes {
    Evm(EvmState),
    Plain(AddressMap<AccountInfo>),
}

impl Block {
    fn new(state: &State, header: &Header, way: Way) -> Self {
        Self {
            way,
            chain_id: state.spec().chain_id(),
            gas_limit: header.gas_limit,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
        }
    }

    /// Runs a transaction on what `evm` says of the state. Nothing is kept.
    pub(crate) fn effect<S: BlockState>(
        &self,
        evm: &mut Evm<S>,
        transaction: &RecoveredTransaction,
    ) -> Result<Effect, ExecutionError> {
        if self.way != Way::EvmOnly
            && let Some(Plain { ended, accounts }) = evm.shortcut(transaction, self.base_fee)?
        {
            return Ok(Ok((ended, Writes::Plain(accounts))));
        }
        let (outcome, changes) = evm.run(environment::transaction(transaction))?;
        let dropped = |invalid| DropReason::new(&invalid, transaction.max_fee_per_gas(), self.base_fee);
        Ok(outcome.map(|result| (Ended::from(result), Writes::Evm(changes))).map_err(dropped))
    }

    /// What is checked of a transaction before the state is looked at.
    pub(crate) fn check(&self, transaction: &RecoveredTransaction) -> Result<(), DropReason> {
        if transaction.tx_type() == TxType::Eip4844 {
            return Err(DropReason::UnsupportedType);
        }
        let (have, want) = (transaction.chain_id().unwrap_or_default(), self.chain_id);
        if have != want {
            return Err(DropReason::WrongChain { have, want });
        }
        Ok(())
    }

    /// What is checked of a transaction when those before it have used `gas_used`.
    pub(crate) fn check_gas(
        &self,
        transaction: &RecoveredTransaction,
        gas_used: u64,
    ) -> Result<(), DropReason> {
        let (left, want) = (self.gas_limit.saturating_sub(gas_used), transaction.gas_limit());
        if want > left && want <= TRANSACTION_GAS_MAX {
            return Err(DropReason::BlockGas { left, want });
        }
        Ok(())
    }
}

/// What is there before the transactions.
struct Before<'a> {
    base: &'a dyn StateRead,
    state: &'a State,
    header: &'a Header,
}

/// A block that is being run.
struct Run<'a> {
    evm: OverlayEvm<'a>,
    block: Block,
    gas_used: u64,
    fees: U256,
    ended: Vec<Ended>,
    dropped: Vec<(usize, DropReason)>,
    is_parallel: bool,
}

impl<'a> Run<'a> {
    fn new(evm: OverlayEvm<'a>, block: Block, transactions: usize) -> Self {
        Self {
            evm,
            block,
            gas_used: 0,
            fees: U256::ZERO,
            ended: Vec::with_capacity(transactions),
            dropped: Vec::new(),
            is_parallel: false,
        }
    }
}

impl Run<'_> {
    /// Runs all transactions.
    fn transactions(
        &mut self,
        surroundings: &Before<'_>,
        transactions: &[RecoveredTransaction],
    ) -> Result<(), ExecutionError> {
        let ahead = self.effects_ahead(surroundings, transactions);
        if surroundings.base.was_asked_too_early() {
            // One after the other would come to the same question.
            let below = surroundings.header.number.saturating_sub(1);
            return Err(ExecutionError::NotSealed(Height(below)));
        }
        self.is_parallel = ahead.is_some();
        let mut ahead = ahead.unwrap_or_default().into_iter();
        for (place, transaction) in transactions.iter().enumerate() {
            let effect = match (ahead.next(), self.check(transaction)) {
                (None, Ok(())) => self.block.effect(&mut self.evm, transaction)?,
                (None, Err(reason)) => Err(reason),
                (Some(effect), Ok(())) => effect,
                (Some(effect), Err(reason)) => {
                    if effect.is_ok() {
                        // The block has no gas for it, which it could not know. What follows has seen what it did.
                        ahead = Vec::new().into_iter();
                    }
                    Err(reason)
                }
            };
            self.keep(place, transaction, effect)?;
        }
        Ok(())
    }

    /// What the transactions give, found on many threads, where that helps and can be done.
    fn effects_ahead(
        &mut self,
        before: &Before<'_>,
        transactions: &[RecoveredTransaction],
    ) -> Option<Vec<Effect>> {
        let Before { base, state, header } = *before;
        let wanted = match self.block.way {
            Way::Usual => parallel::is_worthwhile(transactions, rayon::current_num_threads()),
            Way::Parallel => true,
            Way::OneByOne | Way::EvmOnly => false,
        };
        // Elsewhere transactions pay their fees themselves, or destroy what others have made.
        let rules = state.spec().rules(header);
        if !wanted || rules.fees != Fees::Treasury || !rules.has(SpecId::CANCUN) {
            return None;
        }
        let base = Base { stored: base, changed: self.evm.overlay().accounts(), code: state.code_cache() };
        let gives_up = self.block.way == Way::Usual;
        let surroundings = Surroundings { base, spec: state.spec(), header, block: self.block, gives_up };
        parallel::effects(surroundings, transactions)
    }

    fn check(&self, transaction: &RecoveredTransaction) -> Result<(), DropReason> {
        self.block.check(transaction)?;
        self.block.check_gas(transaction, self.gas_used)
    }

    /// Takes over what a transaction gives and changes.
    fn keep(
        &mut self,
        place: usize,
        transaction: &RecoveredTransaction,
        effect: Effect,
    ) -> Result<(), ExecutionError> {
        let (ended, writes) = match effect {
            Ok(entered) => entered,
            Err(reason) => {
                self.dropped.push((place, reason));
                return Ok(());
            }
        };
        let overlay = self.evm.overlay();
        overlay.sends(transaction.signer());
        match writes {
            Writes::Evm(changes) => overlay.apply(changes)?,
            Writes::Plain(accounts) => overlay.apply_plain(accounts)?,
        }
        self.gas_used = self.gas_used.saturating_add(ended.gas_used);
        let price = transaction.effective_gas_price(Some(self.block.base_fee));
        // Below 2^64 x 2^128, and every fee was in its sender's balance: the sum does not overflow.
        self.fees = self.fees.saturating_add(U256::from(ended.gas_used) * U256::from(price));
        self.ended.push(ended);
        Ok(())
    }
}
