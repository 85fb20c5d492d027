// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {PAYMENTS} from "../src/IPayments.sol";

/// @notice Pays many at once by high-level calls of the payments contract, as a contract of a user would.
contract Payroll {
    /// @notice The reason why the last payment that was tried was refused.
    string public refusal;

    receive() external payable {}

    /// @notice Pays each of `people` the same, from this contract's money.
    function payEach(address[] calldata people, uint96 wage) external {
        PAYMENTS.pay96{value: uint256(wage) * people.length}(packed(people, wage));
    }

    /// @notice The same with amounts of 128 bits, from what comes with the call.
    function payEachWide(address[] calldata people, uint128 wage) external payable {
        bytes memory entries;
        for (uint256 index = 0; index < people.length; ++index) {
            entries = abi.encodePacked(entries, people[index], wage);
        }
        PAYMENTS.pay128{value: msg.value}(entries);
    }

    /// @notice Tries to pay with `short` wei too little, and keeps the reason.
    function tryToPay(address[] calldata people, uint96 wage, uint256 short) external {
        try PAYMENTS.pay96{value: uint256(wage) * people.length - short}(packed(people, wage)) {
            refusal = "";
        } catch Error(string memory reason) {
            refusal = reason;
        }
    }

    function packed(address[] calldata people, uint96 wage) private pure returns (bytes memory entries) {
        for (uint256 index = 0; index < people.length; ++index) {
            entries = abi.encodePacked(entries, people[index], wage);
        }
    }
}
