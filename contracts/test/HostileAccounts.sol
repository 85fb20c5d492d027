// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {DataRequest} from "../src/DataRequest.sol";

/// @notice A contract account that can call others, as a smart wallet does.
abstract contract Account {
    /// @notice Calls `target` and passes its revert on.
    function run(address target, bytes calldata data) external {
        (bool done, bytes memory result) = target.call(data);
        if (!done) {
            assembly {
                revert(add(result, 32), mload(result))
            }
        }
    }
}

/// @notice An account that takes no money.
contract RefusingAccount is Account {
    error NoMoneyHere();

    receive() external payable {
        revert NoMoneyHere();
    }
}

/// @notice An account that burns all gas that it is given.
contract GreedyAccount is Account {
    receive() external payable {
        while (true) {}
    }
}

/// @notice An account that tries to be paid again while it is being paid.
contract ReentrantAccount is Account {
    /// @notice Whether one of its calls went through.
    bool public breached;

    receive() external payable {
        DataRequest request = DataRequest(msg.sender);
        (bool settled,) = address(request).call(abi.encodeCall(request.computePayment, (type(uint32).max)));
        (bool withdrawn,) = address(request).call(abi.encodeCall(request.withdraw, (payable(address(this)))));
        (bool refunded,) = address(request).call(abi.encodeCall(request.refund, ()));
        if (settled || withdrawn || refunded) breached = true;
    }
}
