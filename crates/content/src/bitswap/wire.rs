//! Messages on a stream: each with its length before it, as a varint.

use super::message::Message;
use crate::varint;
use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use std::{io, time::Duration};

/// The longest that a stream may stay without a message. Peers that keep one open send on it again at any time.
const SILENCE_MAX: Duration = Duration::from_secs(3600);

/// Why a stream ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer closed it, or the connection is gone.
    Closed,
    /// The peer said what no correct one says.
    Wrong(&'static str),
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// Reads the next message and tells its size; nothing where the peer has said everything.
pub(crate) async fn read(
    stream: &mut Stream,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Option<(Message, usize)>, Ended> {
    let Some(first) = within(SILENCE_MAX, first_byte(stream)).await? else { return Ok(None) };
    within(timeout, rest(stream, first, bytes_max)).await.map(Some)
}

/// The first byte of the next message; nothing where there is none.
pub(crate) async fn first_byte(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<u8>, Ended> {
    let mut byte = [0];
    Ok((stream.read(&mut byte).await? > 0).then_some(byte[0]))
}

/// Reads the message that begins with this byte, and tells its size.
pub(crate) async fn rest(
    stream: &mut (impl AsyncRead + Unpin),
    first: u8,
    bytes_max: usize,
) -> Result<(Message, usize), Ended> {
    let length = length(stream, first).await?;
    if length > bytes_max {
        return Err(Ended::Wrong("a message is above the bound"));
    }
    let mut bytes = Vec::new();
    // Grows as bytes come: a length alone takes no memory.
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(Ended::Closed);
    }
    let message = Message::decode(&Bytes::from(bytes)).map_err(Ended::Wrong)?;
    Ok((message, length))
}

async fn length(stream: &mut (impl AsyncRead + Unpin), first: u8) -> Result<usize, Ended> {
    let mut bytes = vec![first];
    loop {
        match varint::take(&bytes) {
            Ok((length, _)) => {
                return usize::try_from(length).map_err(|_| Ended::Wrong("a message is above the bound"));
            }
            Err(varint::Wrong::Overlong) => return Err(Ended::Wrong("a message's length is no varint")),
            Err(varint::Wrong::Cut) => {
                let mut byte = [0];
                stream.read_exact(&mut byte).await?;
                bytes.push(byte[0]);
            }
        }
    }
}

/// A message as it goes over the wire: its length, then itself.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let bytes = message.encode();
    let mut frame = Vec::with_capacity(varint::BYTES_MAX + bytes.len());
    varint::put(&mut frame, bytes.len() as u64);
    frame.extend_from_slice(&bytes);
    frame
}

/// Writes a frame.
pub(crate) async fn write(stream: &mut Stream, frame: &[u8], timeout: Duration) -> Result<(), Ended> {
    within(timeout, async {
        stream.write_all(frame).await?;
        stream.flush().await?;
        Ok(())
    })
    .await
}

async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    tokio::time::timeout(timeout, work).await.map_err(|_| Ended::Closed)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Codec,
        bitswap::{Entry, Received, Wants},
        block::cid_of,
    };

    fn assert_frame(message: &Message, expected: &[u8], length: u64) {
        let bytes = frame(message);
        assert_eq!(bytes, expected);
        let (said, rest) = varint::take(&bytes).unwrap();
        assert_eq!((said, rest.len() as u64), (length, length));
        assert_eq!(Message::decode(&Bytes::copy_from_slice(rest)).unwrap(), *message);
    }

    /// Written by hand: a length has seven bits a byte, the lowest first, with the top bit where more follow. The
    /// message's own form is pinned beside it.
    #[test]
    fn the_frame_is_pinned() {
        assert_frame(&Message::default(), b"\x00", 0);
        let cid = cid_of(Codec::Raw, b"hello").unwrap();
        let cancel = [
            b"\x2e".as_slice(), // a message of 46 bytes
            b"\x0a\x2c",        // its wantlist: 44 bytes
            b"\x0a\x2a",        // an entry: 42 bytes
            b"\x0a\x24",        // a CID: 36 bytes
            &cid.to_bytes(),
            b"\x10\x01", // priority 1
            b"\x18\x01", // cancel
        ];
        let message = Message::of_entries(vec![Entry { cid, wants: Wants::Cancel }]);
        assert_frame(&message, &cancel.concat(), 46);
        let content = [7_u8; 300];
        let block = [
            b"\xb8\x02".as_slice(), // a message of 2 * 128 + 56 = 312 bytes
            b"\x1a\xb5\x02",        // a block: 2 * 128 + 53 = 309 bytes
            b"\x0a\x04",            // its prefix: 4 bytes
            b"\x01\x55\x12\x20",    // CID 1, raw, SHA-256, 32 bytes
            b"\x12\xac\x02",        // its data: 2 * 128 + 44 = 300 bytes
            &content,
        ];
        let cid = cid_of(Codec::Raw, &content).unwrap();
        let blocks = vec![Received { cid, bytes: Bytes::copy_from_slice(&content) }];
        assert_frame(&Message { blocks, ..Message::default() }, &block.concat(), 312);
    }
}
