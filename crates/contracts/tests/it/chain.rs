//! An EVM over an in-memory state that starts as a network's genesis does.

use alloy_sol_types::{SolCall, SolError, SolEvent};
use bxp_contracts::genesis_accounts;
use bxp_types::GenesisAccount;
use bxp_types::primitives::{Address, Bytes, Log, TxKind, U256};
use revm::bytecode::Bytecode;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, MainBuilder, MainContext};

pub(crate) const CHAIN_ID: u64 = 2018;
pub(crate) const TREASURY: Address = Address::repeat_byte(0xfe);
const GAS_LIMIT: u64 = 30_000_000;

/// The chain: its state and its clock. Gas costs nothing here, so that balances show the contracts' payments alone.
pub(crate) struct Chain {
    state: CacheDB<EmptyDB>,
    pub(crate) time: u64,
    pub(crate) height: u64,
}

/// What a successful transaction left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) output: Bytes,
    pub(crate) logs: Vec<Log>,
}

/// The revert data of a transaction that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reverted(pub(crate) Bytes);

impl Reverted {
    /// The error as `E`.
    pub(crate) fn as_error<E: SolError>(&self) -> E {
        E::abi_decode(&self.0).unwrap_or_else(|error| panic!("another error, {:?}: {error}", self.in_words()))
    }

    pub(crate) fn in_words(&self) -> Option<String> {
        bxp_contracts::explain_revert(&self.0)
    }
}

impl Done {
    /// The logs that are `E`s.
    pub(crate) fn events<E: SolEvent>(&self) -> Vec<E> {
        self.logs.iter().filter_map(|log| E::decode_log(log).ok()).map(|log| log.data).collect()
    }
}

impl Chain {
    /// Block 0 with these authorised holders.
    pub(crate) fn new(holders: &[Address]) -> Self {
        let mut chain = Self { state: CacheDB::new(EmptyDB::new()), time: 1_700_000_000, height: 1 };
        for (address, account) in genesis_accounts(holders.iter().copied(), TREASURY) {
            chain.set_account(address, account);
        }
        chain
    }

    /// Puts an account of block 0 into the state.
    pub(crate) fn set_account(&mut self, address: Address, account: GenesisAccount) {
        self.set_code(address, account.code);
        for (slot, value) in account.storage {
            self.state.insert_account_storage(address, slot.into(), value.into()).unwrap();
        }
    }

    pub(crate) fn set_code(&mut self, address: Address, code: Bytes) {
        self.state.insert_account_info(address, AccountInfo::from_bytecode(Bytecode::new_raw(code)));
    }

    pub(crate) fn fund(&mut self, address: Address, balance: U256) {
        self.state.insert_account_info(address, AccountInfo::from_balance(balance));
    }

    pub(crate) fn balance(&mut self, address: Address) -> U256 {
        self.state.load_account(address).unwrap().info.balance
    }

    /// Sends `call` from `from` with `value` wei.
    pub(crate) fn pay<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        call: &C,
    ) -> Result<Done, Reverted> {
        self.transact(from, to, value, call.abi_encode().into(), GAS_LIMIT)
    }

    /// Sends `call` from `from`.
    pub(crate) fn send<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        call: &C,
    ) -> Result<Done, Reverted> {
        self.pay(from, to, U256::ZERO, call)
    }

    /// What `call` returns, from nobody in particular.
    pub(crate) fn read<C: SolCall>(&mut self, to: Address, call: &C) -> C::Return {
        let done = self.send(Address::ZERO, to, call).unwrap();
        C::abi_decode_returns(&done.output).unwrap()
    }

    pub(crate) fn transact(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        data: Bytes,
        gas_limit: u64,
    ) -> Result<Done, Reverted> {
        let (time, height) = (self.time, self.height);
        let context = Context::mainnet()
            .with_db(&mut self.state)
            .modify_cfg_chained(|cfg| {
                cfg.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
                cfg.chain_id = CHAIN_ID;
                cfg.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.timestamp = U256::from(time);
                block.number = U256::from(height);
                block.gas_limit = GAS_LIMIT;
            });
        let transaction = TxEnv {
            caller: from,
            kind: TxKind::Call(to),
            value,
            data,
            gas_limit,
            gas_price: 0,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        match context.build_mainnet().transact_commit(transaction).unwrap() {
            ExecutionResult::Success { output: Output::Call(output), logs, .. } => Ok(Done { output, logs }),
            ExecutionResult::Revert { output, .. } => Err(Reverted(output)),
            // Out of gas, as a rule: there is no reason to show.
            ExecutionResult::Halt { .. } => Err(Reverted(Bytes::new())),
            other @ ExecutionResult::Success { .. } => panic!("{other:?}"),
        }
    }
}
