//! The folder of a trained model.
//!
//! | file | what it says |
//! |---|---|
//! | `config.json` | the kind of the model, its sizes, and the length and checksum of the files below |
//! | `model.safetensors` | the weights |
//! | `tokenizer.json`, or `source.` and `target.tokenizer.json` | how text becomes numbers |
//! | `training.toml` | what it was trained with |
//! | `data.json` | how many examples it was trained with, and their checksums |
//! | `metrics.json` | how good it is |
//! | `checkpoints` | what is needed to go on training |
//! | `pictures` | learning curve, attention, what a model of pictures makes |
//!
//! A file that is cut, damaged or of another model is refused when the folder is opened. Weights
//! can be replaced at any time, by a training that found better ones: files change in one piece,
//! and while they do, `config.json` knows the old and the new ones, so that a run that is ended in
//! between leaves a model that opens.

mod error;
mod seal;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use burn::module::Module;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    atomic::{WriteError, make_folder, write_atomically},
    int8_weights,
    weights::{self, Parameter},
};
pub use error::FolderError;
pub use seal::Seal;

/// Raised when a folder of before could no longer be read or would mean something else.
pub const FORMAT_VERSION: u32 = 1;

const CONFIG: &str = "config.json";
const CHECKPOINTS: &str = "checkpoints";
const PICTURES: &str = "pictures";

/// A file of a model folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The weights.
    #[serde(rename = "model.safetensors")]
    Weights,
    /// The tokeniser of a model that has one.
    #[serde(rename = "tokenizer.json")]
    Tokenizer,
    /// The tokeniser of what a model reads.
    #[serde(rename = "source.tokenizer.json")]
    SourceTokenizer,
    /// The tokeniser of what a model writes.
    #[serde(rename = "target.tokenizer.json")]
    TargetTokenizer,
    /// What the model was trained with.
    #[serde(rename = "training.toml")]
    Training,
    /// Which data the model was trained with.
    #[serde(rename = "data.json")]
    Data,
    /// How good the model is.
    #[serde(rename = "metrics.json")]
    Metrics,
}

impl Part {
    /// All files.
    pub const ALL: [Self; 7] = [
        Self::Weights,
        Self::Tokenizer,
        Self::SourceTokenizer,
        Self::TargetTokenizer,
        Self::Training,
        Self::Data,
        Self::Metrics,
    ];

    /// Its name in the folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Weights => "model.safetensors",
            Self::Tokenizer => "tokenizer.json",
            Self::SourceTokenizer => "source.tokenizer.json",
            Self::TargetTokenizer => "target.tokenizer.json",
            Self::Training => "training.toml",
            Self::Data => "data.json",
            Self::Metrics => "metrics.json",
        }
    }

    /// Whether the model is another one if this file is: then `config.json` has its checksum.
    fn is_sealed(self) -> bool {
        match self {
            Self::Weights | Self::Tokenizer | Self::SourceTokenizer | Self::TargetTokenizer => true,
            Self::Training | Self::Data | Self::Metrics => false,
        }
    }
}

/// Whether a training begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A new training, in a folder that holds none.
    New,
    /// The training that the folder holds.
    Resume,
}

/// `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    format_version: u32,
    kind: String,
    model: serde_json::Value,
    /// One seal for each file; two while it is being replaced.
    files: BTreeMap<Part, Vec<Seal>>,
}

/// A model folder.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    path: PathBuf,
    config: Option<Config>,
}

impl ModelFolder {
    /// Whether [`create`](Self::create) may be called: found out before anything is read, and
    /// nothing is made.
    ///
    /// # Errors
    ///
    /// [`Occupied`](FolderError::Occupied) if a new training would overwrite one,
    /// [`NothingToResume`](FolderError::NothingToResume) if there is none to go on with.
    pub fn check(path: &Path, start: Start) -> Result<(), FolderError> {
        let found = run_in(path);
        match (start, found.is_empty()) {
            (Start::New, false) => Err(FolderError::Occupied { folder: path.to_owned(), found }),
            (Start::Resume, true) => Err(FolderError::NothingToResume { folder: path.to_owned() }),
            (Start::New, true) | (Start::Resume, false) => Ok(()),
        }
    }

    /// The folder of a training. It is made unless it is there.
    ///
    /// # Errors
    ///
    /// [`Occupied`](FolderError::Occupied) if a new training would overwrite one,
    /// [`NothingToResume`](FolderError::NothingToResume) if there is none to go on with, or if the
    /// folder cannot be read or made.
    pub fn create(path: impl AsRef<Path>, start: Start) -> Result<Self, FolderError> {
        let path = path.as_ref();
        Self::check(path, start)?;
        match start {
            Start::New => {
                make_folder(path)?;
                Ok(Self { path: path.to_owned(), config: None })
            }
            Start::Resume => {
                let config = path.join(CONFIG).exists().then(|| read_config(path)).transpose()?;
                Ok(Self { path: path.to_owned(), config })
            }
        }
    }

