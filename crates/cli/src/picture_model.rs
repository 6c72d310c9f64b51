//! A model of pictures with all it takes to train, measure and use it.

use std::fmt::Debug;

use anyhow::{Context, bail, ensure};
use burn::prelude::*;
use recurrent_generative::{
    Autoencoder, AutoencoderConfig, Condition, KlTerm, MeasuredBound, Noise, PictureBatches,
    PictureModel, Pictures, PrincipalComponents, Reconstruction, Sparsity, Vae, VaeConfig,
};
use recurrent_training::{Moment, OutOfRange, Scores, validation_loss};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    experiment::{EvaluationConfig, Experiment},
    folder::ModelFolder,
    gallery::{self, Drawings, Labels, Shown, prior_quantiles},
    picture_files::{PicturesConfig, PicturesError},
    report::{Measured, Unit},
    task::{Learned, Task, Validation, same_wiring},
};

/// What `config.json` calls an autoencoder.
pub const AUTOENCODER: &str = "autoencoder";

/// What it calls a variational one.
pub const VAE: &str = "vae";

/// As many pictures are kept to be drawn.
const SHOWN: usize = 2000;

/// What `config.json` says of a model of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About<C> {
    /// Sizes and kinds.
    pub config: C,
    /// Pixels of a picture from top to bottom.
    pub rows: usize,
    /// Pixels from left to right.
    pub columns: usize,
    /// What pictures can show; 0 for a model that is not told.
    pub classes: usize,
}

