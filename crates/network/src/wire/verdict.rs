//! The first byte of every answer: how the exchange ended at the peer.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Done: a request's answer or a fetched block follows, or a portion of blocks is stored.
    Done = 0,
    /// The wanted block is not held here, or not to be given.
    Absent = 1,
    /// Too many exchanges at once.
    Busy = 2,
    /// Nobody answers this request.
    Unanswered = 3,
    /// The blocks could not be stored; a frame with the reason follows.
    NotStored = 4,
    /// A block may not be held here.
    Fence = 5,
    /// A block is not what its CID names.
    Corrupt = 6,
    /// What came is not in the protocol.
    Malformed = 7,
}

impl Verdict {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Absent,
        Self::Busy,
        Self::Unanswered,
        Self::NotStored,
        Self::Fence,
        Self::Corrupt,
        Self::Malformed,
    ];

    /// Reads a verdict.
    ///
    /// # Errors
    /// `InvalidData` for an unknown one, or what the stream says.
    pub(crate) async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Self> {
        let mut code = [0];
        reader.read_exact(&mut code).await?;
        Self::ALL
            .into_iter()
            .find(|verdict| *verdict as u8 == code[0])
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown verdict"))
    }

    /// Writes the verdict without flushing.
    ///
    /// # Errors
    /// What the stream says.
    pub(crate) async fn write<W: AsyncWrite + Unpin>(self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&[self as u8]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{executor::block_on, io::Cursor};

    #[test]
    fn every_byte_is_one_verdict_or_an_error() {
        for code in 0..=u8::MAX {
            let read = block_on(Verdict::read(&mut Cursor::new([code])));
            assert_eq!(read.map(|verdict| verdict as u8).ok(), (code < 8).then_some(code));
        }
    }
}
