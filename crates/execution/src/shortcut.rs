//! Transactions whose outcome is plain without the EVM: transfers to accounts without code, and batch payments.
//!
//! A short cut is taken only where every check of the EVM is sure to pass; whatever is unusual goes its usual way, so
//! that refusals and failures have one source. What a short cut gives is bit for bit what the EVM gives: state, receipt
//! and gas.

use crate::{
    ExecutionError, TRANSACTION_GAS_MAX,
    evm::BlockState,
    payments::{self, NEW_ACCOUNT_GAS, PAYMENT_GAS, PAYMENTS, Payment},
    precompiles::Precompiles,
    receipts::Ended,
};
use alloy_consensus::{Transaction, TxType, constants::KECCAK_EMPTY};
use alloy_primitives::{
    Address, Log, U256,
    map::{AddressMap, Entry},
};
use bxp_types::RecoveredTransaction;
use revm::state::AccountInfo;

const TRANSACTION_GAS: u64 = 21_000;
/// Gas for a token of calldata: a zero byte is one, another byte four (EIP-7623).
const TOKEN_GAS: u64 = 4;
const TOKEN_FLOOR_GAS: u64 = 10;

/// What a transaction gives that needs no EVM.
pub(crate) struct Plain {
    pub(crate) ended: Ended,
    /// The accounts that it has to do with, as they become.
    pub(crate) accounts: AddressMap<AccountInfo>,
}

/// What `transaction` gives, if it can be done without the EVM; none where it has to go through it. Nothing is kept.
pub(crate) fn plan(
    state: &mut impl BlockState,
    builtin: &Precompiles,
    transaction: &RecoveredTransaction,
    base_fee: u64,
) -> Result<Option<Plain>, ExecutionError> {
    let Some(to) = transaction.kind().to().copied().filter(|_| is_usual(transaction, base_fee)) else {
        return Ok(None);
    };
    let value = transaction.value();
    let plain = to != PAYMENTS;
    let payments = if plain {
        let simple = transaction.input().is_empty() && !value.is_zero() && to != transaction.signer();
        if !simple || builtin.contains(&to) {
            return Ok(None);
        }
        vec![Payment { to, amount: value }]
    } else {
        let Ok(payments) = payments::read(transaction.input(), value) else { return Ok(None) };
        payments
    };
    let price = transaction.effective_gas_price(Some(base_fee));
    let mut staged = Staged { state, accounts: AddressMap::default() };
    if !staged.charge(transaction, price)? {
        return Ok(None);
    }
    let mut gas_used = if plain { TRANSACTION_GAS } else { intrinsic_gas(transaction.input(), TOKEN_GAS) };
    let mut logs: Vec<Log> = Vec::new();
    for payment in &payments {
        let account = staged.account(payment.to)?;
        if plain && account.code_hash != KECCAK_EMPTY {
            return Ok(None);
        }
        if !plain {
            let new = if account.is_empty() { NEW_ACCOUNT_GAS } else { 0 };
            gas_used = gas_used.saturating_add(PAYMENT_GAS + new);
            logs.push(payments::log(transaction.signer(), payment));
        }
        let Some(balance) = account.balance.checked_add(payment.amount) else { return Ok(None) };
        account.balance = balance;
    }
    let gas_used = gas_used.max(intrinsic_gas(transaction.input(), TOKEN_FLOOR_GAS));
    let Some(left) = transaction.gas_limit().checked_sub(gas_used) else { return Ok(None) };
    if !staged.give_back(transaction.signer(), left, price)? {
        return Ok(None);
    }
    let ended = Ended { success: true, gas_used, logs, contract_address: None };
    Ok(Some(Plain { ended, accounts: staged.accounts }))
}

/// Whether the transaction has nothing that changes its course: its type, its lists and its fees.
fn is_usual(transaction: &RecoveredTransaction, base_fee: u64) -> bool {
    let max = transaction.max_fee_per_gas();
    matches!(transaction.tx_type(), TxType::Legacy | TxType::Eip2930 | TxType::Eip1559)
        && transaction.access_list().is_none_or(|list| list.is_empty())
        && transaction.gas_limit() <= TRANSACTION_GAS_MAX
        && max >= u128::from(base_fee)
        && transaction.max_priority_fee_per_gas().is_none_or(|tip| tip <= max)
}

