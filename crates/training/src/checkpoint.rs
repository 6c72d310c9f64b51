//! Checkpoints: all that a run needs to go on, as one folder that is there as a whole or not at
//! all.
//!
//! ```text
//! epoch-0007/                 after epoch 7
//! epoch-0007-batch-000120/    stopped after 120 batches of epoch 8
//!     model.bpk  optimizer.bpk  state.json
//! ```
//!
//! `state.json` says where the run stands, with the sizes and checksums of the other files. A
//! checkpoint is written under a name that ends in `.tmp`, file by file to the disk, and then
//! renamed; one is given up by renaming it to `.tmp` first. So a folder with a proper name is
//! complete, and the sums tell where a file system broke that promise.

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
use serde::{Deserialize, Serialize};

use crate::{EpochRecord, Monitor, Skipped, TrainConfig, TrainError, disk::Disk, exact};

const VERSION: u32 = 1;
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const STATE: &str = "state.json";
const UNFINISHED: &str = ".tmp";

/// How many of the newest checkpoints are kept, beside the best.
const KEPT: usize = 2;

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Epochs done.
    pub(crate) epochs: usize,
    /// Batches done of the next one.
    pub(crate) batches: usize,
    /// Batches of the first epoch: other data would most likely have another number.
    pub(crate) first: usize,
    /// Optimiser steps taken.
    pub(crate) steps: usize,
    /// Sums over the batches done of the next epoch.
    pub(crate) running: Running,
    pub(crate) history: Vec<EpochRecord>,
}

/// Sums over an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    #[serde(with = "exact")]
    pub(crate) loss: f64,
    #[serde(with = "exact")]
    pub(crate) weight: f64,
    #[serde(with = "exact")]
    pub(crate) nll: f64,
    pub(crate) items: usize,
    #[serde(with = "exact")]
    pub(crate) norms: f64,
    pub(crate) steps: usize,
    #[serde(with = "exact")]
    pub(crate) learning_rate: f64,
}

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
}

/// A complete checkpoint, read and checked.
pub(crate) struct Checkpoint {
    path: PathBuf,
    config: BTreeMap<String, String>,
    pub(crate) done: Done,
    model: Vec<u8>,
    optimizer: Vec<u8>,
}

/// The position in a checkpoint's name: epochs done and batches of the next.
type Place = (usize, usize);

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
                true => vec!["early_stopping"],
                false => vec!["early_stopping", "epochs"],
            },
            monitor: config.metric.clone(),
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
        let files = [(MODEL, model), (OPTIMIZER, optimizer.into_bytes())];
        let mut contents = Vec::new();
        for (name, bytes) in files {
            let unwritable = |error: RecordError| TrainError::Write {
                path: path.join(name),
                source: io::Error::other(error.to_string()),
            };
            contents.push((name, bytes.map_err(unwritable)?));
        }
        let written = self.write(&path, done, &contents);
        if written.is_err() {
            // What is there of it is of no use; the error that matters is the first one.
            let _ = self.disk.remove_dir(&unfinished(&path));
        }
        written?;
        self.prune(done)?;
        Ok(path)
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
            if name.strip_suffix(UNFINISHED).is_some_and(|name| place(name).is_some()) {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps the newest and the best.
    fn prune(&self, done: &Done) -> Result<(), TrainError> {
        let best = self.monitor.best(&done.history).map(|best| (best.epoch, 0));
        let mut older = places(&self.folder)?;
        older.truncate(older.len().saturating_sub(KEPT));
        for place in older.into_iter().filter(|place| Some(*place) != best) {
            let path = self.folder.join(name(place));
            let going = unfinished(&path);
            self.disk.rename(&path, &going).map_err(TrainError::write(&path))?;
            self.remove(&going)?;
        }
        Ok(())
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
    fn read(path: PathBuf) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let state = fs::read(path.join(STATE)).map_err(|error| format!("{STATE}: {error}"))?;
        let state: State = serde_json::from_slice(&state).map_err(|error| text(&error))?;
        if state.version != VERSION {
            return Err(format!("version {} is not {VERSION}", state.version));
        }
        let file = |name: &str| {
            let bytes = fs::read(path.join(name)).map_err(|error| format!("{name}: {error}"))?;
            let written = state.files.iter().find(|file| file.name == name);
            let written = written.ok_or_else(|| format!("{name} is not in {STATE}"))?;
            match bytes.len() == written.bytes && checksum(&bytes) == written.checksum {
                true => Ok(bytes),
                false => Err(format!("{name} is damaged")),
            }
        };
        let (model, optimizer) = (file(MODEL)?, file(OPTIMIZER)?);
        let (config, done) = (state.config, state.done);
        Ok(Self { path, config, done, model, optimizer })
    }

    /// `model` with the weights of this checkpoint.
    pub(crate) fn load_model<M: Module>(&self, model: M) -> Result<M, TrainError> {
        let bytes = Bytes::from_bytes_vec(self.model.clone());
        let record = ModuleRecord::from_bytes(bytes).map_err(|error| self.other(error))?;
        model.try_load_record(record).map_err(|error| self.other(error))
    }

    /// `optimizer` with the state of this checkpoint.
    pub(crate) fn load_optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainError> {
        let bytes = Bytes::from_bytes_vec(self.optimizer.clone());
        optimizer.from_bytes(bytes).map_err(|error| self.other(error))
    }

    fn other(&self, error: RecordError) -> TrainError {
        TrainError::OtherModel { path: self.path.clone(), why: error.to_string() }
    }
}

