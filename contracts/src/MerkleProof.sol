// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title Inclusion proofs in the Merkle tree of a batch
/// @notice The tree is that of RFC 9162, section 2.1, with keccak256:
///   leaf = keccak256(0x00 || data), node = keccak256(0x01 || left || right),
/// the left subtree of n leaves holding the largest power of two smaller than n.
/// @dev The prefixes keep leaves and nodes apart, so that no inner node can be shown as a leaf (second preimage), and
/// the position is checked against the anchored number of leaves, so that a proof fits exactly one index.
library MerkleProof {
    /// @notice The leaf of one record: it binds the record's commitment to the patient who is to be paid for it.
    /// @param patient The patient's account.
    /// @param commitment A salted hash over the record (its id, its CIDs, its residency). The salt keeps the
    /// record unguessable from the public leaf.
    function recordLeaf(address patient, bytes32 commitment) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), patient, commitment));
    }

    /// @notice The node above `left` and `right`.
    function parent(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice Whether `leaf` is number `index` of the `count` leaves under `root` (RFC 9162, section 2.1.3.2).
    /// @param siblings The neighbours on the way up, lowest first.
    function verify(bytes32 root, uint256 count, bytes32 leaf, uint256 index, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        if (index >= count) return false;
        uint256 position = index;
        uint256 last = count - 1;
        bytes32 node = leaf;
        for (uint256 level = 0; level < siblings.length; ++level) {
            if (last == 0) return false;
            if (position & 1 == 1 || position == last) {
                node = parent(siblings[level], node);
                // A right edge without a neighbour rises until it has one.
                while (position != 0 && position & 1 == 0) {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                node = parent(node, siblings[level]);
            }
            position >>= 1;
            last >>= 1;
        }
        return last == 0 && node == root;
    }
}
