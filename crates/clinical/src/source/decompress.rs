//! Decompression with a bound, so that a small file cannot fill the memory.

use super::{Compression, InputFile, Limits};
use crate::ClinicalError;
use std::{
    fs::File,
    io::{self, BufReader, Read},
};

const BUFFER_BYTES: usize = 1 << 18;

/// A reader that counts what it gives and stops with an error above the limit.
pub(super) struct Bounded {
    source_name: String,
    compression: Compression,
    inner: Box<dyn Read + Send>,
    bytes: u64,
    bytes_max: u64,
    over: bool,
}

impl Bounded {
    /// Opens `file`.
    ///
    /// # Errors
    /// [`ClinicalError::Read`] when the file cannot be opened.
    pub(super) fn open(file: &InputFile, limits: &Limits) -> Result<Self, ClinicalError> {
        let failed = |source| ClinicalError::Read { path: file.path.clone(), source };
        let raw = BufReader::with_capacity(BUFFER_BYTES, File::open(&file.path).map_err(failed)?);
        let inner: Box<dyn Read + Send> = match file.compression {
            Compression::None => Box::new(raw),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
            Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(raw)),
        };
        let source_name = file.path.display().to_string();
        let compression = file.compression;
        Ok(Self { source_name, compression, inner, bytes: 0, bytes_max: limits.bytes_max, over: false })
    }

    /// The error of this crate for an error of reading.
    pub(super) fn explain(&self, source: io::Error) -> ClinicalError {
        let (source_name, decoded) = (self.source_name.clone(), self.bytes);
        if self.over {
            return ClinicalError::TooLarge { source_name, bytes_max: self.bytes_max };
        }
        match self.compression {
            Compression::None => ClinicalError::Read { path: source_name.into(), source },
            Compression::Gzip => ClinicalError::Decompress { source_name, format: "gzip", decoded },
            Compression::Bzip2 => ClinicalError::Decompress { source_name, format: "bzip2", decoded },
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes > self.bytes_max {
            self.over = true;
            return Err(io::Error::other("limit"));
        }
        Ok(count)
    }
}
