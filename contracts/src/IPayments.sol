// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

// Where batch payments are.
IPayments constant PAYMENTS = IPayments(0x000000000000000000000000000000000000b004);

/// @title Batch payments
/// @notice A contract of the machine at 0x000000000000000000000000000000000000b004: one transaction pays many. Payments
/// are packed without gaps: an address of 20 bytes, then an amount of 12 or 16 bytes, big-endian. The value sent is the
/// sum of the amounts. All are paid, or none.
/// @dev Call it as any contract: `PAYMENTS.pay96{value: sum}(packed)`. The byte of code at its address (0xfe) is there for
/// `extcodesize` and never runs. Recipients' code does not run. Not by delegatecall, not from a static call. What is
/// wrong reverts with `Error(string)`. Gas: 7256 for a payment, and 25000 more for one that brings its account into being.
interface IPayments {
    /// @notice One payment, in the order in which they were packed.
    /// @param from Who called: the account that signed, or the contract that pays.
    /// @param to Who was paid.
    /// @param amount In wei.
    event Transfer(address indexed from, address indexed to, uint256 amount);

    /// @notice Pays amounts of 96 bits: entries of 32 bytes.
    /// @param payments The packed entries, at least one, no amount of zero.
    function pay96(bytes calldata payments) external payable;

    /// @notice Pays amounts of 128 bits: entries of 36 bytes.
    /// @param payments The packed entries, at least one, no amount of zero.
    function pay128(bytes calldata payments) external payable;
}
