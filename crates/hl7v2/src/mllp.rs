//! MLLP framing (HL7 minimal lower layer protocol, release 1): `0x0b message 0x1c 0x0d`, found in a stream piece by
//! piece with a bound on what is kept.

/// The byte before a message.
pub const START_BLOCK: u8 = 0x0b;
/// The byte after a message; a carriage return follows it.
pub const END_BLOCK: u8 = 0x1c;

/// Why a stream can no longer be read: what comes next cannot be told apart from what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Bytes outside of a frame.
    #[error("bytes outside of an MLLP frame; a message begins with 0x0b")]
    OutsideOfFrame,
    /// A second start within a message: the end of the first was lost.
    #[error("a new MLLP frame begins before the last one ends")]
    StartWithinFrame,
    /// A message without end.
    #[error("an MLLP frame is longer than {bytes_max} bytes")]
    TooLong {
        /// The most bytes.
        bytes_max: usize,
    },
}

/// Finds messages in a stream.
#[derive(Debug)]
pub struct Framer {
    bytes_max: usize,
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Within,
    /// After the end byte, before its carriage return.
    Ended,
}

impl Framer {
    /// A framer that keeps at most `bytes_max` bytes of one message.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Vec::new(), state: State::Between }
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.state != State::Between
    }

    /// Takes bytes from the front of `input`, up to the end of a message. Gives the message, or nothing where it has
    /// not ended yet; then all of `input` was taken.
    ///
    /// # Errors
    /// [`FrameError`]: the stream is to be closed.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        while let Some((&byte, rest)) = input.split_first() {
            match self.state {
                State::Between => {
                    *input = rest;
                    match byte {
                        START_BLOCK => self.state = State::Within,
                        // Some senders end lines once more, or send spaces to keep a connection alive.
                        b'\r' | b'\n' | b' ' | 0 => {}
                        _ => return Err(FrameError::OutsideOfFrame),
                    }
                }
                State::Within => {
                    let end = input.iter().position(|byte| matches!(*byte, START_BLOCK | END_BLOCK));
                    let (text, after) = input.split_at(end.unwrap_or(input.len()));
                    if self.held.len().saturating_add(text.len()) > self.bytes_max {
                        return Err(FrameError::TooLong { bytes_max: self.bytes_max });
                    }
                    self.held.extend_from_slice(text);
                    match after.split_first() {
                        Some((&START_BLOCK, _)) => return Err(FrameError::StartWithinFrame),
                        Some((_, rest)) => {
                            *input = rest;
                            self.state = State::Ended;
                        }
                        None => *input = after,
                    }
                }
                State::Ended => {
                    // A sender may leave the return out; the next frame then begins at once.
                    if byte == b'\r' {
                        *input = rest;
                    }
                    self.state = State::Between;
                    return Ok(Some(std::mem::take(&mut self.held)));
                }
            }
        }
        Ok(None)
    }
}

/// A message in its frame.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 3);
    framed.push(START_BLOCK);
    framed.extend_from_slice(message);
    framed.extend_from_slice(&[END_BLOCK, b'\r']);
    framed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framer: &mut Framer, mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut found = Vec::new();
        while let Some(message) = framer.next(&mut bytes)? {
            found.push(message);
        }
        Ok(found)
    }

    #[test]
    fn a_frame_is_pinned() {
        assert_eq!(frame(b"MSH"), b"\x0bMSH\x1c\x0d");
    }

    #[test]
    fn what_is_no_frame_ends_the_stream() {
        assert_eq!(all(&mut Framer::new(9), b"GET / HTTP/1.1"), Err(FrameError::OutsideOfFrame));
        assert_eq!(all(&mut Framer::new(9), b"\x0bMSH\x0bMSH"), Err(FrameError::StartWithinFrame));
        assert_eq!(all(&mut Framer::new(9), b"\x0b0123456789"), Err(FrameError::TooLong { bytes_max: 9 }));
        let mut cut = Framer::new(9);
        assert_eq!(all(&mut cut, b"\x0bMSH"), Ok(vec![]));
        assert!(cut.is_within());
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_however_the_stream_is_cut(
            messages in proptest::collection::vec("[ -~\r]{0,40}", 0..6),
            cuts in proptest::collection::vec(1_usize..20, 1..20),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|one| frame(one.as_bytes())).collect();
            let mut framer = Framer::new(64);
            let (mut found, mut rest) = (Vec::new(), stream.as_slice());
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.extend(all(&mut framer, piece).unwrap());
                rest = after;
            }
            let expected: Vec<Vec<u8>> = messages.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_are_bounded(bytes in proptest::collection::vec(prop_oneof![Just(0x0b_u8), Just(0x1c), any::<u8>()], 0..200)) {
            let mut framer = Framer::new(50);
            let _ = all(&mut framer, &bytes);
            prop_assert!(framer.held.len() <= 50);
        }
    }
}
