// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {DataRequest, Terms} from "./DataRequest.sol";

/// @title DataMarket: where data requests are opened and found
/// @notice Every request is a contract of its own that holds its own escrow (white paper row D4 and the worked
/// example, row E). The market only opens and lists them: it never holds money.
/// @dev A system contract: it stands at 0x000000000000000000000000000000000000b003 from genesis on and has no
/// constructor. Storage layout, which the genesis document relies on: slot 0 is `treasury`.
contract DataMarket {
    /// @notice Receives the fee share of every request.
    address public treasury;

    address[] private _requests;

    /// @notice Whether an address is a request that this market opened, and so runs the code below.
    mapping(address request => bool) public isRequest;

    /// @notice A request was opened, and its whole price lies in escrow.
    event RequestCreated(
        address indexed request,
        address indexed buyer,
        bytes criterion,
        uint256 pricePerRecord,
        uint32 wanted,
        uint64 deadline,
        bytes32 sealingKey
    );

    /// @notice Opens a request with the whole price, pricePerRecord * wanted, as value.
    /// @return request The new contract.
    function createRequest(Terms calldata terms) external payable returns (DataRequest request) {
        request = new DataRequest{value: msg.value}(msg.sender, treasury, terms);
        _requests.push(address(request));
        isRequest[address(request)] = true;
        emit RequestCreated(
            address(request),
            msg.sender,
            terms.criterion,
            terms.pricePerRecord,
            terms.wanted,
            terms.deadline,
            terms.sealingKey
        );
    }

    /// @notice Number of requests opened so far.
    function requestCount() external view returns (uint256) {
        return _requests.length;
    }

    /// @notice Up to `limit` requests from number `offset` on, in the order of opening.
    function requests(uint256 offset, uint256 limit) external view returns (address[] memory page) {
        uint256 total = _requests.length;
        uint256 start = offset < total ? offset : total;
        uint256 length = limit < total - start ? limit : total - start;
        page = new address[](length);
        for (uint256 i = 0; i < length; ++i) {
            page[i] = _requests[start + i];
        }
    }
}
