//! An independent book of balances and nonces for plain transfers, to hold the state against.

use alloy_consensus::{Header, Transaction as _};
use bxp_types::{Address, Genesis, RecoveredTransaction, U256};
use std::collections::BTreeMap;

/// Gas of a plain transfer.
const GAS: u64 = 21_000;

pub(super) struct Book {
    accounts: BTreeMap<Address, (u64, U256)>,
    treasury: Address,
    total: U256,
}

impl Book {
    pub(super) fn new(genesis: &Genesis) -> Self {
        let balance = |account: &bxp_types::GenesisAccount| U256::from(account.balance.0);
        let accounts: BTreeMap<Address, (u64, U256)> =
            genesis.accounts.iter().map(|(address, account)| (*address, (0, balance(account)))).collect();
        let total = sum(&accounts);
        Self { accounts, treasury: genesis.treasury, total }
    }

    pub(super) fn nonce(&self, account: Address) -> u64 {
        self.accounts.get(&account).map_or(0, |(nonce, _)| *nonce)
    }

    /// Executes a transfer: value to the receiver, fees to the treasury (ADR 13).
    pub(super) fn transfer(
        &mut self,
        transaction: &RecoveredTransaction,
        header: &Header,
    ) -> Result<(), String> {
        let base_fee = u128::from(header.base_fee_per_gas.unwrap_or_default());
        let price = transaction.effective_gas_price(header.base_fee_per_gas);
        if price < base_fee {
            return Err(format!("block {} holds a transaction below its base fee", header.number));
        }
        let fee = U256::from(price) * U256::from(GAS);
        let sender = self.accounts.entry(transaction.signer()).or_default();
        if sender.0 != transaction.nonce() {
            return Err(format!(
                "block {}: nonce {} after {} transactions of the sender",
                header.number,
                transaction.nonce(),
                sender.0
            ));
        }
        let cost = transaction.value() + fee;
        sender.1 = sender.1.checked_sub(cost).ok_or_else(|| format!("block {}: overdrawn", header.number))?;
        sender.0 += 1;
        self.credit(transaction.to().unwrap_or_default(), transaction.value());
        self.credit(self.treasury, fee);
        Ok(())
    }

    fn credit(&mut self, account: Address, amount: U256) {
        let entry = self.accounts.entry(account).or_default();
        entry.1 += amount;
    }

    /// Holds a node's state against the book.
    pub(super) fn check(&self, state: &bxp_execution::State) -> Result<(), String> {
        if sum(&self.accounts) != self.total {
            return Err("conservation: the sum of all balances has changed".to_owned());
        }
        for (address, (nonce, balance)) in &self.accounts {
            let account = state.account(*address).map_err(|error| error.to_string())?;
            if (account.nonce, account.balance) != (*nonce, *balance) {
                return Err(format!(
                    "conservation: {address} has nonce {} and {} wei, the book says {nonce} and {balance}",
                    account.nonce, account.balance
                ));
            }
        }
        Ok(())
    }
}

fn sum(accounts: &BTreeMap<Address, (u64, U256)>) -> U256 {
    accounts.values().fold(U256::ZERO, |sum, (_, balance)| sum + balance)
}