    /// The folder of a model that can be used: all its files are there, whole, and belong
    /// together.
    ///
    /// # Errors
    ///
    /// See [`FolderError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(FolderError::NotAFolder { folder: path.to_owned() }),
            Err(reason) => return Err(FolderError::Read { path: path.to_owned(), reason }),
        }
        if !path.join(CONFIG).exists() {
            let folder = path.to_owned();
            return Err(FolderError::Missing { folder, file: CONFIG.to_owned() });
        }
        let config = read_config(path)?;
        if !config.files.contains_key(&Part::Weights) {
            return Err(missing(path, Part::Weights));
        }
        for (part, seals) in &config.files {
            let file = path.join(part.file_name());
            let bytes = read_part(path, *part)?;
            seal::check(&file, &path.join(CONFIG), seals, &Seal::of(&bytes))?;
        }
        Ok(Self { path: path.to_owned(), config: Some(config) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints go.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// Whether it has this file.
    pub fn has(&self, part: Part) -> bool {
        self.path.join(part.file_name()).exists()
    }

    /// What kind of model it is, as [`describe`](Self::describe) was told; none before that.
    pub fn kind(&self) -> Option<&str> {
        self.config.as_ref().map(|config| config.kind.as_str())
    }

    /// What the model is made of, as [`describe`](Self::describe) was told.
    ///
    /// # Errors
    ///
    /// [`Description`](FolderError::Description) if it is not what `C` is read from.
    pub fn model<C: DeserializeOwned>(&self) -> Result<C, FolderError> {
        let path = self.path.join(CONFIG);
        let Some(Config { kind, model, .. }) = &self.config else {
            return Err(FolderError::Missing { folder: self.path.clone(), file: CONFIG.into() });
        };
        serde_json::from_value(model.clone()).map_err(|reason| FolderError::Description {
            path,
            kind: kind.clone(),
            reason: reason.to_string(),
        })
    }

    /// The files that belong to the model, with length and checksum.
    pub fn files(&self) -> Vec<(Part, Seal)> {
        let files = self.config.iter().flat_map(|config| &config.files);
        files.filter_map(|(part, seals)| Some((*part, seals.last()?.clone()))).collect()
    }

    /// Says what kind of model this is and what it is made of. What files it has stays.
    ///
    /// # Errors
    ///
    /// If `config.json` cannot be written.
    pub fn describe<C: Serialize>(&mut self, kind: &str, model: &C) -> Result<(), FolderError> {
        let path = self.path.join(CONFIG);
        let model = serde_json::to_value(model).map_err(|reason| FolderError::Description {
            path,
            kind: kind.to_owned(),
            reason: reason.to_string(),
        })?;
        let files = self.config.take().map(|config| config.files).unwrap_or_default();
        let kind = kind.to_owned();
        self.put_config(Config { format_version: FORMAT_VERSION, kind, model, files })
    }

    /// Gives a file new content.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then the old content is still there.
    ///
    /// # Panics
    ///
    /// If it is a file of the model and [`describe`](Self::describe) did not say yet which.
    pub fn write(&mut self, part: Part, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(part.file_name());
        if !part.is_sealed() {
            return Ok(write_atomically(&path, bytes)?);
        }
        let new = Seal::of(bytes);
        let mut config = self.config.clone().expect("a model is described before it is written");
        let seals = config.files.entry(part).or_default();
        // Only what was in place counts as old, not what an interrupted replacement planned.
        let old = fs::read(&path).ok().map(|bytes| Seal::of(&bytes));
        *seals = old.into_iter().chain([new.clone()]).collect();
        seals.dedup();
        self.put_config(config.clone())?;
        write_atomically(&path, bytes)?;
        config.files.insert(part, vec![new]);
        self.put_config(config)
    }

    /// Takes away a file that is not of the model itself, if it is there.
    ///
    /// # Errors
    ///
    /// If it cannot be taken away.
    ///
    /// # Panics
    ///
    /// If the model is none without it.
    pub fn remove(&mut self, part: Part) -> Result<(), FolderError> {
        assert!(!part.is_sealed(), "a model keeps its {}", part.file_name());
        let path = self.path.join(part.file_name());
        match fs::remove_file(&path) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => {
                Err(WriteError { path, reason }.into())
            }
            _ => Ok(()),
        }
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    pub fn read(&self, part: Part) -> Result<Vec<u8>, FolderError> {
        read_part(&self.path, part)
    }

    /// The content of a file of text.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), or if it is not UTF-8, or not what `config.json` says it is.
    pub fn read_text(&self, part: Part) -> Result<String, FolderError> {
        let (bytes, path) = (self.read(part)?, self.path.join(part.file_name()));
        if let Some(seals) = self.config.as_ref().and_then(|config| config.files.get(&part)) {
            seal::check(&path, &self.path.join(CONFIG), seals, &Seal::of(&bytes))?;
        }
        String::from_utf8(bytes).map_err(|_| FolderError::NotUtf8 { path })
    }

    /// Writes the parameters of a module as the weights.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), or if a parameter is no weight.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write).
    pub fn save_weights<M: Module>(&mut self, module: &M) -> Result<(), FolderError> {
        let bytes = weights::to_bytes(module).map_err(|error| self.in_weights(error))?;
        self.write(Part::Weights, &bytes)
    }

    /// `module` with the weights in place of its parameters.
    ///
    /// # Errors
    ///
    /// If they cannot be read or do not fit.
    pub fn load_weights<M: Module>(&self, module: M) -> Result<M, FolderError> {
        let bytes = self.read(Part::Weights)?;
        weights::from_bytes(module, &bytes).map_err(|error| self.in_weights(error))
    }

    /// The parts of a quantised model.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or are no such parts.
    pub fn load_int8(&self) -> Result<Vec<(String, recurrent_gnmt::Part)>, FolderError> {
        let bytes = self.read(Part::Weights)?;
        int8_weights::from_bytes(&bytes).map_err(|error| self.in_weights(error))
    }

    /// Names and shapes of the weights.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn parameters(&self) -> Result<Vec<Parameter>, FolderError> {
        let bytes = self.read(Part::Weights)?;
        weights::list(&bytes).map_err(|error| self.in_weights(error))
    }

    /// Writes a picture of lines and text; where it is then.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_picture(&self, name: &str, svg: &str) -> Result<PathBuf, FolderError> {
        self.write_into_pictures(&format!("{name}.svg"), svg.as_bytes())
    }

    /// Writes a picture of greys; where it is then.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_png(&self, name: &str, png: &[u8]) -> Result<PathBuf, FolderError> {
        self.write_into_pictures(&format!("{name}.png"), png)
    }

    /// The names of all pictures, in their order.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub fn pictures(&self) -> Result<Vec<String>, FolderError> {
        let path = self.path.join(PICTURES);
        let listed = || -> io::Result<Vec<String>> {
            let names = fs::read_dir(&path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<io::Result<Vec<String>>>()?;
            names.sort_unstable();
            Ok(names)
        };
        match path.exists() {
            true => listed().map_err(|reason| FolderError::Read { path: path.clone(), reason }),
            false => Ok(Vec::new()),
        }
    }

    fn write_into_pictures(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, FolderError> {
        let folder = self.path.join(PICTURES);
        make_folder(&folder)?;
        let path = folder.join(name);
        write_atomically(&path, bytes)?;
        Ok(path)
    }

    /// Refuses a model of another kind than `needed`.
    ///
    /// # Errors
    ///
    /// [`Kind`](FolderError::Kind) if it is one.
    pub fn expect_kind(&self, needed: &[&str]) -> Result<(), FolderError> {
        let kind = self.kind().unwrap_or_default();
        match needed.contains(&kind) {
            true => Ok(()),
            false => Err(FolderError::Kind {
                folder: self.path.clone(),
                kind: kind.to_owned(),
                needed: needed.iter().map(|kind| format!("`{kind}`")).collect(),
            }),
        }
    }

    fn put_config(&mut self, config: Config) -> Result<(), FolderError> {
        let mut json = serde_json::to_string_pretty(&config).expect("its keys are strings");
        json.push('\n');
        // Even if it cannot be written, it is what the model is.
        self.config = Some(config);
        Ok(write_atomically(&self.path.join(CONFIG), json.as_bytes())?)
    }

    fn in_weights(&self, reason: weights::WeightsError) -> FolderError {
        let path = self.path.join(Part::Weights.file_name());
        FolderError::Weights { path, reason: Box::new(reason) }
    }
}

