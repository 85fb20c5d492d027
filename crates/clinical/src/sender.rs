//! Transactions of the accounts that this node's enclave signs for: one nonce after the other, followed to their receipt.

use alloy_consensus::TxEip1559;
use bxp_enclave::{Enclave, EnclaveError};
use bxp_types::{
    Address, B256, Bytes, CallOutcome, CallRequest, Height, Ledger, LedgerError, StoredReceipt, SubmitError,
    U256, primitives::TxKind,
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::Mutex;

/// Blocks after which a transaction that is nowhere to be seen is sent again, and those after a pool's refusal.
const BLOCKS_BEFORE_RESENDING: u64 = 8;

/// How often a nonce that someone else took is replaced by the next one.
const ATTEMPTS_MAX: usize = 8;

/// What is offered to the proposer on top of the base fee, in wei.
const PRIORITY_FEE_WEI: u128 = 1_000_000_000;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The contract or account.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Mined {
    /// Its hash.
    pub hash: B256,
    /// The block.
    pub height: Height,
    /// The receipt; its status is success.
    pub receipt: StoredReceipt,
}

/// Why a transaction did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    /// The call would revert; nothing was sent.
    #[error("the call to {to} would fail: {reason}")]
    Refused {
        /// The callee.
        to: Address,
        /// The contract's reason in words, or the EVM's.
        reason: String,
        /// The revert data.
        data: Bytes,
    },
    /// It is in a block and failed there.
    #[error("transaction {hash} failed in block {height}")]
    Reverted {
        /// Its hash.
        hash: B256,
        /// The block.
        height: Height,
    },
    /// The pool does not take it; nothing was sent.
    #[error("submit a transaction of {account}")]
    Submit {
        /// The sender.
        account: Address,
        /// Why.
        #[source]
        source: SubmitError,
    },
    /// Blocks leave it out again and again, or the pool, which pushed it out, does not take it back. It may still run.
    #[error("transaction {hash} is in no block after {attempts} attempts to send it again")]
    Dropped {
        /// Its hash.
        hash: B256,
        /// How often it was to be sent again.
        attempts: usize,
    },
    /// The chain's database failed.
    #[error("follow a transaction")]
    Ledger(#[from] LedgerError),
    /// The enclave cannot sign for the account.
    #[error("sign a transaction")]
    Sign(#[from] EnclaveError),
    /// Its nonce was taken by another transaction again and again: another program sends from this account.
    #[error("another program sends transactions of {0}; give it an account of its own")]
    NonceTaken(Address),
    /// The node is stopping.
    #[error("the chain has stopped")]
    Stopped,
}

/// Sends transactions. Clones share it; all senders of one node should be clones of one.
#[derive(Clone)]
pub struct TransactionSender {
    ledger: Arc<dyn Ledger>,
    enclave: Enclave,
    /// One lock an account: nonce and submission belong together.
    accounts: Arc<parking_lot::Mutex<HashMap<Address, Arc<Mutex<()>>>>>,
}

impl std::fmt::Debug for TransactionSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransactionSender")
    }
}

/// How a followed transaction ended.
enum Fate {
    Mined(Box<Mined>),
    NonceTaken,
}

