//! Checkpoints: all that a run needs to go on, as one folder that is there as a whole or not at
//! all.
//!
//! ```text
//! epoch-0007/                 after epoch 7
//! epoch-0007-batch-000120/    stopped after 120 batches of epoch 8
//!     model.bpk  optimizer.bpk  state.json
//! average-0007/               the mean of the last epochs of a training that ended with epoch 7
//!     model.bpk  state.json
//! ```
//!
//! `state.json` says where the run stands, with the sizes and checksums of the other files. A
//! checkpoint is written under a name that ends in `.tmp`, file by file to the disk, and then
//! renamed; one is given up by renaming it to `.tmp` first. So a folder with a proper name is
//! complete, and the sums tell where a file system broke that promise.

mod done;
mod names;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use burn::{
    module::Module,
    optim::ModuleOptimizer,
    store::{ModuleRecord, RecordError},
    tensor::Bytes,
};
pub(crate) use done::{Done, Running};
use names::{Place, UNFINISHED, average_name, averaged, listed, name, place, places, unfinished};
use serde::{Deserialize, Serialize};

use crate::{
    AverageRecord, Averaging, Best, Monitor, Skipped, TrainConfig, TrainError, disk::Disk,
};

const VERSION: u32 = 1;
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";

/// How many of the newest checkpoints are kept, beside the best.
const KEPT: usize = 2;

#[derive(Serialize, Deserialize)]
struct State {
    version: u32,
    /// The fields of the configuration, each as JSON.
    config: BTreeMap<String, String>,
    done: Done,
    files: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    name: String,
    bytes: usize,
    /// FNV-1a, 64 bits, in hexadecimal.
    checksum: String,
}

/// The folder of a run's checkpoints.
pub(crate) struct Checkpoints {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    config: BTreeMap<String, String>,
    /// Fields of the configuration that may change when a run is continued.
    free: Vec<&'static str>,
    monitor: Monitor,
    average: Option<Averaging>,
}

/// A complete checkpoint, read and checked.
pub(crate) struct Checkpoint {
    path: PathBuf,
    config: BTreeMap<String, String>,
    pub(crate) done: Done,
    files: BTreeMap<&'static str, Vec<u8>>,
}

/// Whether `folder` holds checkpoints, complete or damaged, of a run.
pub fn holds_run(folder: &Path) -> bool {
    places(folder).is_ok_and(|places| !places.is_empty())
}

impl Checkpoints {
    pub(crate) fn new(folder: &Path, config: &TrainConfig, disk: Box<dyn Disk>) -> Self {
        Self {
            folder: folder.to_path_buf(),
            disk,
            config: fields(config),
            free: match config.schedule.looks_ahead() {
                true => vec!["average", "early_stopping"],
                false => vec!["average", "early_stopping", "epochs"],
            },
            monitor: config.metric.clone(),
            average: config.average,
        }
    }

    /// Makes the folder, which must not hold a run yet.
    pub(crate) fn begin(&self) -> Result<(), TrainError> {
        self.disk.create_dir(&self.folder).map_err(TrainError::write(&self.folder))?;
        match places(&self.folder)?.is_empty() {
            true => self.clean(),
            false => Err(TrainError::HoldsRun { folder: self.folder.clone() }),
        }
    }

