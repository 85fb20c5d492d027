// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

contract Counter {
    uint256 public count;
    event Counted(address indexed by, uint256 count);
    error Odd(uint256 by);

    function add(uint256 by) external {
        if (by % 2 == 1) revert Odd(by);
        count += by;
        emit Counted(msg.sender, count);
    }
}