/// The newest complete checkpoint of `folder` and those that were passed over for it.
fn newest(folder: &Path) -> Result<(Checkpoint, Vec<Skipped>), TrainError> {
    let mut skipped = Vec::new();
    for place in places(folder)?.into_iter().rev() {
        let path = folder.join(name(place));
        match Checkpoint::read(path.clone()) {
            Ok(checkpoint) => return Ok((checkpoint, skipped)),
            Err(why) => skipped.push(Skipped { path, why }),
        }
    }
    Err(TrainError::NothingToResume { folder: folder.to_path_buf(), skipped })
}

/// The checkpoint after `epoch`.
pub(crate) fn after_epoch(folder: &Path, epoch: usize) -> Result<Checkpoint, TrainError> {
    let path = folder.join(name((epoch, 0)));
    let damaged = |why| TrainError::NothingToResume {
        folder: folder.to_path_buf(),
        skipped: vec![Skipped { path: path.clone(), why }],
    };
    Checkpoint::read(path.clone()).map_err(damaged)
}

/// `model` with the weights of the best epoch of the run in `folder`, and the record of that epoch.
/// Before the first epoch has ended there is none.
///
/// # Errors
///
/// If there is no complete checkpoint, or it does not fit the model.
pub fn load_best<M: Module>(
    model: M,
    folder: &Path,
    metric: &Monitor,
) -> Result<Option<(M, EpochRecord)>, TrainError> {
    let (checkpoint, _) = newest(folder)?;
    let Some(best) = metric.best(&checkpoint.done.history) else { return Ok(None) };
    let model = after_epoch(folder, best.epoch)?.load_model(model)?;
    Ok(Some((model, best.clone())))
}

/// All places in `folder` that have a proper name, the oldest first.
fn places(folder: &Path) -> Result<Vec<Place>, TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::read(folder))?,
    };
    let mut places = Vec::new();
    for entry in entries {
        let name = entry.map_err(TrainError::read(folder))?.file_name();
        places.extend(place(&name.to_string_lossy()));
    }
    places.sort_unstable();
    Ok(places)
}

fn name((epochs, batches): Place) -> String {
    match batches {
        0 => format!("epoch-{epochs:04}"),
        _ => format!("epoch-{epochs:04}-batch-{batches:06}"),
    }
}

fn place(name: &str) -> Option<Place> {
    let numbers = name.strip_prefix("epoch-")?;
    match numbers.split_once("-batch-") {
        Some((epochs, batches)) => Some((epochs.parse().ok()?, batches.parse().ok()?)),
        None => Some((numbers.parse().ok()?, 0)),
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
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
