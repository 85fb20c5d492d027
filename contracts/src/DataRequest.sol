// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

import {ConsentRegistry} from "./ConsentRegistry.sol";
import {MerkleProof} from "./MerkleProof.sol";
import {RecordRegistry} from "./RecordRegistry.sol";

/// @notice What a buyer asks for and pays. Public to everyone (white paper row F7).
struct Terms {
    /// Canonical JSON of the cohort criterion, at most 4096 bytes. Holders evaluate it, the chain does not.
    bytes criterion;
    /// Price of one patient's matching content, in wei.
    uint256 pricePerRecord;
    /// Number of patients wanted.
    uint32 wanted;
    /// Block time in seconds at which the request ends: nothing is delivered from then on.
    uint64 deadline;
    /// Seconds that the buyer has to settle a delivery before anyone may.
    uint32 acceptanceWindow;
    /// Shares of the price in basis points; their sum is 10 000.
    uint16 patientBps;
    uint16 holderBps;
    uint16 treasuryBps;
    /// The buyer's X25519 public key, to which deliveries are sealed.
    bytes32 sealingKey;
}

/// @title DataRequest: one buyer's request, its escrow, deliveries and settlement
/// @notice The contract of the white paper's figure 2, with the paper's names: `value`, `to`, `from`, `State`,
/// `condition`, `validatePatientContent`, `computePayment` and `storage_` (`storage` is a keyword of Solidity, hence
/// the underscore).
///
/// What it guarantees:
/// - The escrow covers every record wanted from the first moment on.
/// - A record counts only when its anchor proves it, the anchor is the calling holder's, the patient contributes at
///   that moment (ConsentRegistry), and the patient has not been counted in this request (row A14).
/// - What counts is paid exactly once, whatever the buyer does: the buyer may settle at once, and anyone may after the
///   acceptance window or the deadline. The buyer has no way to withhold payment for a counted record.
/// - What is not counted by the deadline returns to the buyer exactly once.
///
/// What it leaves to others: whether a record meets the criterion, and whether the sealed delivery opens. The holder,
/// a vetted institution, stands for both with the commitments that it anchored and with the delivery's root, recorded
/// here for good; a buyer who disagrees takes these to the network's governance. A patient who revokes after a
/// delivery is still paid for it, since the data has been handed over; no later delivery can hold that patient.
contract DataRequest {
    /// @notice Created: open, nothing delivered. Locked: at least one delivery. Inactive: everything settled.
    enum State {
        Created,
        Locked,
        Inactive
    }

    /// @notice One patient's content in a delivery, with the proof of its anchor.
    struct Entry {
        /// The patient's account, which is paid.
        address patient;
        /// The batch of RecordRegistry that holds the record.
        uint256 batchId;
        /// The record's salted commitment: leaf = keccak256(0x00 || patient || commitment).
        bytes32 commitment;
        /// The leaf's number in the batch.
        uint256 index;
        /// The neighbours on the way up, lowest first.
        bytes32[] siblings;
    }

    /// @notice Where one sealed delivery lies.
    struct Delivery {
        /// Who delivered.
        address holder;
        /// Block time in seconds.
        uint48 time;
        /// Number of the first counted entry of this delivery.
        uint32 first;
        /// Number of counted entries.
        uint32 count;
        /// Merkle root that the holder commits to over the delivered content.
        bytes32 root;
        /// CID of the sealed delivery, in its binary form.
        bytes cid;
    }

    /// @notice How far the request is, for everyone to see.
    struct Progress {
        State state;
        uint32 wanted;
        uint32 counted;
        uint32 settled;
        /// Wei paid out or credited to patients, holders and the treasury.
        uint256 paid;
        /// Wei returned or credited to the buyer.
        uint256 refunded;
    }

    struct Counted {
        address patient;
        uint32 delivery;
    }

    RecordRegistry private constant RECORDS = RecordRegistry(address(0xb001));
    ConsentRegistry private constant CONSENTS = ConsentRegistry(address(0xb002));

    uint256 private constant BPS = 10_000;
    uint256 private constant CRITERION_BYTES_MAX = 4096;
    uint256 private constant CID_BYTES_MAX = 64;
    /// Enough for the receive function of a smart account, too little to make settlement expensive for others.
    uint256 private constant PAYMENT_GAS = 30_000;

    /// @notice The escrow at creation, in wei: price times number wanted.
    uint256 public immutable value;
    /// @notice The buyer.
    address public immutable from;
    /// @notice Receives the fee share and the remainders of division.
    address public immutable treasury;
    /// @notice The holder that answered first and so locked the request; zero while it is open. Others may join.
    address public to;
    /// @notice Where the request stands.
    State public state;
    /// @notice Whether the patient's content has been counted in this request.
    mapping(address patient => bool) public isCounted;
    /// @notice Wei that could not be paid to the account and wait for withdraw().
    mapping(address account => uint256) public credits;

    Terms private _terms;
    Delivery[] private _deliveries;
    Counted[] private _counted;
    uint32 private _settled;
    uint256 private _paid;
    uint256 private _refunded;
    bool private transient _entered;

    /// @notice A holder's delivery was counted.
    event PatientContentValidated(
        uint256 indexed delivery, address indexed holder, uint32 count, bytes cid, bytes32 root
    );
    /// @notice The patient's record went to the buyer: the patient's own account of disclosures (row F2).
    event PatientContentDisclosed(
        address indexed patient, address indexed holder, uint256 indexed delivery, uint256 batchId, uint256 index
    );
    /// @notice Wei went to an account, or were credited to it because it refused them.
    event Paid(address indexed account, uint256 amount, bool credited);
    /// @notice Wei for what was not delivered went back to the buyer, or were credited.
    event Refunded(address indexed buyer, uint256 amount, bool credited);
    /// @notice A credited account took its wei.
    event Withdrawn(address indexed account, address indexed recipient, uint256 amount);
    /// @notice The request moved to another state.
    event StateChanged(State state);

    /// @notice The terms cannot be: criterion empty or over 4096 bytes, price or number zero, no sealing key, or no
    /// treasury. Correct the terms.
    error InvalidTerms();
    /// @notice Send exactly `required` wei along: price times number wanted.
    error WrongEscrow(uint256 required, uint256 sent);
    /// @notice The shares add up to `sum` basis points. Make them 10 000.
    error WrongSplit(uint256 sum);
    /// @notice The deadline is not in the future.
    error DeadlinePassed(uint64 deadline);
    /// @notice The request is in a state that does not allow this: see progress() and terms().
    error ConditionNotMet(State state, uint256 time, uint64 deadline);
    /// @notice The account is no holder of this network. Send from a validator institution's account.
    error NotAuthorisedHolder(address account);
    /// @notice No entries, no CID or one over 64 bytes, or no root. Deliver something that can be fetched.
    error EmptyDelivery();
    /// @notice Only `remaining` more patients are wanted. Leave out the others.
    error TooManyEntries(uint256 remaining);
    /// @notice The batch was anchored by `holder`, and only that account may claim from it.
    error NotYourBatch(uint256 batchId, address holder);
    /// @notice The proof does not lead from the patient's leaf to the anchored root.
    error InvalidProof(address patient, uint256 batchId);
    /// @notice The patient's contribution is off. Take the patient out of the delivery.
    error NotContributing(address patient);
    /// @notice The patient was counted before. Take the patient out of the delivery.
    error AlreadyCounted(address patient);
    /// @notice Nothing can be settled by this caller now. Anyone but the buyer waits until `earliest` (seconds; 0 when
    /// nothing is delivered that is not settled).
    error NothingToSettle(uint256 earliest);
    /// @notice Nothing is credited to this account.
    error NothingToWithdraw(address account);
    /// @notice The recipient refused the money. Withdraw to another recipient.
    error WithdrawalRefused(address recipient);
    /// @notice A paid contract called back. Call again from outside.
    error Reentered();

    /// The paper's modifier: the function runs only while the request's condition holds.
    modifier condition(bool met) {
        require(met, ConditionNotMet(state, block.timestamp, _terms.deadline));
        _;
    }

    modifier nonReentrant() {
        require(!_entered, Reentered());
        _entered = true;
        _;
        _entered = false;
    }

    /// @notice Opened through DataMarket.createRequest with the whole price as value.
    constructor(address buyer, address treasury_, Terms memory terms_) payable {
        require(
            terms_.criterion.length != 0 && terms_.criterion.length <= CRITERION_BYTES_MAX
                && terms_.pricePerRecord != 0 && terms_.wanted != 0 && terms_.sealingKey != 0
                && treasury_ != address(0),
            InvalidTerms()
        );
        require(terms_.deadline > block.timestamp, DeadlinePassed(terms_.deadline));
        uint256 shares = uint256(terms_.patientBps) + terms_.holderBps + terms_.treasuryBps;
        require(shares == BPS, WrongSplit(shares));
        uint256 escrow = terms_.pricePerRecord * terms_.wanted;
        require(msg.value == escrow, WrongEscrow(escrow, msg.value));
        value = escrow;
        from = buyer;
        treasury = treasury_;
        _terms = terms_;
        emit StateChanged(State.Created);
    }

    /// @notice A holder delivers the content of patients who match, and proves each one's anchor. All entries count
    /// or none does, because the sealed delivery holds all of them.
    /// @param entries The patients, none of them counted before; at most as many as are still wanted.
    /// @param cid CID of the sealed delivery, in its binary form, at most 64 bytes.
    /// @param root Merkle root over the delivered content, by which the buyer checks what arrives.
    /// @return delivery The number of the delivery, from 0.
    function validatePatientContent(Entry[] calldata entries, bytes calldata cid, bytes32 root)
        external
        nonReentrant
        condition(state != State.Inactive && block.timestamp < _terms.deadline)
        returns (uint256 delivery)
    {
        require(RECORDS.authorised(msg.sender), NotAuthorisedHolder(msg.sender));
        require(entries.length != 0 && cid.length != 0 && cid.length <= CID_BYTES_MAX && root != 0, EmptyDelivery());
        uint256 remaining = _terms.wanted - _counted.length;
        require(entries.length <= remaining, TooManyEntries(remaining));

        delivery = _record(uint32(entries.length), cid, root);
        uint256 loadedId = 0;
        RecordRegistry.Batch memory loaded;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (entries[i].batchId != loadedId) {
                loadedId = entries[i].batchId;
                loaded = RECORDS.batch(loadedId);
            }
            _count(entries[i], loaded, delivery);
        }
        emit PatientContentValidated(delivery, msg.sender, uint32(entries.length), cid, root);
    }

    /// @notice Pays patients, holders and the treasury for counted records, each exactly once, oldest first.
    /// The buyer may call at any time, which accepts the deliveries; anyone may for deliveries whose acceptance window
    /// is over, and for all of them after the deadline. An account that refuses its wei is credited instead, so that
    /// it cannot hold up the others.
    /// @param entriesMax Most records to settle in this call, so that any number can be settled within the gas limit.
    /// @return entries Number of records settled.
    function computePayment(uint32 entriesMax) external nonReentrant returns (uint32 entries) {
        uint32 start = _settled;
        entries = settleable(msg.sender);
        if (entries > entriesMax) entries = entriesMax;
        require(entries != 0, NothingToSettle(_earliestSettlement()));

        // Effects come first: from here on these records count as paid, whatever the paid accounts do.
        _settled = start + entries;
        _paid += entries * _terms.pricePerRecord;
        _closeIfDone();
        _payEntries(start, entries);
    }

    /// @notice Returns the price of everything that was not delivered by the deadline to the buyer, once. Anyone may
    /// call, the buyer alone is paid.
    /// @return amount Wei returned.
    function refund()
        external
        nonReentrant
        condition(state != State.Inactive && block.timestamp >= _terms.deadline && _refunded == 0 && unfulfilled() != 0)
        returns (uint256 amount)
    {
        amount = unfulfilled() * _terms.pricePerRecord;
        _refunded = amount;
        _closeIfDone();
        bool credited = _payOrCredit(from, amount);
        emit Refunded(from, amount, credited);
    }

    /// @notice Takes what was credited to the caller.
    /// @param recipient Where to send it.
    function withdraw(address payable recipient) external nonReentrant {
        uint256 amount = credits[msg.sender];
        require(amount != 0, NothingToWithdraw(msg.sender));
        credits[msg.sender] = 0;
        (bool sent,) = recipient.call{value: amount}("");
        require(sent, WithdrawalRefused(recipient));
        emit Withdrawn(msg.sender, recipient, amount);
    }

    /// @notice The paper's `storage`: where sealed delivery number `delivery` lies, and its root.
    function storage_(uint256 delivery) external view returns (Delivery memory) {
        return _deliveries[delivery];
    }

    /// @notice Number of deliveries.
    function deliveryCount() external view returns (uint256) {
        return _deliveries.length;
    }

    /// @notice Scope and price (row F7).
    function terms() external view returns (Terms memory) {
        return _terms;
    }

    /// @notice How far the request is.
    function progress() external view returns (Progress memory) {
        return Progress(state, _terms.wanted, uint32(_counted.length), _settled, _paid, _refunded);
    }

    /// @notice What one record brings to each party, in wei (row F7). The remainder of division is the treasury's.
    function sharesOfRecord() public view returns (uint256 patient, uint256 holder, uint256 fee) {
        uint256 price = _terms.pricePerRecord;
        patient = price * _terms.patientBps / BPS;
        holder = price * _terms.holderBps / BPS;
        fee = price - patient - holder;
    }

    /// @notice Number of patients still wanted.
    function unfulfilled() public view returns (uint256) {
        return _terms.wanted - _counted.length;
    }

    /// @notice Number of records that computePayment settles for `caller` now.
    function settleable(address caller) public view returns (uint32) {
        uint32 total = uint32(_counted.length);
        uint32 settled = _settled;
        if (settled == total) return 0;
        if (caller == from || block.timestamp >= _terms.deadline) return total - settled;
        uint256 ripe = settled;
        // Deliveries are in order of time, so the first one whose window is open ends the walk.
        for (uint256 i = _counted[settled].delivery; i < _deliveries.length; ++i) {
            Delivery storage delivery = _deliveries[i];
            if (block.timestamp < uint256(delivery.time) + _terms.acceptanceWindow) break;
            ripe = uint256(delivery.first) + delivery.count;
        }
        return uint32(ripe - settled);
    }

    function _record(uint32 count, bytes calldata cid, bytes32 root) private returns (uint256 delivery) {
        delivery = _deliveries.length;
        _deliveries.push(Delivery(msg.sender, uint48(block.timestamp), uint32(_counted.length), count, root, cid));
        if (state == State.Created) {
            to = msg.sender;
            state = State.Locked;
            emit StateChanged(State.Locked);
        }
    }

    function _count(Entry calldata entry, RecordRegistry.Batch memory batch, uint256 delivery) private {
        address patient = entry.patient;
        require(batch.holder == msg.sender, NotYourBatch(entry.batchId, batch.holder));
        bytes32 leaf = MerkleProof.recordLeaf(patient, entry.commitment);
        require(
            MerkleProof.verify(batch.root, batch.count, leaf, entry.index, entry.siblings),
            InvalidProof(patient, entry.batchId)
        );
        require(CONSENTS.isContributing(patient), NotContributing(patient));
        require(!isCounted[patient], AlreadyCounted(patient));
        isCounted[patient] = true;
        _counted.push(Counted(patient, uint32(delivery)));
        emit PatientContentDisclosed(patient, msg.sender, delivery, entry.batchId, entry.index);
    }

    /// Block time in seconds from which anyone may settle the oldest unsettled delivery; 0 where there is none.
    function _earliestSettlement() private view returns (uint256) {
        if (_settled == _counted.length) return 0;
        uint256 windowEnd = uint256(_deliveries[_counted[_settled].delivery].time) + _terms.acceptanceWindow;
        return windowEnd < _terms.deadline ? windowEnd : _terms.deadline;
    }

    function _payEntries(uint32 start, uint32 entries) private {
        (uint256 patientShare, uint256 holderShare, uint256 fee) = sharesOfRecord();
        uint256 owed = 0;
        uint32 delivery = _counted[start].delivery;
        for (uint256 i = start; i < uint256(start) + entries; ++i) {
            Counted memory counted = _counted[i];
            if (counted.delivery != delivery) {
                _pay(_deliveries[delivery].holder, owed);
                owed = 0;
                delivery = counted.delivery;
            }
            owed += holderShare;
            _pay(counted.patient, patientShare);
        }
        _pay(_deliveries[delivery].holder, owed);
        _pay(treasury, fee * entries);
    }

    function _pay(address account, uint256 amount) private {
        if (amount == 0) return;
        bool credited = _payOrCredit(account, amount);
        emit Paid(account, amount, credited);
    }

    /// Sends, or credits where the account refuses. Nothing of what the account returns is copied, so that it cannot
    /// make the caller pay for memory. A caller cannot turn payments into credits by sending little gas: a call that
    /// was given less than PAYMENT_GAS leaves a 64th of it (EIP-150), and that does not pay for writing a credit.
    function _payOrCredit(address account, uint256 amount) private returns (bool credited) {
        bool sent;
        assembly ("memory-safe") {
            sent := call(PAYMENT_GAS, account, amount, 0, 0, 0, 0)
        }
        if (sent) return false;
        credits[account] += amount;
        return true;
    }

    function _closeIfDone() private {
        bool nothingMoreToCount = unfulfilled() == 0 || _refunded != 0;
        if (nothingMoreToCount && _settled == _counted.length) {
            state = State.Inactive;
            emit StateChanged(State.Inactive);
        }
    }
}
