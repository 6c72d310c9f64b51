//! What the folders of a run are called.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::TrainError;

/// How the name of a folder ends that is being made or given up.
pub(super) const UNFINISHED: &str = ".tmp";

/// The position in a checkpoint's name: epochs done and batches of the next.
pub(super) type Place = (usize, usize);

/// All places in `folder` that have a proper name, the oldest first.
pub(super) fn places(folder: &Path) -> Result<Vec<Place>, TrainError> {
    listed(folder, place)
}

/// What `read` makes of the names in `folder`, sorted.
pub(super) fn listed<T: Ord>(
    folder: &Path,
    read: fn(&str) -> Option<T>,
) -> Result<Vec<T>, TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::read(folder))?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = entry.map_err(TrainError::read(folder))?.file_name();
        all.extend(read(&name.to_string_lossy()));
    }
    all.sort_unstable();
    Ok(all)
}

pub(super) fn name((epochs, batches): Place) -> String {
    match batches {
        0 => format!("epoch-{epochs:04}"),
        _ => format!("epoch-{epochs:04}-batch-{batches:06}"),
    }
}

pub(super) fn place(name: &str) -> Option<Place> {
    let numbers = name.strip_prefix("epoch-")?;
    match numbers.split_once("-batch-") {
        Some((epochs, batches)) => Some((epochs.parse().ok()?, batches.parse().ok()?)),
        None => Some((numbers.parse().ok()?, 0)),
    }
}

pub(super) fn average_name(last: usize) -> String {
    format!("average-{last:04}")
}

/// The last epoch of the average of this name.
pub(super) fn averaged(name: &str) -> Option<usize> {
    name.strip_prefix("average-")?.parse().ok()
}

pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}
