//! Which pictures a model learns from and is measured on.

use std::path::{Path, PathBuf};

use anyhow::Context;
use recurrent_generative::{Distortion, Pictures, Shown};
use recurrent_training::OutOfRange;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{data::Data, idx};

/// Pictures that chose no epoch, if nothing else is said.
const HELD_OUT: usize = 1000;

/// Which pictures, and how they are shown. Paths are relative to where the program is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PicturesConfig {
    /// What the model learns from.
    pub train: IdxFiles,
    /// What chooses the best epoch; by default the last pictures of `train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<IdxFiles>,
    /// How many of `train` are held out where there is no `valid`, above 0 and not all: 1000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<usize>,
    /// What the model is measured on after training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<IdxFiles>,
    /// How they are shown to the model.
    #[serde(default)]
    pub shown: Shown,
    /// What is done to those that it learns from, anew in every epoch.
    #[serde(default)]
    pub distortion: Distortion,
    /// Pictures of a batch, above 0.
    #[serde(default = "a_hundred")]
    pub batch: usize,
}

/// Two files in the format of MNIST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdxFiles {
    /// The pictures.
    pub images: PathBuf,
    /// What each shows. Required only for a model that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
}

fn a_hundred() -> usize {
    100
}

/// Why pictures are of no use to a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PicturesError {
    /// There is nothing left to learn from.
    #[error(
        "`{key}.hold_out` must be below the {pictures} pictures of `{key}.train`, got {hold_out}"
    )]
    HoldOut {
        /// What the pictures are called.
        key: String,
        /// How many are to be held out.
        hold_out: usize,
        /// How many there are.
        pictures: usize,
    },
    /// They are of another size.
    #[error("`{key}` has pictures of {}×{} pixels, the model reads {}×{}", got[0], got[1], expected[0], expected[1])]
    Size {
        /// What they are called.
        key: String,
        /// Rows and columns that the model reads.
        expected: [usize; 2],
        /// Rows and columns of the pictures.
        got: [usize; 2],
    },
    /// Nobody says what they show.
    #[error("`{key}` has no labels, and the model has to be told what a picture shows")]
    NoLabels {
        /// What they are called.
        key: String,
    },
    /// One shows what the model does not know.
    #[error("`{key}` has the label {label} at picture {}, the model knows labels below {classes}", picture + 1)]
    Label {
        /// What they are called.
        key: String,
        /// Which picture, from 0.
        picture: usize,
        /// What it shows.
        label: usize,
        /// What there is.
        classes: usize,
    },
}

impl IdxFiles {
    /// Reads them; an error calls them `key`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not of its format.
    pub fn read(&self, key: &str) -> anyhow::Result<Pictures> {
        let pictures = idx::read(&self.images, self.labels.as_deref().map(Path::new));
        pictures.with_context(|| format!("`{key}` cannot be used"))
    }
}

impl PicturesConfig {
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        OutOfRange::check("batch", self.batch, |batch| *batch > 0, "above 0")?;
        self.distortion.validate().map_err(|wrong| wrong.under("distortion"))?;
        let Some(hold_out) = self.hold_out else { return Ok(()) };
        let range = "left out where `valid` is given";
        OutOfRange::check("hold_out", hold_out, |_| self.valid.is_none(), range)?;
        OutOfRange::check("hold_out", hold_out, |hold_out| *hold_out > 0, "above 0")
    }

    /// Every set has labels.
    pub(crate) fn validate_labels(&self) -> Result<(), OutOfRange> {
        let sets = [("train", Some(&self.train)), ("valid", self.valid.as_ref())];
        for (set, files) in sets.into_iter().chain([("test", self.test.as_ref())]) {
            if files.is_some_and(|files| files.labels.is_none()) {
                let range = "given for a model with `condition = \"label\"`";
                return Err(OutOfRange::new(format!("{set}.labels"), "nothing", range));
            }
        }
        Ok(())
    }

    /// Reads all files.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not of its format, or if all pictures would be held out.
    pub fn read(&self) -> anyhow::Result<Data<Pictures>> {
        let train = self.train.read("data.pictures.train")?;
        let (train, valid) = match &self.valid {
            Some(valid) => (train, valid.read("data.pictures.valid")?),
            None => self.held_out(&train)?,
        };
        let test = self.test.as_ref().map(|test| test.read("data.pictures.test")).transpose()?;
        Ok(Data { train, valid, test })
    }

    fn held_out(&self, train: &Pictures) -> Result<(Pictures, Pictures), PicturesError> {
        let (hold_out, pictures) = (self.hold_out.unwrap_or(HELD_OUT), train.count());
        match hold_out < pictures {
            true => Ok(train.split(pictures - hold_out)),
            false => {
                Err(PicturesError::HoldOut { key: "data.pictures".to_owned(), hold_out, pictures })
            }
        }
    }
}