fn intrinsic_gas(calldata: &[u8], token_gas: u64) -> u64 {
    let tokens: u64 = calldata.iter().map(|byte| if *byte == 0 { 1 } else { 4 }).sum();
    TRANSACTION_GAS.saturating_add(tokens.saturating_mul(token_gas))
}

/// Accounts as they would be, above those of the block.
struct Staged<'a, S> {
    state: &'a mut S,
    accounts: AddressMap<AccountInfo>,
}

impl<S: BlockState> Staged<'_, S> {
    /// Takes value and the price of all gas from the sender; false where the EVM would refuse the transaction.
    fn charge(&mut self, transaction: &RecoveredTransaction, price: u128) -> Result<bool, ExecutionError> {
        let sender = self.account(transaction.signer())?;
        let gas = U256::from(transaction.gas_limit());
        let cost = |price: u128| gas.saturating_mul(U256::from(price)).saturating_add(transaction.value());
        let valid = sender.nonce == transaction.nonce()
            && sender.code_hash == KECCAK_EMPTY
            && sender.balance >= cost(transaction.max_fee_per_gas());
        let (Some(nonce), true) = (sender.nonce.checked_add(1), valid) else { return Ok(false) };
        // The price is at most the cap, which the balance covers.
        sender.balance = sender.balance.saturating_sub(cost(price));
        sender.nonce = nonce;
        Ok(true)
    }

    /// Gives the price of the gas that is left back; false where that would be too much for an account.
    fn give_back(&mut self, sender: Address, left: u64, price: u128) -> Result<bool, ExecutionError> {
        let sender = self.account(sender)?;
        let back = U256::from(left).saturating_mul(U256::from(price));
        let Some(balance) = sender.balance.checked_add(back) else { return Ok(false) };
        sender.balance = balance;
        Ok(true)
    }

    /// The account at `address`, empty where there is none.
    fn account(&mut self, address: Address) -> Result<&mut AccountInfo, ExecutionError> {
        Ok(match self.accounts.entry(address) {
            Entry::Occupied(account) => account.into_mut(),
            Entry::Vacant(account) => account.insert(self.state.account(address)?.unwrap_or_default()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ChainSpec,
        code_cache::CodeCache,
        memory::MemoryState,
        overlay::{Overlay, OverlayAccount},
        root,
    };
    use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
    use alloy_primitives::Signature;

    const ALICE: Address = Address::repeat_byte(0xa1);

    /// Whether a transfer of 5 wei, changed by `change`, takes the short cut.
    fn taken(change: impl FnOnce(&mut TxEip1559)) -> bool {
        let mut state = MemoryState::default();
        let now = Some(AccountInfo { balance: U256::from(10_000_000), ..AccountInfo::default() });
        let account = OverlayAccount { before: None, now, wiped: false, slots: Default::default() };
        let (_, changes) = root::state_root(&state, [(&ALICE, &account)]).unwrap();
        state.apply(changes);
        let mut transfer = TxEip1559 {
            gas_limit: 21_000,
            max_fee_per_gas: 100,
            to: Address::repeat_byte(0xb0).into(),
            value: U256::from(5),
            ..TxEip1559::default()
        };
        change(&mut transfer);
        let signed: TxEnvelope = transfer.into_signed(Signature::test_signature()).into();
        let code = CodeCache::default();
        let builtin = Precompiles::new(&ChainSpec::bxp(1).rules(&Header::default()));
        let transaction = Recovered::new_unchecked(signed, ALICE);
        plan(&mut Overlay::new(&state, &code), &builtin, &transaction, 100).unwrap().is_some()
    }

    #[test]
    fn plain_transfers_take_it_and_others_do_not() {
        assert!(taken(|_| {}));
        assert!(!taken(|transfer| transfer.gas_limit = 20_999));
        assert!(!taken(|transfer| transfer.max_fee_per_gas = 99));
        assert!(!taken(|transfer| transfer.max_priority_fee_per_gas = 101));
        assert!(!taken(|transfer| transfer.nonce = 1));
        assert!(!taken(|transfer| transfer.value = U256::from(10_000_000)));
        assert!(!taken(|transfer| transfer.value = U256::ZERO));
        assert!(!taken(|transfer| transfer.to = ALICE.into()));
        assert!(!taken(|transfer| transfer.to = Address::with_last_byte(1).into()));
        assert!(!taken(|transfer| transfer.to = PAYMENTS.into()));
        assert!(!taken(|transfer| transfer.input = vec![0].into()));
    }
}
