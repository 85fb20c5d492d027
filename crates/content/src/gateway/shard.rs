//! The way through a folder of UnixFS that was divided into shards (a HAMT): at each level some bits of the hash of the name
//! say in which place to look, so that a path costs one block a level and not the whole folder.
//!
//! <https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory>

use crate::dag_pb::Link;
use cid::Cid;

/// The only hash function of shards: the first half of MurmurHash3 for 64-bit machines.
const MURMUR3_X64_64: u64 = 0x22;
/// The most places of a shard that other implementations take.
const FANOUT_MAX: u64 = 1024;

/// Where a name leads from one shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// To the entry of this name.
    Entry(Cid),
    /// To a shard of the next level.
    Shard(Cid),
    Nowhere,
}

/// A name on its way through shards.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    name: &'a str,
    hash: u64,
    bits_used: u32,
}

impl<'a> Way<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Self { name, hash: murmur3(name.as_bytes()), bits_used: 0 }
    }

    /// One level: a shard of `fanout` places with these links.
    pub(crate) fn step(&mut self, fanout: u64, hash: u64, links: &[Link]) -> Place {
        let Some(digits) = digits(fanout).filter(|_| hash == MURMUR3_X64_64) else { return Place::Nowhere };
        let bits = fanout.trailing_zeros();
        if self.bits_used + bits > u64::BITS {
            return Place::Nowhere;
        }
        let place = (self.hash << self.bits_used) >> (u64::BITS - bits);
        self.bits_used += bits;
        let prefix = format!("{place:0digits$X}");
        let in_place = |link: &&Link| link.name.starts_with(&prefix);
        // A place holds one entry, or one shard with those that meet there.
        let Some(link) = links.iter().find(in_place) else { return Place::Nowhere };
        match &link.name[prefix.len()..] {
            "" => Place::Shard(link.cid),
            name if name == self.name => Place::Entry(link.cid),
            _ => Place::Nowhere,
        }
    }
}

/// Whether a link of a shard leads to another shard: its name is the place alone.
pub(crate) fn is_shard(fanout: u64, link: &Link) -> bool {
    digits(fanout) == Some(link.name.len())
}

/// The hexadecimal digits by which the places of a shard are named; nothing for numbers of places that there are not.
fn digits(fanout: u64) -> Option<usize> {
    let is_usual = fanout.is_power_of_two() && (2..=FANOUT_MAX).contains(&fanout);
    is_usual.then(|| (fanout - 1).ilog(16) as usize + 1)
}

/// The first 64 bits of MurmurHash3 (x64, 128 bits, seed 0), by Austin Appleby, who gave it to the public domain.
fn murmur3(bytes: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix_1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix_2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        let (low, high) = block.split_at(8);
        h1 = (h1 ^ mix_1(word(low))).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mix_2(word(high))).rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    h1 ^= mix_1(word(low));
    h2 ^= mix_2(word(high));
    let length = bytes.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

const fn finish(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ h >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Codec, cid_of};
    use proptest::prelude::*;

    #[test]
    fn hashes_are_those_of_other_implementations() {
        for (text, hash) in [
            ("", 0),
            ("hello", 0xcbd8_a7b3_41bd_9b02),
            ("hello, world", 0x342f_ac62_3a5e_bc8e),
            ("19 Jan 2038 at 3:14:07 AM", 0xb89e_5988_b737_affc),
            ("The quick brown fox jumps over the lazy dog.", 0xcd99_481f_9ee9_02c9),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_name_is_found_level_by_level() {
        let cid = |text: &str| cid_of(Codec::Raw, text.as_bytes()).unwrap();
        let link = |name: &str| Link { cid: cid(name), name: name.to_owned() };
        let links = [link("00x"), link("CBhello"), link("34")];
        let step = |name: &str| Way::new(name).step(256, MURMUR3_X64_64, &links);
        assert_eq!(step("hello"), Place::Entry(cid("CBhello")));
        assert_eq!(step("hello, world"), Place::Shard(cid("34")));
        assert_eq!(step("x"), Place::Nowhere, "another name's place");
        let mut way = Way::new("hello, world");
        assert_eq!(way.step(256, MURMUR3_X64_64, &links), Place::Shard(cid("34")));
        let below = [link("2Fhello, world")];
        assert_eq!(way.step(256, MURMUR3_X64_64, &below), Place::Entry(cid("2Fhello, world")));
        for (fanout, hash) in
            [(0, MURMUR3_X64_64), (100, MURMUR3_X64_64), (4096, MURMUR3_X64_64), (256, 0x12)]
        {
            assert_eq!(Way::new("hello").step(fanout, hash, &links), Place::Nowhere, "{fanout} {hash}");
        }
        let taken = (0..9).map(|_| way.step(256, MURMUR3_X64_64, &[])).collect::<Vec<_>>();
        assert!(taken.iter().all(|place| *place == Place::Nowhere), "a hash has 64 bits");
    }

    /// As JavaScript's importer of UnixFS lays out a folder of 2,000 files `0.txt` to `1999.txt`.
    #[test]
    fn places_are_those_of_another_implementation() {
        let link =
            |name: &str| Link { cid: cid_of(Codec::Raw, name.as_bytes()).unwrap(), name: name.to_owned() };
        for (name, first, second) in [
            ("0.txt", "8B", "940.txt"),
            ("1.txt", "07", "C11.txt"),
            ("685.txt", "FD", "E3685.txt"),
            ("1999.txt", "8B", "9D1999.txt"),
        ] {
            let (first, second) = (link(first), link(second));
            let mut way = Way::new(name);
            assert_eq!(way.step(256, MURMUR3_X64_64, std::slice::from_ref(&first)), Place::Shard(first.cid));
            assert_eq!(
                way.step(256, MURMUR3_X64_64, std::slice::from_ref(&second)),
                Place::Entry(second.cid)
            );
        }
    }

    #[test]
    fn places_are_named_by_as_many_digits_as_there_are_places() {
        let found = [2, 8, 16, 32, 256, 512, 1024].map(digits);
        assert_eq!(found, [1, 1, 1, 2, 2, 3, 3].map(Some));
        assert_eq!([0, 1, 3, 2048].map(digits), [None; 4]);
    }

    proptest! {
        #[test]
        fn arbitrary_names_and_shards_never_panic(
            name in ".{0,40}", linked in ".{0,8}", fanout in any::<u64>(), power in 0_u32..12,
        ) {
            let links = [Link { cid: cid_of(Codec::Raw, b"").unwrap(), name: linked }];
            let mut way = Way::new(&name);
            for fanout in [fanout, 1 << power, 256, 256, 256, 256, 256, 256, 256, 256] {
                let _ = (way.step(fanout, MURMUR3_X64_64, &links), is_shard(fanout, &links[0]));
            }
        }
    }
}
