//! Classes of whole sequences, by the states that a sequence leaves in a network.
//!
//! ```text
//! z = [1; s(n_1); …; s(n_D)]          n_i = ⌈i · L / D⌉                 states at fractions of the sequence
//! z = [1; mean_n s(n)]                                                  the mean state
//! scores = W_out z                    class = argmax scores
//! ```
//!
//! `s(n)` is what a readout sees of step `n` = 1 … `L`, the constant aside: states, and inputs or squares if they are
//! asked for. `W_out [classes, F]` is by [ridge](crate::ridge) regression upon 1 for a sequence's class and 0 for
//! all others. The states at fractions hold in which order something came; the mean does not. Scores of several
//! classifiers can be [summed](ensemble_scores).
//!
//! Source: Jaeger et al. (2007), Optimization and Applications of Echo State Networks with Leaky-Integrator Neurons,
//! Neural Networks 20, section 6.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Arrangement, EchoStateNetwork, EsnConfig, FeaturesConfig, Readout, ReservoirConfig,
    ReservoirError, Series,
    ridge::{Design, Normal},
};

/// Which states stand for a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClassStates {
    /// Those at the end of each of so many parts of the sequence, at least 1; with 1 the last state alone.
    Fractions {
        /// `D`.
        parts: usize,
    },
    /// The mean of all.
    Mean,
}

impl Default for ClassStates {
    fn default() -> Self {
        Self::Fractions { parts: 3 }
    }
}

/// A classifier, before it is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Its reservoirs, at least one; nothing is fed back.
    pub reservoirs: Vec<ReservoirConfig>,
    /// How several stand to each other.
    pub arrangement: Arrangement,
    /// What is seen of a step beside the states.
    pub features: FeaturesConfig,
    /// Which states stand for a sequence.
    pub states: ClassStates,
    /// `λ`, at least 0.
    pub regularization: f64,
    /// What the reservoirs are drawn with.
    pub seed: u64,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self {
            reservoirs: vec![ReservoirConfig::default()],
            arrangement: Arrangement::Stacked,
            features: FeaturesConfig::States,
            states: ClassStates::default(),
            regularization: 1.0,
            seed: 1,
        }
    }
}

impl ClassifierConfig {
    /// A classifier of sequences of `inputs` columns into `classes` classes.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, outputs are fed back, or no matrix is drawn that can be scaled.
    ///
    /// # Panics
    ///
    /// If there are no inputs.
    pub fn init(&self, inputs: usize, classes: usize) -> Result<Classifier, ReservoirError> {
        if classes < 2 {
            return Err(ReservoirError::out_of_range("classes", classes, "at least 2"));
        }
        if self.states == (ClassStates::Fractions { parts: 0 }) {
            return Err(ReservoirError::out_of_range("states.fractions.parts", 0, "at least 1"));
        }
        let fed_back = self.reservoirs.iter().find(|reservoir| reservoir.has_feedback());
        if let Some(ReservoirConfig { feedback_scaling, .. }) = fed_back {
            return Err(ReservoirError::FeedbackWithClasses { scaling: *feedback_scaling });
        }
        let network = EsnConfig {
            reservoirs: self.reservoirs.clone(),
            arrangement: self.arrangement,
            features: self.features,
            regularization: self.regularization,
            washout: 0,
            seed: self.seed,
            ..EsnConfig::default()
        };
        let network = network.init(inputs, classes)?;
        Ok(Classifier { config: self.clone(), network, classes, readout: None })
    }
}

/// A network that tells classes of sequences apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    config: ClassifierConfig,
    /// Its own readout is never made: a sequence has other features than a step.
    network: EchoStateNetwork,
    classes: usize,
    readout: Option<Readout>,
}

