//! What a transaction costs before it runs.

use alloy_consensus::Transaction as _;
use bxp_types::RecoveredTransaction;

const BASE: u64 = 21_000;
const CREATE: u64 = 32_000;
const INIT_CODE_WORD: u64 = 2;
const TOKEN: u64 = 4;
const TOKEN_FLOOR: u64 = 10;
const ACCESS_ADDRESS: u64 = 2_400;
const ACCESS_SLOT: u64 = 1_900;
const AUTHORISATION: u64 = 25_000;

/// The least gas limit: intrinsic gas (EIP-2028, 2930, 3860, 7702) or the calldata floor (EIP-7623), whichever is
/// more.
#[must_use]
pub fn intrinsic_gas(transaction: &RecoveredTransaction) -> u64 {
    let input = transaction.input();
    let zeros = input.iter().filter(|&&byte| byte == 0).count() as u64;
    let tokens = zeros + (input.len() as u64 - zeros) * 4;
    let create =
        if transaction.is_create() { CREATE + INIT_CODE_WORD * (input.len() as u64).div_ceil(32) } else { 0 };
    let access: u64 = transaction
        .access_list()
        .iter()
        .flat_map(|list| list.iter())
        .map(|item| ACCESS_ADDRESS + ACCESS_SLOT * item.storage_keys.len() as u64)
        .sum();
    let authorisations = transaction.authorization_list().map_or(0, <[_]>::len) as u64 * AUTHORISATION;
    (BASE + TOKEN * tokens + create + access + authorisations).max(BASE + TOKEN_FLOOR * tokens)
}
