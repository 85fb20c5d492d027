// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title NodeRegistry: where nodes stand, and who owes the proof that it deleted what it had of a country
/// @notice Governors, whom genesis names, move a node to another country, suspend it and admit it again. A node that
/// leaves a country owes a proof that it deleted that country's identity blocks, and files it here (white paper row
/// A12). Only countries, heights, public keys and a hash are here, and nothing of any record.
/// @dev A system contract: it stands at 0x000000000000000000000000000000000000b005 from genesis on and has no
/// constructor. Storage layout, which the genesis document relies on: slot 0 is the array of nodes, slot 1 the mapping
/// `isGovernor`, slot 2 `approvalsNeeded`; nodes read the number of changes from slot 3.
contract NodeRegistry {
    /// @notice One node of the network, by its index in genesis.
    struct Node {
        /// The institution's account, which files proofs.
        address account;
        /// ISO 3166-1 alpha-2 code of the country in which it stands, or stood when it was suspended.
        bytes2 country;
        /// Whether it stands anywhere: a suspended node does not.
        bool active;
        /// The block of its last change; 0 when it is as genesis says.
        uint64 changedAt;
        /// Its Ed25519 key, by which the other nodes know it and with which it signs its statements.
        bytes32 publicKey;
    }

    /// @notice What one change left a node as.
    struct Change {
        uint16 node;
        bytes2 country;
        bool active;
        /// The block from which it holds.
        uint64 height;
    }

    /// @notice That a node left a country.
    struct Departure {
        uint16 node;
        bytes2 country;
        /// The block of the change; 0 when the node came back before it had proven anything, and owes nothing.
        uint64 leftAt;
        /// The block in which the proof was filed; 0 while it is owed.
        uint64 provenAt;
        /// How many identity blocks the proof names.
        uint64 blocks;
        /// SHA-256 over all parts of the node's signed statement, in their order; every node keeps the parts.
        bytes32 proof;
    }

    Node[] private _nodes;

    /// @notice Accounts that may change where nodes stand. Nobody else may.
    mapping(address account => bool) public isGovernor;

    /// @notice How many governors have to ask for a change before it is made.
    uint256 public approvalsNeeded;

    Change[] private _changes;
    Departure[] private _departures;
    mapping(uint16 node => mapping(bytes2 country => uint256 departureId)) private _departureIds;

    /// @notice Approvals of a change so far. What is approved depends on the node's last change and on the governors, so
    /// that no old approval counts for a later change.
    mapping(bytes32 change => uint256) public approvals;
    mapping(bytes32 change => mapping(address governor => bool)) private _approved;
    uint256 private _replacements;

    /// @notice A governor asked for a change; it is made when `count` has come to `needed`.
    event Approved(bytes32 indexed change, address indexed governor, uint256 count, uint256 needed);
    /// @notice A node that was suspended stands in `country` from block `height` on.
    event NodeAdmitted(uint16 indexed node, bytes2 country, uint64 height);
    /// @notice A node stands in `to` from block `height` on, and owes a proof for `from`.
    event NodeMoved(uint16 indexed node, bytes2 from, bytes2 to, uint64 height);
    /// @notice A node stands nowhere from block `height` on, and owes a proof for `country`.
    event NodeSuspended(uint16 indexed node, bytes2 country, uint64 height);
    /// @notice A node that left `country` in block `leftAt` proved that nothing of it is left.
    event DeletionProven(
        uint16 indexed node, bytes2 indexed country, uint64 leftAt, uint64 blocks, bytes32 proof
    );
    /// @notice `to` governs in place of `from`.
    event GovernorReplaced(address indexed from, address indexed to);

    /// @notice The account is no governor of this network. Send from one that genesis names.
    error NotAGovernor(address account);
    /// @notice The account has asked for this change before. Other governors have to.
    error AlreadyApproved(address account, bytes32 change);
    /// @notice There is no such node. Nodes have the indexes 0 to nodeCount() - 1.
    error UnknownNode(uint16 node);
    /// @notice Not two upper-case letters. Give the ISO 3166-1 alpha-2 code of the country.
    error NotACountry(bytes2 country);
    /// @notice The node stands in this country already.
    error AlreadyThere(uint16 node, bytes2 country);
    /// @notice The node is suspended. Admit it first.
    error IsSuspended(uint16 node);
    /// @notice The node is not suspended. Move it.
    error NotSuspended(uint16 node);
    /// @notice The node was changed in this very block. Send again.
    error ChangedInThisBlock(uint16 node);
    /// @notice `to` is no account or governs already.
    error NotAReplacement(address to);
    /// @notice Only the node's own account files its proof.
    error NotTheNodesAccount(uint16 node, address account);
    /// @notice The node owes no proof for a departure from this country in this block.
    error NothingOwed(uint16 node, bytes2 country, uint64 leftAt);
    /// @notice A proof is the hash of a statement, which is never zero.
    error EmptyProof();

    /// @notice Moves a node to another country, once enough governors have asked for it.
    function moveNode(uint16 node, bytes2 country) external {
        Node storage moved = _changeable(node);
        bytes2 from = moved.country;
        require(moved.active, IsSuspended(node));
        _checkCountry(country);
        require(from != country, AlreadyThere(node, country));
        if (!_approve(keccak256(abi.encode("move", node, country, moved.changedAt, _replacements)))) return;
        _leave(node, from);
        _stand(node, country, true);
        emit NodeMoved(node, from, country, uint64(block.number));
    }

    /// @notice Has a node stand nowhere, once enough governors have asked for it.
    function suspendNode(uint16 node) external {
        Node storage suspended = _changeable(node);
        bytes2 from = suspended.country;
        require(suspended.active, IsSuspended(node));
        if (!_approve(keccak256(abi.encode("suspend", node, suspended.changedAt, _replacements)))) return;
        _leave(node, from);
        _stand(node, from, false);
        emit NodeSuspended(node, from, uint64(block.number));
    }

    /// @notice Has a suspended node stand in a country, once enough governors have asked for it.
    function admitNode(uint16 node, bytes2 country) external {
        Node storage admitted = _changeable(node);
        require(!admitted.active, NotSuspended(node));
        _checkCountry(country);
        if (!_approve(keccak256(abi.encode("admit", node, country, admitted.changedAt, _replacements)))) return;
        _stand(node, country, true);
        emit NodeAdmitted(node, country, uint64(block.number));
    }

    /// @notice Has another account govern in place of one, once enough governors have asked for it. Approvals of other
    /// changes that are not made yet are void then.
    function replaceGovernor(address from, address to) external {
        require(isGovernor[msg.sender], NotAGovernor(msg.sender));
        require(isGovernor[from], NotAGovernor(from));
        require(to != address(0) && !isGovernor[to], NotAReplacement(to));
        if (!_approve(keccak256(abi.encode("replace", from, to, _replacements)))) return;
        isGovernor[from] = false;
        isGovernor[to] = true;
        ++_replacements;
        emit GovernorReplaced(from, to);
    }

    /// @notice Files the proof that nothing is left of a country's identity blocks on a node that left it.
    /// @param node The sender's node.
    /// @param country The country that it left.
    /// @param leftAt The block of the departure.
    /// @param blocks How many identity blocks the statement names.
    /// @param proof SHA-256 over all parts of the node's signed statement, in their order.
    function proveDeletion(uint16 node, bytes2 country, uint64 leftAt, uint64 blocks, bytes32 proof) external {
        require(node < _nodes.length, UnknownNode(node));
        require(_nodes[node].account == msg.sender, NotTheNodesAccount(node, msg.sender));
        require(proof != 0, EmptyProof());
        uint256 id = _departureIds[node][country];
        require(id != 0, NothingOwed(node, country, leftAt));
        Departure storage departure = _departures[id - 1];
        bool owed = leftAt != 0 && departure.leftAt == leftAt && departure.provenAt == 0;
        require(owed, NothingOwed(node, country, leftAt));
        (departure.provenAt, departure.blocks, departure.proof) = (uint64(block.number), blocks, proof);
        emit DeletionProven(node, country, leftAt, blocks, proof);
    }

    /// @notice Number of nodes.
    function nodeCount() external view returns (uint256) {
        return _nodes.length;
    }

    /// @notice All nodes, by index.
    function nodes() external view returns (Node[] memory) {
        return _nodes;
    }

    /// @notice Number of changes so far.
    function changeCount() external view returns (uint256) {
        return _changes.length;
    }

    /// @notice Up to `max` changes in their order, from number `from` on, which counts from 0.
    function changes(uint256 from, uint256 max) external view returns (Change[] memory page) {
        uint256 count = _changes.length;
        uint256 left = from < count ? count - from : 0;
        page = new Change[](left < max ? left : max);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _changes[from + i];
        }
    }

    /// @notice Every country that a node has left, with the newest departure from it.
    function departures() external view returns (Departure[] memory) {
        return _departures;
    }

    /// @notice The newest departure of a node from a country; of zeros where there was none.
    function departureOf(uint16 node, bytes2 country) external view returns (Departure memory departure) {
        uint256 id = _departureIds[node][country];
        if (id != 0) departure = _departures[id - 1];
    }

    function _changeable(uint16 node) private view returns (Node storage) {
        require(isGovernor[msg.sender], NotAGovernor(msg.sender));
        require(node < _nodes.length, UnknownNode(node));
        // A block leaves one directory of nodes, and every departure in it has to be seen there.
        uint64 changedAt = _nodes[node].changedAt;
        require(changedAt == 0 || changedAt < block.number, ChangedInThisBlock(node));
        return _nodes[node];
    }

    /// Counts the sender's approval; whether the change is to be made now.
    function _approve(bytes32 change) private returns (bool) {
        require(!_approved[change][msg.sender], AlreadyApproved(msg.sender, change));
        _approved[change][msg.sender] = true;
        uint256 count = ++approvals[change];
        emit Approved(change, msg.sender, count, approvalsNeeded);
        return count >= approvalsNeeded;
    }

    function _leave(uint16 node, bytes2 country) private {
        uint256 id = _departureIds[node][country];
        if (id == 0) {
            _departures.push();
            id = _departures.length;
            _departureIds[node][country] = id;
        }
        _departures[id - 1] = Departure(node, country, uint64(block.number), 0, 0, 0);
    }

    function _stand(uint16 node, bytes2 country, bool active) private {
        Node storage changed = _nodes[node];
        (changed.country, changed.active, changed.changedAt) = (country, active, uint64(block.number));
        _changes.push(Change(node, country, active, uint64(block.number)));
        uint256 id = _departureIds[node][country];
        // Who is back before it has proven anything keeps what it has.
        if (active && id != 0 && _departures[id - 1].provenAt == 0) _departures[id - 1].leftAt = 0;
    }

    function _checkCountry(bytes2 country) private pure {
        require(_isUpper(country[0]) && _isUpper(country[1]), NotACountry(country));
    }

    function _isUpper(bytes1 letter) private pure returns (bool) {
        return letter >= "A" && letter <= "Z";
    }
}