/// Sizes and kinds of one sort of model of pictures.
pub trait PictureConfig:
    Clone + Debug + PartialEq + Serialize + DeserializeOwned + 'static
{
    /// The model.
    type Model: PictureModel;

    /// What `config.json` calls it.
    const KIND: &'static str;

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    fn validate(&self) -> Result<(), OutOfRange>;

    /// What a model is told of pictures that can show so many things.
    fn told(&self, classes: usize) -> Labels;

    /// A model as it is drawn, for pictures of `width` pixels.
    fn draw(&self, width: usize, labels: Labels, device: &Device) -> Self::Model;

    /// What decides what weights mean, with the default for all that only says how they are learned.
    fn wiring(&self) -> Self;

    /// What is measured after every epoch.
    fn scores(model: &Self::Model, batches: &PictureBatches, at: &Moment) -> Scores;

    /// What is measured in the end, and what the model makes of pictures.
    ///
    /// # Errors
    ///
    /// If something cannot be drawn.
    fn looked_at(
        model: &Self::Model,
        batches: &PictureBatches,
        shown: &Shown,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<(Measured, Drawings)>;
}

impl PictureConfig for VaeConfig {
    type Model = Vae;
    const KIND: &'static str = VAE;

    fn validate(&self) -> Result<(), OutOfRange> {
        self.validate()
    }

    fn told(&self, classes: usize) -> Labels {
        match self.condition {
            Condition::None => Labels::Unread,
            Condition::Label => Labels::Of(classes),
        }
    }

    fn draw(&self, width: usize, labels: Labels, device: &Device) -> Vae {
        self.init(width, labels.count(), device)
    }

    fn wiring(&self) -> Self {
        let Self { bound, .. } = Self::default();
        Self { bound, kl: KlTerm::default(), ..self.clone() }
    }

    fn scores(model: &Vae, batches: &PictureBatches, at: &Moment) -> Scores {
        scores(&model.measure(batches, &mut at.rng()))
    }

    fn looked_at(
        model: &Vae,
        batches: &PictureBatches,
        shown: &Shown,
        evaluation: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<(Measured, Drawings)> {
        let bound = model.measure(batches, &mut at.rng());
        let mut scores = scores(&bound);
        if let Some(samples) = evaluation.importance {
            let iw = model.measure_importance(batches, samples, &mut at.rng());
            scores = scores.with("iw", -iw);
        }
        let latent = Some(bound.latents.report());
        let measured = Measured { scores, unit: Unit::NatsAPicture, latent, ..Measured::default() };
        let mut drawings = vec![
            ("reconstructions", shown.reconstructions(model)),
            ("interpolations", shown.interpolations(model)),
            ("samples", shown.samples(model, at)),
        ];
        let active = bound.latents.active();
        if !active.is_empty() {
            drawings.push(("traversal", shown.traversal(model, &active)));
        }
        if model.d_code() == 2 {
            drawings.push(("latent_map", shown.latent_map(model)?));
            drawings.push(("manifold", shown.manifold(model, &prior_quantiles())));
        }
        Ok((measured, drawings))
    }
}

impl PictureConfig for AutoencoderConfig {
    type Model = Autoencoder;
    const KIND: &'static str = AUTOENCODER;

    fn validate(&self) -> Result<(), OutOfRange> {
        self.validate()
    }

    fn told(&self, _: usize) -> Labels {
        Labels::Unread
    }

    fn draw(&self, width: usize, _: Labels, device: &Device) -> Autoencoder {
        self.init(width, device)
    }

    fn wiring(&self) -> Self {
        Self { noise: Noise::None, sparsity: Sparsity::None, ..self.clone() }
    }

    fn scores(model: &Autoencoder, batches: &PictureBatches, at: &Moment) -> Scores {
        Scores::new().with("nll", validation_loss(model, batches, at).nll)
    }

    fn looked_at(
        model: &Autoencoder,
        batches: &PictureBatches,
        shown: &Shown,
        _: &EvaluationConfig,
        at: &Moment,
    ) -> anyhow::Result<(Measured, Drawings)> {
        let mut scores = Self::scores(model, batches, at);
        let unit = match model.config.reconstruction {
            Reconstruction::CrossEntropy => Unit::NatsAPicture,
            Reconstruction::SquaredError => {
                let values: Vec<f32> = batches.all().flat_map(|batch| batch.values).collect();
                let count = model.d_code().min(shown.pictures.width());
                let components = PrincipalComponents::of(&values, shown.pictures.width(), count);
                scores = scores.with("principal_components", components.error(&values));
                Unit::SquaresAPicture
            }
        };
        let mut drawings = vec![
            ("reconstructions", shown.reconstructions(model)),
            ("interpolations", shown.interpolations(model)),
        ];
        if model.d_code() == 2 {
            drawings.push(("latent_map", shown.latent_map(model)?));
            drawings.push(("manifold", shown.manifold(model, &shown.spread(model))));
        }
        Ok((Measured { scores, unit, ..Measured::default() }, drawings))
    }
}

impl Labels {
    /// How many things there are to be told; 0 if nothing is.
    pub fn count(self) -> usize {
        match self {
            Self::Unread => 0,
            Self::Of(classes) => classes,
        }
    }
}

fn scores(bound: &MeasuredBound) -> Scores {
    Scores::new()
        .with("nll", bound.nll())
        .with("reconstruction", bound.reconstruction)
        .with("kl", bound.kl)
}

/// A model of pictures and its weights from a folder.
///
/// # Errors
///
/// If a file of it is missing, damaged, or does not fit the others, or it is of another kind.
pub fn load<C: PictureConfig>(
    folder: &ModelFolder,
    device: &Device,
) -> anyhow::Result<(About<C>, C::Model)> {
    folder.expect_kind(&[C::KIND])?;
    let about: About<C> = folder.model()?;
    about.validate().with_context(|| format!("{}/config.json", folder.path().display()))?;
    let model = folder.load_weights(about.draw(device))?;
    Ok((about, model))
}

impl<C: PictureConfig> About<C> {
    fn validate(&self) -> Result<(), OutOfRange> {
        let sizes = [("rows", self.rows), ("columns", self.columns)];
        let classes = match self.config.told(self.classes) {
            Labels::Unread => None,
            Labels::Of(classes) => Some(("classes", classes)),
        };
        for (field, size) in sizes.into_iter().chain(classes) {
            OutOfRange::check(field, size, |size| *size > 0, "at least 1")?;
        }
        self.config.validate().map_err(|wrong| wrong.under("config"))
    }

    fn draw(&self, device: &Device) -> C::Model {
        let labels = self.config.told(self.classes);
        self.config.draw(self.rows * self.columns, labels, device)
    }
}

/// Pictures to codes and back.
#[derive(Clone, Debug)]
pub struct PictureTask<C> {
    about: About<C>,
    files: PicturesConfig,
    evaluation: EvaluationConfig,
}

impl<C: PictureConfig> PictureTask<C> {
    /// Takes sizes from what the model is to learn from.
    ///
    /// # Errors
    ///
    /// If the model does not fit the pictures.
    pub fn new(config: &C, experiment: &Experiment, train: &Pictures) -> anyhow::Result<Self> {
        let most = train.labels.iter().flatten().max();
        let classes = config.told(most.map_or(0, |most| most + 1)).count();
        let Pictures { rows, columns, .. } = *train;
        let about = About { config: config.clone(), rows, columns, classes };
        let task = Self::of(about, experiment.pictures()?, &experiment.evaluation);
        task.fits(train, "data.pictures.train")?;
        task.about.validate()?;
        Ok(task)
    }

    /// Of a model that was trained before.
    pub fn of(about: About<C>, files: &PicturesConfig, evaluation: &EvaluationConfig) -> Self {
        Self { about, files: files.clone(), evaluation: evaluation.clone() }
    }

    /// Whether the model can read `pictures`, which an error calls `key`.
    ///
    /// # Errors
    ///
    /// If they are of another size, or show what the model does not know.
    pub fn fits(&self, pictures: &Pictures, key: &str) -> Result<(), PicturesError> {
        let key = key.to_owned();
        let About { rows, columns, classes, .. } = self.about;
        let (expected, got) = ([rows, columns], [pictures.rows, pictures.columns]);
        if expected != got {
            return Err(PicturesError::Size { key, expected, got });
        }
        if self.about.config.told(classes) == Labels::Unread {
            return Ok(());
        }
        let Some(labels) = &pictures.labels else { return Err(PicturesError::NoLabels { key }) };
        match labels.iter().position(|label| *label >= classes) {
            None => Ok(()),
            Some(picture) => {
                Err(PicturesError::Label { key, picture, label: labels[picture], classes })
            }
        }
    }

    /// What is measured of a model on `pictures`, and what it makes of them.
    ///
    /// # Errors
    ///
    /// If something cannot be drawn.
    pub fn looked_at(
        &self,
        model: &C::Model,
        pictures: &Pictures,
        at: &Moment,
    ) -> anyhow::Result<(Measured, Drawings)> {
        let batches = self.fixed(pictures);
        let first = PictureBatches::fixed(pictures.first(SHOWN), SHOWN, self.files.shown);
        let Some(as_seen) = first.all().next() else { bail!("there are no pictures") };
        let shown = Shown {
            pictures: Pictures { values: as_seen.values, ..pictures.first(SHOWN) },
            labels: self.about.config.told(self.about.classes),
        };
        C::looked_at(model, &batches, &shown, &self.evaluation, at)
    }

    fn fixed(&self, pictures: &Pictures) -> PictureBatches {
        PictureBatches::fixed(pictures.clone(), self.files.batch, self.files.shown)
    }
}

impl<C: PictureConfig> Task for PictureTask<C> {
    type Model = C::Model;
    type Set = Pictures;
    type Batches = PictureBatches;

    fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        Ok(folder.describe(C::KIND, &self.about)?)
    }

    fn init(&self, device: &Device) -> C::Model {
        self.about.draw(device)
    }

    fn init_from(&self, other: &ModelFolder, device: &Device) -> anyhow::Result<C::Model> {
        other.expect_kind(&[C::KIND])?;
        let there: About<C> = other.model()?;
        let sizes = |about: &About<C>| [about.rows, about.columns, about.classes];
        let (here, other_sizes) = (sizes(&self.about), sizes(&there));
        ensure!(
            here == other_sizes,
            "rows, columns and classes are {other_sizes:?} there and {here:?} here"
        );
        let [here, there] = [&self.about, &there].map(|about| about.config.wiring());
        same_wiring(&format!("model.{}", C::KIND), &here, &there)?;
        Ok(other.load_weights(self.init(device))?)
    }

    fn batches(&self, train: &Pictures) -> anyhow::Result<Learned<PictureBatches>> {
        let PicturesConfig { batch, shown, distortion, .. } = self.files;
        Ok(PictureBatches::drawn(train.clone(), batch, shown, distortion).into())
    }

    fn validation(&self, valid: &Pictures) -> anyhow::Result<Validation<C::Model>> {
        self.fits(valid, "data.pictures.valid")?;
        let batches = self.fixed(valid);
        Ok(Box::new(move |model, at| Ok(C::scores(model, &batches, at))))
    }

    fn check(&self, test: &Pictures) -> anyhow::Result<()> {
        Ok(self.fits(test, "data.pictures.test")?)
    }

    fn report(
        &self,
        model: &C::Model,
        test: &Pictures,
        at: &Moment,
        folder: &ModelFolder,
    ) -> anyhow::Result<Measured> {
        let (measured, drawings) = self.looked_at(model, test, at)?;
        gallery::write(&drawings, folder)?;
        Ok(measured)
    }
}