impl TransactionSender {
    /// A sender for the accounts of `enclave`.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, enclave: Enclave) -> Self {
        Self { ledger, enclave, accounts: Arc::default() }
    }

    /// The chain that it sends to.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.ledger
    }

    /// Sends `call` as `account` and waits for its receipt. Submitted transactions survive a restart of the node, so
    /// who repeats a call after a restart looks first whether it was done.
    ///
    /// # Errors
    /// [`SendFailure`]; after [`SendFailure::Refused`] and [`SendFailure::Submit`] nothing was sent. After
    /// [`SendFailure::Dropped`] and [`SendFailure::Ledger`] it may be under way.
    pub async fn send(&self, account: Address, call: &Call) -> Result<Mined, SendFailure> {
        self.send_until_mined(account, call, None).await
    }

    /// As [`TransactionSender::send`], with `gas_limit` and without a dry run: for calls that the contract takes from some
    /// time on. The dry run has the newest block's time, which on an idle chain lies far behind the clock.
    ///
    /// # Errors
    /// [`SendFailure`], never [`SendFailure::Refused`].
    pub async fn send_with_gas(
        &self,
        account: Address,
        call: &Call,
        gas_limit: u64,
    ) -> Result<Mined, SendFailure> {
        self.send_until_mined(account, call, Some(gas_limit)).await
    }

    async fn send_until_mined(
        &self,
        account: Address,
        call: &Call,
        gas_limit: Option<u64>,
    ) -> Result<Mined, SendFailure> {
        for _ in 0..ATTEMPTS_MAX {
            let (hash, raw, nonce) = self.submit(account, call, gas_limit).await?;
            if let Fate::Mined(mined) = self.follow(account, hash, &raw, nonce).await? {
                if mined.receipt.receipt.status() {
                    return Ok(*mined);
                }
                return Err(SendFailure::Reverted { hash, height: mined.height });
            }
        }
        Err(SendFailure::NonceTaken(account))
    }

    async fn submit(
        &self,
        account: Address,
        call: &Call,
        gas_limit: Option<u64>,
    ) -> Result<(B256, Bytes, u64), SendFailure> {
        let lock = Arc::clone(self.accounts.lock().entry(account).or_default());
        let _one_at_a_time = lock.lock().await;
        let gas_limit = gas_limit.map_or_else(|| self.gas_for(account, call), Ok)?;
        for _ in 0..ATTEMPTS_MAX {
            let nonce = self.ledger.pending_nonce(account)?;
            let base_fee = u128::from(self.ledger.next_base_fee());
            let transaction = TxEip1559 {
                chain_id: self.ledger.genesis().chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: base_fee.saturating_mul(2).saturating_add(PRIORITY_FEE_WEI),
                max_priority_fee_per_gas: PRIORITY_FEE_WEI,
                to: TxKind::Call(call.to),
                value: call.value,
                input: call.data.clone(),
                ..TxEip1559::default()
            };
            let signed = self.enclave.sign_eip1559(account, transaction)?;
            match self.ledger.submit(signed.raw.clone()).await {
                Ok(_) | Err(SubmitError::AlreadyKnown) => return Ok((signed.hash, signed.raw, nonce)),
                Err(SubmitError::NonceTooLow { .. } | SubmitError::ReplacementUnderpriced) => {}
                Err(source) => return Err(SendFailure::Submit { account, source }),
            }
        }
        Err(SendFailure::NonceTaken(account))
    }

    /// Gas of a dry run on the newest state, and half as much again for what changes until then.
    fn gas_for(&self, account: Address, call: &Call) -> Result<u64, SendFailure> {
        let request = CallRequest {
            from: Some(account),
            to: Some(call.to),
            value: call.value,
            data: call.data.clone(),
            ..CallRequest::default()
        };
        let refused = |reason, data| Err(SendFailure::Refused { to: call.to, reason, data });
        match self.ledger.call(&request)? {
            // Refunds come off after the run, so the limit must be above what is paid in the end.
            CallOutcome::Success { gas_used, .. } => Ok(gas_used.saturating_mul(3) / 2 + 40_000),
            CallOutcome::Revert { output, .. } => {
                let reason = bxp_contracts::explain_revert(&output);
                refused(reason.unwrap_or_else(|| "it reverts without a known reason".to_owned()), output)
            }
            CallOutcome::Halt { reason, .. } => refused(reason, Bytes::new()),
        }
    }

    /// Waits until the transaction is in a block, block by block.
    async fn follow(
        &self,
        account: Address,
        hash: B256,
        raw: &Bytes,
        nonce: u64,
    ) -> Result<Fate, SendFailure> {
        let mut heads = self.ledger.heads();
        let mut attempts = 0;
        let mut resend_at = heads.borrow_and_update().0.saturating_add(BLOCKS_BEFORE_RESENDING);
        let mut not_now = false;
        loop {
            // First: a block that comes while the others are read ends the wait below.
            let height = heads.borrow_and_update().0;
            if let Some(mined) = self.mined(hash)? {
                return Ok(Fate::Mined(Box::new(mined)));
            }
            if self.ledger.account(account)?.nonce > nonce {
                // Its block may have come between the two.
                let mined = self.mined(hash)?.map(Box::new);
                return Ok(mined.map_or(Fate::NonceTaken, Fate::Mined));
            }
            let lost = height >= resend_at || (!not_now && self.ledger.dropped(hash)?.is_some());
            if lost && self.ledger.pending(hash).is_none() {
                attempts += 1;
                if attempts > ATTEMPTS_MAX {
                    return Err(SendFailure::Dropped { hash, attempts: ATTEMPTS_MAX });
                }
                not_now = match self.ledger.submit(raw.clone()).await {
                    Ok(_) | Err(SubmitError::AlreadyKnown | SubmitError::NonceTooLow { .. }) => false,
                    Err(SubmitError::Storage(error)) => return Err(LedgerError::Storage(error).into()),
                    Err(error) => {
                        // It was sent before, and an open height may still bring it: only a block says on what its
                        // nonce is spent.
                        tracing::debug!(%hash, %error, "the pool does not take a transaction back");
                        true
                    }
                };
                resend_at = height.saturating_add(BLOCKS_BEFORE_RESENDING);
            }
            heads.changed().await.map_err(|_| SendFailure::Stopped)?;
        }
    }

    fn mined(&self, hash: B256) -> Result<Option<Mined>, LedgerError> {
        let Some(location) = self.ledger.locate(hash)? else { return Ok(None) };
        let receipts = self.ledger.receipts(location.height)?;
        let receipt = receipts.and_then(|list| list.get(location.index as usize).cloned());
        Ok(receipt.map(|receipt| Mined { hash, height: location.height, receipt }))
    }
}