    /// Writes a checkpoint and gives up those that are needed no more.
    pub(crate) fn save<M: Module>(
        &self,
        done: &Done,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<PathBuf, TrainError> {
        let path = self.folder.join(name((done.epochs, done.batches)));
        let model = model.clone().into_record().into_bytes();
        self.save_whole(&path, done, [(MODEL, model), (OPTIMIZER, optimizer.into_bytes())])?;
        self.prune(done)?;
        Ok(path)
    }

    /// Writes the mean of the last epochs, which `done` describes.
    pub(crate) fn save_average<M: Module>(
        &self,
        done: &Done,
        model: &M,
    ) -> Result<PathBuf, TrainError> {
        let path = self.folder.join(average_name(done.epochs));
        self.save_whole(&path, done, [(MODEL, model.clone().into_record().into_bytes())])?;
        Ok(path)
    }

    fn save_whole<const N: usize>(
        &self,
        path: &Path,
        done: &Done,
        files: [(&str, Result<Bytes, RecordError>); N],
    ) -> Result<(), TrainError> {
        let mut contents = Vec::new();
        for (name, bytes) in files {
            let unwritable = |error: RecordError| TrainError::Write {
                path: path.join(name),
                source: io::Error::other(error.to_string()),
            };
            contents.push((name, bytes.map_err(unwritable)?));
        }
        let written = self.write(path, done, &contents);
        if written.is_err() {
            // What is there of it is of no use; the error that matters is the first one.
            let _ = self.disk.remove_dir(&unfinished(path));
        }
        written
    }

    fn write(
        &self,
        path: &Path,
        done: &Done,
        contents: &[(&str, Bytes)],
    ) -> Result<(), TrainError> {
        let making = unfinished(path);
        self.remove(&making)?;
        self.disk.create_dir(&making).map_err(TrainError::write(&making))?;
        let file = |name: &str, bytes: &[u8]| {
            let file = making.join(name);
            self.disk.write(&file, bytes).map_err(TrainError::write(&file))
        };
        let mut files = Vec::new();
        for (name, bytes) in contents {
            file(name, bytes)?;
            files.push(Written {
                name: name.to_string(),
                bytes: bytes.len(),
                checksum: checksum(bytes),
            });
        }
        let config = self.config.clone();
        let state = State { version: VERSION, config, done: done.clone(), files };
        let state = serde_json::to_vec_pretty(&state).expect("the state has only text keys");
        file(STATE, &state)?;
        // A damaged checkpoint that was passed over may have the name.
        self.remove(path)?;
        self.disk.rename(&making, path).map_err(TrainError::write(path))
    }

    /// The newest complete checkpoint and those that were passed over for it.
    pub(crate) fn newest(&self) -> Result<(Checkpoint, Vec<Skipped>), TrainError> {
        let (checkpoint, skipped) = newest(&self.folder)?;
        self.same_config(&checkpoint)?;
        self.clean()?;
        Ok((checkpoint, skipped))
    }

    /// What a run was started with has to be what it is continued with, but for the free fields.
    fn same_config(&self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        for (field, now) in &self.config {
            let then = checkpoint.config.get(field).map_or("unknown", String::as_str);
            if now != then && !self.free.contains(&field.as_str()) {
                let (field, then, now) = (field.clone(), then.to_string(), now.clone());
                return Err(TrainError::OtherConfig { field, then, now });
            }
        }
        Ok(())
    }

    /// Removes what a killed run left unfinished.
    fn clean(&self) -> Result<(), TrainError> {
        for entry in fs::read_dir(&self.folder).map_err(TrainError::read(&self.folder))? {
            let path = entry.map_err(TrainError::read(&self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ours = |name| place(name).is_some() || averaged(name).is_some();
            if name.strip_suffix(UNFINISHED).is_some_and(ours) {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps the newest, the best, and those that are to be averaged if this is the last epoch.
    fn prune(&self, done: &Done) -> Result<(), TrainError> {
        let best = self.monitor.best(&done.history).map(|best| best.epoch);
        let averaged = done.last_epochs(self.average.map_or(0, |average| average.last));
        let kept = |(epochs, batches): Place| {
            batches == 0 && (Some(epochs) == best || averaged.contains(&epochs))
        };
        let mut older = places(&self.folder)?;
        older.truncate(older.len().saturating_sub(KEPT));
        for place in older.into_iter().filter(|place| !kept(*place)) {
            self.give_up(&name(place))?;
        }
        // A training that goes on has not ended where that average says.
        self.forget_averages()
    }

    /// Removes what averages there are.
    pub(crate) fn forget_averages(&self) -> Result<(), TrainError> {
        listed(&self.folder, averaged)?
            .into_iter()
            .try_for_each(|last| self.give_up(&average_name(last)))
    }

    fn give_up(&self, name: &str) -> Result<(), TrainError> {
        let path = self.folder.join(name);
        let going = unfinished(&path);
        self.disk.rename(&path, &going).map_err(TrainError::write(&path))?;
        self.remove(&going)
    }

    /// `model` with the weights after `epoch`, for a mean.
    pub(crate) fn model_to_average<M: Module>(
        &self,
        epoch: usize,
        model: M,
    ) -> Result<M, TrainError> {
        let path = self.folder.join(name((epoch, 0)));
        let checkpoint = Checkpoint::read(path.clone(), &[MODEL]);
        checkpoint.map_err(|why| TrainError::Average { path, why })?.load_model(model)
    }

    fn remove(&self, path: &Path) -> Result<(), TrainError> {
        match self.disk.remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(TrainError::write(path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Checkpoint {
    /// The checkpoint with these of its files.
    fn read(path: PathBuf, names: &[&'static str]) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let state = fs::read(path.join(STATE)).map_err(|error| format!("{STATE}: {error}"))?;
        let state: State = serde_json::from_slice(&state).map_err(|error| text(&error))?;
        if state.version != VERSION {
            return Err(format!("version {} is not {VERSION}", state.version));
        }
        let file = |name: &&'static str| {
            let bytes = fs::read(path.join(name)).map_err(|error| format!("{name}: {error}"))?;
            let written = state.files.iter().find(|file| file.name == *name);
            let written = written.ok_or_else(|| format!("{name} is not in {STATE}"))?;
            match bytes.len() == written.bytes && checksum(&bytes) == written.checksum {
                true => Ok((*name, bytes)),
                false => Err(format!("{name} is damaged")),
            }
        };
        let files = names.iter().map(file).collect::<Result<_, String>>()?;
        let (config, done) = (state.config, state.done);
        Ok(Self { path, config, done, files })
    }

    /// `model` with the weights of this checkpoint.
    pub(crate) fn load_model<M: Module>(&self, model: M) -> Result<M, TrainError> {
        let bytes = Bytes::from_bytes_vec(self.files[MODEL].clone());
        let record = ModuleRecord::from_bytes(bytes).map_err(|error| self.other(error))?;
        model.try_load_record(record).map_err(|error| self.other(error))
    }

    /// `optimizer` with the state of this checkpoint.
    pub(crate) fn load_optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainError> {
        let bytes = Bytes::from_bytes_vec(self.files[OPTIMIZER].clone());
        optimizer.from_bytes(bytes).map_err(|error| self.other(error))
    }

    fn other(&self, error: RecordError) -> TrainError {
        TrainError::OtherModel { path: self.path.clone(), why: error.to_string() }
    }
}

/// The newest complete checkpoint of `folder`, with the average that was made where it stands, and
/// those that were passed over.
fn newest(folder: &Path) -> Result<(Checkpoint, Vec<Skipped>), TrainError> {
    let mut skipped = Vec::new();
    for place in places(folder)?.into_iter().rev() {
        let path = folder.join(name(place));
        match Checkpoint::read(path.clone(), &[MODEL, OPTIMIZER]) {
            Ok(mut checkpoint) => {
                checkpoint.done.average = average_at(place, folder, &mut skipped);
                return Ok((checkpoint, skipped));
            }
            Err(why) => skipped.push(Skipped { path, why }),
        }
    }
    Err(TrainError::NothingToResume { folder: folder.to_path_buf(), skipped })
}

/// The average of a run that ended at this place.
fn average_at(
    (epochs, batches): Place,
    folder: &Path,
    skipped: &mut Vec<Skipped>,
) -> Option<AverageRecord> {
    let path = folder.join(average_name(epochs));
    if batches > 0 || !path.exists() {
        return None;
    }
    let checkpoint = Checkpoint::read(path.clone(), &[MODEL]);
    checkpoint.map_err(|why| skipped.push(Skipped { path, why })).ok()?.done.average
}

/// `model` with the weights that are the best of the run in `folder`.
pub(crate) fn load<M: Module>(model: M, folder: &Path, best: &Best) -> Result<M, TrainError> {
    let path = folder.join(match best {
        Best::Epoch(record) => name((record.epoch, 0)),
        Best::Average(record) => average_name(record.last),
    });
    let damaged = |why| TrainError::NothingToResume {
        folder: folder.to_path_buf(),
        skipped: vec![Skipped { path: path.clone(), why }],
    };
    Checkpoint::read(path.clone(), &[MODEL]).map_err(damaged)?.load_model(model)
}

/// `model` with the weights that are the best of the run in `folder`, and whose they are. Before the
/// first epoch has ended there are none.
///
/// # Errors
///
/// If there is no complete checkpoint, or it does not fit the model.
pub fn load_best<M: Module>(
    model: M,
    folder: &Path,
    metric: &Monitor,
) -> Result<Option<(M, Best)>, TrainError> {
    let (checkpoint, _) = newest(folder)?;
    let Some(best) = Best::of(metric, &checkpoint.done) else { return Ok(None) };
    Ok(Some((load(model, folder, &best)?, best)))
}

/// FNV-1a (Fowler, Noll & Vo 1991), 64 bits.
fn checksum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn fields(config: &TrainConfig) -> BTreeMap<String, String> {
    let value = serde_json::to_value(config).expect("the configuration has only text keys");
    let fields = value.as_object().expect("the configuration has fields");
    fields.iter().map(|(field, value)| (field.clone(), value.to_string())).collect()
}