/// What there is of a training.
fn run_in(path: &Path) -> Vec<String> {
    let parts = Part::ALL.into_iter().map(Part::file_name);
    let names = [CONFIG, CHECKPOINTS].into_iter().chain(parts);
    names.filter(|name| path.join(name).exists()).map(str::to_owned).collect()
}

fn missing(folder: &Path, part: Part) -> FolderError {
    FolderError::Missing { folder: folder.to_owned(), file: part.file_name().to_owned() }
}

fn read_part(folder: &Path, part: Part) -> Result<Vec<u8>, FolderError> {
    let path = folder.join(part.file_name());
    fs::read(&path).map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound => missing(folder, part),
        _ => FolderError::Read { path, reason },
    })
}

fn read_config(folder: &Path) -> Result<Config, FolderError> {
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let path = folder.join(CONFIG);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(reason) => return Err(FolderError::Read { path, reason }),
    };
    let config =
        serde_json::from_slice::<Version>(&bytes).and_then(|Version { format_version }| {
            match format_version {
                FORMAT_VERSION => serde_json::from_slice(&bytes).map(Ok),
                got => Ok(Err(got)),
            }
        });
    match config {
        Ok(Ok(config)) => Ok(config),
        Ok(Err(got)) => Err(FolderError::Version { path, expected: FORMAT_VERSION, got }),
        Err(reason) => Err(FolderError::Json { path, line: reason.line(), reason }),
    }
}

#[cfg(test)]
mod tests;