impl Classifier {
    /// What it was made of.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// The network whose states are looked at.
    pub fn network(&self) -> &EchoStateNetwork {
        &self.network
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What was learned, after [`fit`](Self::fit).
    pub fn readout(&self) -> Option<&Readout> {
        self.readout.as_ref()
    }

    /// Numbers that stand for a sequence, `F`.
    pub fn features(&self) -> usize {
        let step = self.network.feature_count() - 1;
        match self.config.states {
            ClassStates::Fractions { parts } => 1 + parts * step,
            ClassStates::Mean => 1 + step,
        }
    }

    /// The same classifier with this network and readout, as they were saved.
    ///
    /// # Panics
    ///
    /// If the network has other features for a step, or the readout has other features or classes.
    #[must_use]
    pub fn with(self, network: EchoStateNetwork, readout: Readout) -> Self {
        assert_eq!(network.feature_count(), self.network.feature_count(), "a network of this size");
        assert_eq!(readout.features, self.features(), "a weight for every feature");
        assert_eq!(readout.outputs(), self.classes, "a row for every class");
        Self { network, readout: Some(readout), ..self }
    }

    /// Learns from sequences and the class of each, from 0. Nothing but `W_out` changes.
    ///
    /// # Errors
    ///
    /// If a sequence has other columns, fewer steps than parts, or is not finite, a class is unknown or has no
    /// sequence, or the regression has no solution.
    pub fn fit(&mut self, sequences: &[(Series, usize)]) -> Result<(), ReservoirError> {
        if sequences.is_empty() {
            return Err(ReservoirError::Nothing);
        }
        let classes = self.classes;
        let mut counts = vec![0; classes];
        for (sequence, (_, class)) in sequences.iter().enumerate() {
            let unknown = ReservoirError::UnknownClass { sequence, class: *class, classes };
            *counts.get_mut(*class).ok_or(unknown)? += 1;
        }
        if let Some(class) = counts.iter().position(|count| *count == 0) {
            return Err(ReservoirError::EmptyClass { class, classes });
        }
        // Each sequence by itself, so that the number of threads changes nothing.
        let rows = sequences.par_iter().enumerate().map(|(n, (u, _))| self.sequence(u, n));
        let p: Vec<f64> = rows.collect::<Result<Vec<_>, _>>()?.concat();
        let one = |(_, of): &(Series, usize)| {
            let of = *of;
            (0..classes).map(move |class| if class == of { 1.0 } else { 0.0 })
        };
        let y: Vec<f64> = sequences.iter().flat_map(one).collect();
        let (f, lambda) = (self.features(), self.config.regularization);
        // With fewer sequences than features, singular values of the sequences are the smaller problem.
        self.readout = Some(match sequences.len() < f {
            true => {
                let mut rows = Design::new(f, classes);
                rows.add(&p, &y);
                rows.solve(lambda)?
            }
            false => {
                let mut sums = Normal::new(f, classes);
                sums.add(&p, &y);
                sums.solve(lambda)?
            }
        });
        Ok(())
    }

    /// How much speaks for each class, `[classes]`; in the mean over what was learned, the class has 1 and the
    /// others 0.
    ///
    /// # Errors
    ///
    /// If it has not been fitted, or the sequence has other columns, fewer steps than parts, or is not finite.
    pub fn scores(&self, u: &Series) -> Result<Vec<f64>, ReservoirError> {
        let readout = self.readout.as_ref().ok_or(ReservoirError::NotFitted)?;
        let z = self.sequence(u, 0)?;
        Ok(readout.apply(&z).collect())
    }

    /// The class that most speaks for; of equal ones the first.
    ///
    /// # Errors
    ///
    /// As [`scores`](Self::scores).
    pub fn classify(&self, u: &Series) -> Result<usize, ReservoirError> {
        Ok(best(&self.scores(u)?))
    }

    /// The features of a sequence, `z [F]`.
    fn sequence(&self, u: &Series, sequence: usize) -> Result<Vec<f64>, ReservoirError> {
        let steps = u.steps();
        let least = match self.config.states {
            ClassStates::Fractions { parts } => parts,
            ClassStates::Mean => 1,
        };
        u.check_columns("the input", self.network.inputs(), sequence)?;
        if steps < least {
            return Err(ReservoirError::ShortSequence { sequence, steps, least });
        }
        // Nothing is fed back, so that nobody hears the targets.
        let silent = Series::new(vec![0.0; steps * self.classes], self.classes);
        let states = self.network.features(u, &silent, &mut self.network.start())?;
        let mut z = Vec::with_capacity(self.features());
        z.push(1.0);
        match self.config.states {
            ClassStates::Fractions { parts } => {
                for part in 1..=parts {
                    z.extend_from_slice(&states.row((part * steps).div_ceil(parts) - 1)[1..]);
                }
            }
            ClassStates::Mean => {
                z.resize(self.features(), 0.0);
                for t in 0..steps {
                    for (sum, s) in z[1..].iter_mut().zip(&states.row(t)[1..]) {
                        *sum += s;
                    }
                }
                z[1..].iter_mut().for_each(|sum| *sum /= steps as f64);
            }
        }
        Ok(z)
    }
}

/// The sums of the scores of several classifiers, `[classes]`: what one of them gets wrong by its weights that were
/// drawn, others do not.
///
/// # Errors
///
/// As [`Classifier::scores`], or if there is no classifier.
///
/// # Panics
///
/// If they have different classes.
pub fn ensemble_scores(classifiers: &[Classifier], u: &Series) -> Result<Vec<f64>, ReservoirError> {
    let first = classifiers.first().ok_or(ReservoirError::NotFitted)?;
    let mut sums = vec![0.0; first.classes];
    for classifier in classifiers {
        assert_eq!(classifier.classes, sums.len(), "classifiers of the same classes");
        for (sum, score) in sums.iter_mut().zip(classifier.scores(u)?) {
            *sum += score;
        }
    }
    Ok(sums)
}

/// The class that most speaks for; of equal ones the first.
///
/// # Panics
///
/// If there are no scores.
pub fn best(scores: &[f64]) -> usize {
    let better = |best: usize, n: usize| if scores[n] > scores[best] { n } else { best };
    (1..scores.len()).fold(0, better)
}
