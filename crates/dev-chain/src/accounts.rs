//! The accounts that every Ethereum developer knows: of the mnemonic `test test ... junk`, by BIP-39, BIP-32 and the
//! path `m/44'/60'/0'/0/N` of BIP-44.

use alloy_primitives::{Address, B256};
use hmac::{Hmac, Mac};
use secp256k1::{SECP256K1, Scalar, SecretKey};
use sha2::Sha512;

/// The usual test mnemonic. Whoever holds real value by it loses it.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Rounds of PBKDF2 that BIP-39 asks for.
const ROUNDS: usize = 2_048;
/// The bit that makes a child key hardened (BIP-32).
const HARDENED: u32 = 1 << 31;
/// `m/44'/60'/0'/0`.
const PATH: [u32; 4] = [44 | HARDENED, 60 | HARDENED, HARDENED, 0];

/// An account whose key is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevAccount {
    /// The account.
    pub address: Address,
    /// Its key.
    pub private_key: B256,
}

/// The first `count` accounts of the mnemonic.
#[must_use]
pub fn accounts(count: u32) -> Vec<DevAccount> {
    let mut node = master(&seed(MNEMONIC));
    for index in PATH {
        node = child(&node, index);
    }
    (0..count).map(|index| account(&child(&node, index).key)).collect()
}

fn account(key: &SecretKey) -> DevAccount {
    let public = key.public_key(SECP256K1).serialize_uncompressed();
    DevAccount {
        address: Address::from_raw_public_key(&public[1..]),
        private_key: B256::from(key.secret_bytes()),
    }
}

struct Node {
    key: SecretKey,
    chain_code: [u8; 32],
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 64] {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// BIP-39: PBKDF2-HMAC-SHA512 of the mnemonic with the salt `mnemonic` and no passphrase.
fn seed(mnemonic: &str) -> [u8; 64] {
    let mut round = hmac(mnemonic.as_bytes(), &[b"mnemonic", &1_u32.to_be_bytes()]);
    let mut seed = round;
    for _ in 1..ROUNDS {
        round = hmac(mnemonic.as_bytes(), &[&round]);
        seed.iter_mut().zip(round).for_each(|(byte, other)| *byte ^= other);
    }
    seed
}

fn split(bytes: [u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.copy_from_slice(&bytes[..32]);
    right.copy_from_slice(&bytes[32..]);
    (left, right)
}

fn master(seed: &[u8; 64]) -> Node {
    let (key, chain_code) = split(hmac(b"Bitcoin seed", &[seed]));
    // The mnemonic is a constant, whose keys exist: the test below derives them.
    Node { key: SecretKey::from_byte_array(&key).expect("the test mnemonic has keys"), chain_code }
}

fn child(parent: &Node, index: u32) -> Node {
    let number = index.to_be_bytes();
    let bytes = if index & HARDENED == 0 {
        hmac(&parent.chain_code, &[&parent.key.public_key(SECP256K1).serialize(), &number])
    } else {
        hmac(&parent.chain_code, &[&[0], &parent.key.secret_bytes(), &number])
    };
    let (tweak, chain_code) = split(bytes);
    let tweak = Scalar::from_be_bytes(tweak).expect("the test mnemonic has keys");
    Node { key: parent.key.add_tweak(&tweak).expect("the test mnemonic has keys"), chain_code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    #[test]
    fn the_accounts_are_those_of_hardhat_and_anvil() {
        let accounts = accounts(10);
        assert_eq!(accounts[0].address, address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        assert_eq!(
            accounts[0].private_key,
            b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
        );
        assert_eq!(accounts[9].address, address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"));
    }
}
