// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title Batch payments
/// @notice A contract of the machine at 0x000000000000000000000000000000000000b004: one transaction pays many. Payments
/// are packed without gaps: an address of 20 bytes, then an amount of 12 or 16 bytes, big-endian. The value sent is the
/// sum of the amounts. All are paid, or none.
/// @dev There is no code at the address, so a contract calls it by `call{value: sum}(abi.encodeCall(...))`. Recipients'
/// code does not run. Gas: 7256 for a payment, and 25000 more for one that brings its account into being.
interface IPayments {
    /// @notice One payment, in the order in which they were packed.
    event Transfer(address indexed from, address indexed to, uint256 amount);

    /// @notice Pays amounts of 96 bits: entries of 32 bytes.
    /// @param payments The packed entries.
    function pay96(bytes calldata payments) external payable;

    /// @notice Pays amounts of 128 bits: entries of 36 bytes.
    /// @param payments The packed entries.
    function pay128(bytes calldata payments) external payable;
}
