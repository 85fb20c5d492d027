//! A state view as revm reads it, with a run's writes above it in memory.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, U256};
use bxp_types::{Height, LedgerError, StateReader};
use revm::{
    DatabaseRef, bytecode::Bytecode, database::CacheDB, database_interface::DBErrorMarker, state::AccountInfo,
};

/// What a run reads and writes.
pub(crate) type Database<'a> = CacheDB<Reader<'a>>;

/// The state below a run.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a dyn StateReader);

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

/// The state could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ReadError(pub(crate) LedgerError);

impl DBErrorMarker for ReadError {}

/// A run's database over `view`.
pub(crate) fn over(view: &dyn StateReader) -> Database<'_> {
    CacheDB::new(Reader(view))
}

impl DatabaseRef for Reader<'_> {
    type Error = ReadError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadError> {
        let account = self.0.account(address).map_err(ReadError)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: (account.code_hash == KECCAK_EMPTY).then(Bytecode::default),
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ReadError> {
        let code = self.0.code(code_hash).map_err(ReadError)?;
        Bytecode::new_raw_checked(code)
            .map_err(|_| ReadError(LedgerError::Storage(format!("code {code_hash} is malformed"))))
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, ReadError> {
        self.0.slot(address, index).map_err(ReadError)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadError> {
        Ok(self.0.block_hash(Height(number)).map_err(ReadError)?.unwrap_or_default())
    }
}
