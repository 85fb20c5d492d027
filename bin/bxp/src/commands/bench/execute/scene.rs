//! The accounts, the token and the transactions of the measurement.

use crate::wallet::Wallet;
use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, address, hex, keccak256};
use anyhow::Result;
use bxp_types::{Amount, Genesis, GenesisAccount, RecoveredTransaction};
use rayon::prelude::*;
use std::collections::BTreeMap;

pub(super) const CHAIN_ID: u64 = 2018;
pub(super) const TREASURY: Address = Address::repeat_byte(0x7e);
pub(super) const TOKEN: Address = address!("000000000000000000000000000000000000700e");

/// Fees never stand in the way: the base fee can grow for many full blocks.
const FEE_CAP_WEI: u128 = 1_000_000_000_000;
const GAS_MAX: u64 = 60_000;

/// The `transfer` of an ERC-20 token whose balances are a mapping in slot 0, as a compiler would lay it out: two reads,
/// two writes, a `Transfer` log.
pub(super) const TOKEN_CODE: [u8; 109] = hex!(
    "336000526000602052604060002080546024358082106067578091039091556004356000526040600020805482019055600052"
    "600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a360016000526020"
    "6000f35b60006000fd"
);

/// What a block's transactions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Transfer,
    Token,
    /// One of each in turn.
    Mixed,
}

pub(super) struct Scene {
    pub(super) genesis: Genesis,
    pub(super) senders: Vec<Wallet>,
    /// All accounts but the senders.
    pub(super) others: Vec<Address>,
}

impl Scene {
    pub(super) fn new(accounts: usize, senders: usize) -> Result<Self> {
        let wallet = |index: usize| Wallet::new(keccak256(format!("bench sender {index}")));
        let senders = (0..senders).into_par_iter().map(wallet).collect::<Result<Vec<_>>>()?;
        let other = |index: usize| Address::from_slice(&keccak256(index.to_be_bytes())[12..]);
        let others: Vec<_> = (senders.len()..accounts).into_par_iter().map(other).collect();
        let everyone = || senders.iter().map(Wallet::address).chain(others.iter().copied());
        let balance = || GenesisAccount { balance: Amount::from_bxm(1_000), ..GenesisAccount::default() };
        let mut document: BTreeMap<_, _> = everyone().map(|address| (address, balance())).collect();
        let tokens = B256::from(U256::from(1_000_000));
        let storage = everyone().map(|address| (balance_slot(address), tokens)).collect();
        let code = Bytes::from_static(&TOKEN_CODE);
        document.insert(TOKEN, GenesisAccount { code, storage, ..GenesisAccount::default() });
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            time_ms: 1_700_000_000_000,
            gas_limit: GAS_MAX * senders.len() as u64,
            base_fee_wei: 1_000_000_000,
            treasury: TREASURY,
            validators: Vec::new(),
            accounts: document,
            identity_copies: BTreeMap::new(),
        };
        Ok(Self { genesis, senders, others })
    }

    /// The transactions of a block in which each sender has this nonce, and pays whom `round` says.
    fn transactions(&self, kind: Kind, nonce: u64, round: u64) -> Vec<TxEip1559> {
        let of_sender = |index: usize| {
            // Far apart, and others in every block.
            let place = (index as u64 * 7_919 + round * 104_729) % self.others.len() as u64;
            let to = self.others[usize::try_from(place).unwrap_or_default()];
            let token = kind == Kind::Token || (kind == Kind::Mixed && index % 2 == 1);
            let (to, value, input) =
                if token { (TOKEN, 0, transfer_calldata(to, 1)) } else { (to, 1, Bytes::new()) };
            TxEip1559 {
                chain_id: CHAIN_ID,
                nonce,
                gas_limit: if token { GAS_MAX } else { 21_000 },
                max_fee_per_gas: FEE_CAP_WEI,
                max_priority_fee_per_gas: 1,
                to: to.into(),
                value: U256::from(value),
                input,
                ..TxEip1559::default()
            }
        };
        (0..self.senders.len()).map(of_sender).collect()
    }

    /// The transactions of the block in which each sender has this nonce, signed and encoded.
    pub(super) fn signed(&self, kind: Kind, nonce: u64) -> Result<Vec<Bytes>> {
        let transactions = self.transactions(kind, nonce, nonce);
        let signed = self.senders.par_iter().zip(transactions);
        Ok(signed.map(|(wallet, transaction)| wallet.sign(transaction).1).collect())
    }

    /// The transactions of a block in which each sender has this nonce, and pays whom `round` says. Their signatures are
    /// nobody's: they are only run.
    pub(super) fn unsigned(&self, kind: Kind, nonce: u64, round: u64) -> Vec<RecoveredTransaction> {
        let unsigned = |(wallet, transaction): (&Wallet, TxEip1559)| {
            let signed: TxEnvelope = transaction.into_signed(Signature::test_signature()).into();
            RecoveredTransaction::new_unchecked(signed, wallet.address())
        };
        self.senders.iter().zip(self.transactions(kind, nonce, round)).map(unsigned).collect()
    }
}

/// The slot of an account's balance in the token.
pub(super) fn balance_slot(account: Address) -> B256 {
    keccak256([account.into_word(), B256::ZERO].concat())
}

fn transfer_calldata(to: Address, amount: u64) -> Bytes {
    let amount = B256::from(U256::from(amount));
    [hex!("a9059cbb").as_slice(), to.into_word().as_slice(), amount.as_slice()].concat().into()
}
