//! Messages on a stream: each with its length before it, as a varint.

use super::message::Message;
use crate::varint;
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
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
    within(timeout, async {
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
        Ok(Some((message, length)))
    })
    .await
}

async fn first_byte(stream: &mut Stream) -> Result<Option<u8>, Ended> {
    let mut byte = [0];
    Ok((stream.read(&mut byte).await? > 0).then_some(byte[0]))
}

async fn length(stream: &mut Stream, first: u8) -> Result<usize, Ended> {
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
