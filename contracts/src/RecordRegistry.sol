// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {MerkleProof} from "./MerkleProof.sol";

/// @title RecordRegistry: the anchors of record batches
/// @notice A holder anchors one Merkle root for each batch of records that it took in. The chain so knows who held
/// which records at what time, and nothing about what is in them (white paper rows A12, F9).
/// @dev A system contract: it stands at 0x000000000000000000000000000000000000b001 from genesis on and has no
/// constructor. Storage layout, which the genesis document relies on: slot 0 is the mapping `authorised`, so the
/// flag of an account lies at keccak256(abi.encode(account, uint256(0))). Nobody can change the list afterwards.
contract RecordRegistry {
    /// @notice One anchored batch.
    struct Batch {
        /// The institution that anchored it.
        address holder;
        /// Block time in seconds.
        uint48 time;
        /// Number of records, that is of leaves.
        uint32 count;
        /// ISO 3166-1 alpha-2 code of the records' country of residence.
        bytes2 jurisdiction;
        /// Root of the tree described in MerkleProof.
        bytes32 root;
    }

    /// @notice Institutions that may anchor, and that may answer data requests.
    mapping(address account => bool) public authorised;

    Batch[] private _batches;
    mapping(address holder => mapping(bytes32 root => uint256 batchId)) private _batchIds;

    /// @notice A batch was anchored.
    event Anchored(
        uint256 indexed batchId,
        address indexed holder,
        bytes32 indexed root,
        uint32 count,
        bytes2 jurisdiction,
        uint48 time
    );

    /// @notice The account is no holder of this network. Send from a validator institution's account.
    error NotAuthorisedHolder(address account);
    /// @notice The root is zero or the batch has no records. Anchor the root of at least one record.
    error EmptyBatch();
    /// @notice Not two upper-case letters. Give the ISO 3166-1 alpha-2 code of the country.
    error NotACountry(bytes2 jurisdiction);
    /// @notice This holder anchored this root before, as `batchId`. Use that batch.
    error AlreadyAnchored(uint256 batchId);
    /// @notice There is no such batch. Ids run from 1 to batchCount().
    error UnknownBatch(uint256 batchId);

    /// @notice Anchors a batch.
    /// @param root Merkle root over the records' leaves.
    /// @param count Number of records.
    /// @param jurisdiction ISO 3166-1 alpha-2 code of the records' country of residence.
    /// @return batchId The number of the batch, from 1.
    function anchor(bytes32 root, uint32 count, bytes2 jurisdiction) external returns (uint256 batchId) {
        require(authorised[msg.sender], NotAuthorisedHolder(msg.sender));
        require(root != 0 && count != 0, EmptyBatch());
        require(_isUpper(jurisdiction[0]) && _isUpper(jurisdiction[1]), NotACountry(jurisdiction));
        uint256 earlier = _batchIds[msg.sender][root];
        require(earlier == 0, AlreadyAnchored(earlier));

        uint48 time = uint48(block.timestamp);
        _batches.push(Batch(msg.sender, time, count, jurisdiction, root));
        batchId = _batches.length;
        _batchIds[msg.sender][root] = batchId;
        emit Anchored(batchId, msg.sender, root, count, jurisdiction, time);
    }

    /// @notice Number of batches anchored so far; the newest batch's id.
    function batchCount() external view returns (uint256) {
        return _batches.length;
    }

    /// @notice One batch.
    function batch(uint256 batchId) external view returns (Batch memory) {
        return _batch(batchId);
    }

    /// @notice The id under which `holder` anchored `root`; 0 when it did not.
    function batchIdOf(address holder, bytes32 root) external view returns (uint256) {
        return _batchIds[holder][root];
    }

    /// @notice Whether `leaf` is record number `index` of the batch.
    /// @param siblings The neighbours on the way up, lowest first.
    function verify(uint256 batchId, bytes32 leaf, uint256 index, bytes32[] calldata siblings)
        external
        view
        returns (bool)
    {
        Batch storage anchored = _batch(batchId);
        return MerkleProof.verify(anchored.root, anchored.count, leaf, index, siblings);
    }

    function _batch(uint256 batchId) private view returns (Batch storage) {
        require(batchId != 0 && batchId <= _batches.length, UnknownBatch(batchId));
        return _batches[batchId - 1];
    }

    function _isUpper(bytes1 letter) private pure returns (bool) {
        return letter >= "A" && letter <= "Z";
    }
}
