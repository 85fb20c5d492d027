//! Frames: a length as u32 big-endian, then that many bytes.

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io;

/// A frame's length is believed only as far as its bytes arrive, so that four bytes cannot claim tens of megabytes. A
/// usual proposal is below it, and is not moved while it grows.
const TRUSTED_BYTES: usize = 1 << 20;

/// Reads a frame of at most `limit` bytes, or nothing where the stream ends between frames.
///
/// # Errors
/// `InvalidData` for a longer frame, `UnexpectedEof` inside one, or what the stream says.
pub(crate) async fn read<R: AsyncRead + Unpin>(reader: &mut R, limit: usize) -> io::Result<Option<Bytes>> {
    let mut length = [0; 4];
    if reader.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..]).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame above its bound"));
    }
    read_bytes(reader, length).await.map(Some)
}

/// Reads a frame that has to be there.
///
/// # Errors
/// As [`read`], and `UnexpectedEof` where there is none.
pub(crate) async fn expect<R: AsyncRead + Unpin>(reader: &mut R, limit: usize) -> io::Result<Bytes> {
    read(reader, limit).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Reads exactly `length` bytes, which the caller has bounded.
///
/// # Errors
/// `UnexpectedEof`, or what the stream says.
pub(crate) async fn read_bytes<R: AsyncRead + Unpin>(reader: &mut R, length: usize) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(length.min(TRUSTED_BYTES));
    reader.take(u64::try_from(length).unwrap_or(u64::MAX)).read_to_end(&mut buffer).await?;
    if buffer.len() == length { Ok(buffer.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Writes a frame without flushing.
///
/// # Errors
/// `InvalidInput` where the length does not fit, or what the stream says.
pub(crate) async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    writer.write_all(&length.to_be_bytes()).await?;
    writer.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{executor::block_on, io::Cursor};
    use proptest::prelude::*;

    #[test]
    fn a_frame_has_a_fixed_form() {
        let mut wire = Vec::new();
        block_on(write(&mut wire, b"abc")).unwrap();
        assert_eq!(wire, b"\0\0\0\x03abc");
    }

    #[test]
    fn a_claim_above_the_bound_is_refused_and_a_torn_frame_is_an_error() {
        let read = |wire: &[u8]| block_on(read(&mut Cursor::new(wire), 8)).map_err(|error| error.kind());
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(b"\0\0\0\x09123456789"), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b"\xff\xff\xff\xff"), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b"\0\0"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(b"\0\0\0\x04123"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(b"\0\0\0\0"), Ok(Some(Bytes::new())));
    }

    proptest! {
        #[test]
        fn frames_read_what_they_write(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut wire = Vec::new();
            for frame in &frames {
                block_on(write(&mut wire, frame)).unwrap();
            }
            let mut reader = Cursor::new(wire);
            for frame in &frames {
                prop_assert_eq!(block_on(read(&mut reader, 200)).unwrap().unwrap(), frame);
            }
            prop_assert!(block_on(read(&mut reader, 200)).unwrap().is_none());
        }

        #[test]
        fn arbitrary_bytes_never_panic(wire in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Cursor::new(wire);
            while let Ok(Some(frame)) = block_on(read(&mut reader, 16)) {
                prop_assert!(frame.len() <= 16);
            }
        }
    }
}
