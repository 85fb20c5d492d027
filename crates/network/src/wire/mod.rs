//! What is written to streams. Decoders treat every byte as adversarial: bounded, never panicking.
//!
//! A stream's protocol is `/bxp/<first 16 hexadecimal digits of the network id>/<name>/1`. Numbers are big-endian; a
//! `frame` is its length as u32 and that many bytes.
//!
//! | name | opened by | the opener writes | the other side answers |
//! |---|---|---|---|
//! | `consensus`, `bodies`, `attestation` | the validator of lower index, once | `frame` for each message | `frame` for each message of its own |
//! | `pulse` | the validator of lower index, once | any byte, in each interval | the same |
//! | `request` | who asks | service (u8: 1 sync, 2 key release, 3 market), `frame` | verdict (u8), after 0 a `frame` |
//! | `blocks` | who hands over | portions: `frame` with the portion head, the blocks' bytes | for each portion a verdict, after 4 a `frame` with the reason |
//! | `fetch` | who wants a block | the SHA-256 of the block, 32 bytes | verdict, after 0 a `frame` with the block head, the block's bytes |
//!
//! Verdicts are listed in [`verdict`], heads in [`head`].

pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod verdict;
