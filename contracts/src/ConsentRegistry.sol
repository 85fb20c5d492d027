// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.36;

/// @title ConsentRegistry: the patient's contribution switch
/// @notice A member switches contribution of de-identified data on and off at any time (white paper row B2). It is
/// off until the patient switches it on. A data request looks at the switch at the moment of delivery.
/// @dev A system contract: it stands at 0x000000000000000000000000000000000000b002 from genesis on and has no
/// constructor, so the EIP-712 domain is computed where it is used.
contract ConsentRegistry {
    /// @notice A change that the patient signed (EIP-712) and somebody else pays the gas for.
    struct SignedChange {
        address patient;
        /// The new position of the switch.
        bool on;
        /// nonces(patient) at the time of signing.
        uint256 nonce;
        /// Last block time in seconds at which the change may be made.
        uint256 deadline;
        /// r || s || v, 65 bytes, by the patient's key.
        bytes signature;
    }

    /// @notice The EIP-712 type that the patient signs.
    bytes32 public constant CONTRIBUTION_TYPEHASH =
        keccak256("Contribution(address patient,bool on,uint256 nonce,uint256 deadline)");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// Half the order of secp256k1: a signature with a larger s is the malleable twin of another one (EIP-2).
    uint256 private constant S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Whether the patient contributes now.
    mapping(address patient => bool) public isContributing;

    /// @notice The nonce of the patient's next signed change. Every change takes one, the patient's own included, so
    /// that no signature made before it can undo it.
    mapping(address patient => uint256) public nonces;

    /// @notice The switch was moved.
    event ContributionChanged(address indexed patient, bool on, uint256 nonce, uint48 time);

    /// @notice The signed change is too old. Have the patient sign one with a later deadline.
    error SignatureExpired(address patient, uint256 deadline);
    /// @notice The patient changed the switch since. Have the patient sign with nonce `expected`.
    error WrongNonce(address patient, uint256 expected, uint256 given);
    /// @notice Not the patient's signature over this change, on this chain and for this contract.
    error InvalidSignature(address patient);

    /// @notice Moves the caller's own switch.
    function setContribution(bool on) external {
        _set(msg.sender, on);
    }

    /// @notice Moves the patient's switch with the patient's signature; anyone may send it, so a patient needs no gas.
    /// @param nonce nonces(patient) at the time of signing.
    /// @param deadline Last block time in seconds at which the change may be made.
    /// @param signature r || s || v over the EIP-712 digest.
    function setContributionBySignature(
        address patient,
        bool on,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external {
        _setSigned(patient, on, nonce, deadline, signature);
    }

    /// @notice Several signed changes at once, all or none. The one that fails is named in the error; leave it out
    /// and send again.
    function setContributionsBySignature(SignedChange[] calldata changes) external {
        for (uint256 i = 0; i < changes.length; ++i) {
            SignedChange calldata change = changes[i];
            _setSigned(change.patient, change.on, change.nonce, change.deadline, change.signature);
        }
    }

    /// @notice The EIP-712 domain separator on this chain.
    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256("BXP ConsentRegistry"), keccak256("1"), block.chainid, address(this)
            )
        );
    }

    function _setSigned(address patient, bool on, uint256 nonce, uint256 deadline, bytes calldata signature) private {
        require(block.timestamp <= deadline, SignatureExpired(patient, deadline));
        require(nonce == nonces[patient], WrongNonce(patient, nonces[patient], nonce));
        bytes32 change = keccak256(abi.encode(CONTRIBUTION_TYPEHASH, patient, on, nonce, deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domainSeparator(), change));
        require(patient != address(0) && _signer(digest, signature) == patient, InvalidSignature(patient));
        _set(patient, on);
    }

    function _set(address patient, bool on) private {
        uint256 nonce = nonces[patient]++;
        isContributing[patient] = on;
        emit ContributionChanged(patient, on, nonce, uint48(block.timestamp));
    }

    /// The signer, or the zero address where the signature is malformed.
    function _signer(bytes32 digest, bytes calldata signature) private pure returns (address) {
        if (signature.length != 65) return address(0);
        if (uint256(bytes32(signature[32:64])) > S_MAX) return address(0);
        return ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), bytes32(signature[32:64]));
    }
}
