//! The file operations of checkpoints, behind a trait so that tests can fill a disk and pull a
//! plug.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

pub(crate) trait Disk {
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Writes a new file and has it on the disk before it returns.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Renames, and has both names on the disk before it returns.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        sync_folder(from)?;
        fs::rename(from, to)?;
        sync_folder(to.parent().unwrap_or(to))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}

/// Makes the names in a folder last. Only Unix can open a folder to say so.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
