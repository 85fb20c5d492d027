//! The files of one machine, as the write-ahead log and segments need them: the operating system's, or a [`crate::MemoryDisk`].

use std::{
    fmt,
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// A file that stands at its end, and all of its bytes.
pub type OpenFile = (Box<dyn DiskFile>, Vec<u8>);

/// A file system. What is written is durable after a sync of the file, a name after a sync of its folder.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The file at `path`, standing at its end, and all of its bytes; nothing when there is none.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path) -> io::Result<Option<OpenFile>>;

    /// `length` bytes of the file at `path`, from `offset` on.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::NotFound`] when there is none, [`io::ErrorKind::UnexpectedEof`]
    /// when it ends before.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Makes the folder at `path` where there is none; its parent is there. The folder's own name is durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// A file that holds `bytes`, synced, in the place of whatever was at `path`; stands at its end.
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn DiskFile>>;

    /// Gives the file at `from` the name `to`, at once.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file at `path`.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::NotFound`] when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in `folder`, in no order; none where there is no such folder.
    ///
    /// # Errors
    /// What the operating system says.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in `folder` durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// A number that no one else could have chosen beforehand.
    fn salt(&self) -> u64;
}

/// A file that grows at its end.
pub trait DiskFile: Send + fmt::Debug {
    /// Adds `bytes` at the end.
    ///
    /// # Errors
    /// What the operating system says; some of the bytes may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off behind `length` bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Returns when everything is on disk.
    ///
    /// # Errors
    /// What the operating system says; it is unknown then what is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn open(&self, path: &Path) -> io::Result<Option<OpenFile>> {
        let mut file = match File::options().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some((Box::new(file), bytes)))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        // A length that a damaged file names must not become memory before it is known to be there.
        let end = offset.checked_add(length as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if file.metadata()?.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Ok(()) => self.sync_folder(crate::files::folder_of(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        let mut file = options.create(true).truncate(true).read(true).write(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // A name that is no text is not one of ours.
        entries
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder).and_then(|folder| folder.sync_all())
    }

    fn salt(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
