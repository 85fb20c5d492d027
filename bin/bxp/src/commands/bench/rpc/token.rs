//! The token of the ERC-20 load: OpenZeppelin's, unmodified. `tests/clients` compiles the same source and holds this
//! code against what the compiler gives.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use anyhow::{Context, Result};

sol! {
    function transfer(address to, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}

/// Init code of `contract Token is ERC20("Token", "TKN")`, which mints 1000 tokens of 10^18 units to its deployer.
pub(crate) fn creation_code() -> Result<Bytes> {
    include_str!("token.hex").trim().parse().context("read the token's code")
}

/// Calldata of a transfer.
pub(crate) fn transfer(to: Address, amount: U256) -> Bytes {
    transferCall { to, amount }.abi_encode().into()
}

/// Calldata of a question for a balance.
pub(crate) fn balance_of(account: Address) -> Bytes {
    balanceOfCall { account }.abi_encode().into()
}
