//! A small disk of its own for a folder, so that it can be full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system in memory over a folder. It is gone when dropped.
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk of `megabytes` with what the folder holds on it. Nothing where the system does not permit it.
    pub(crate) fn mount(folder: &Path, megabytes: u64) -> Option<Self> {
        let beside = folder.with_extension("before");
        fs::rename(folder, &beside).unwrap();
        fs::create_dir(folder).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder));
        // The folder is put in place by its contents: a mount point cannot be renamed over.
        assert!(run(Command::new("cp").arg("-a").arg(beside.join(".")).arg(folder)), "copy the folder");
        mounted.then(|| Self { folder: folder.to_owned() })
    }

    /// Gives the disk another size.
    pub(crate) fn resize(&self, megabytes: u64) {
        let size = format!("remount,size={megabytes}m");
        assert!(run(Command::new("mount").args(["-o", &size]).arg(&self.folder)), "resize the disk");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
