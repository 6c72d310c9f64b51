//! What a model of pictures makes, to be looked at.

use std::path::Path;

use recurrent_generative::{PictureBatch, PictureModel, Pictures, Vae, standard_quantile};
use recurrent_training::Moment;

use crate::{
    atomic::{WriteError, make_folder, write_atomically},
    folder::{FolderError, ModelFolder},
    picture::{Grid, PictureError, scatter},
};

/// Pictures in a row.
const ACROSS: usize = 10;

/// Steps from a picture to another, and along a dimension.
const STEPS: usize = 11;

/// Rows of what goes from a picture to another.
const PAIRS: usize = 6;

/// How far a dimension is followed, each way, in standard deviations of the prior.
const FAR: f32 = 3.0;

/// Places along each side of a map of what codes stand for.
const PLACES: usize = 12;

/// Points of a map of codes.
const POINTS: usize = 2000;

/// Pictures that are shown, with what a model is told of them.
#[derive(Clone, Debug)]
pub struct Shown {
    /// As the model sees them.
    pub pictures: Pictures,
    /// Whose labels count.
    pub labels: Labels,
}

/// What a model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Nothing.
    Unread,
    /// One of so many things.
    Of(usize),
}

/// One file.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Of greys, as PNG.
    Grey(Grid),
    /// Of lines and points, as SVG.
    Svg(String),
}

/// Files by their names without an ending.
pub type Drawings = Vec<(&'static str, Drawing)>;

impl Shown {
    /// Every picture of a row above what the model makes of it again.
    pub fn reconstructions<M: PictureModel>(&self, model: &M) -> Drawing {
        let some = self.pictures.chosen(&self.varied(ACROSS));
        let batch = batch(&some);
        let made = model.pictures_of(&model.codes_of(&batch), self.told(&batch));
        let across = some.count();
        self.grid(across, [batch.values, made].concat())
    }

    /// From a picture to another, a row for each pair: the codes between their codes.
    pub fn interpolations<M: PictureModel>(&self, model: &M) -> Drawing {
        let ends = self.pictures.chosen(&self.pairs().concat());
        let codes = model.codes_of(&batch(&ends));
        let width = model.d_code();
        let (mut between, mut labels) = (Vec::new(), Vec::new());
        for (n, pair) in codes.chunks(2 * width).enumerate() {
            let (from, to) = pair.split_at(width);
            for step in 0..STEPS {
                let share = step as f32 / (STEPS - 1) as f32;
                between.extend(from.iter().zip(to).map(|(a, b)| a + (b - a) * share));
                labels.extend(ends.labels.as_ref().map(|labels| labels[2 * n]));
            }
        }
        self.grid(STEPS, model.pictures_of(&between, self.read(&labels)))
    }

    /// Rows of draws from the prior; of a model that is told, a row for each thing.
    pub fn samples(&self, model: &Vae, at: &Moment) -> Drawing {
        let rows = match self.labels {
            Labels::Unread => ACROSS,
            Labels::Of(classes) => classes,
        };
        let labels: Vec<usize> = (0..rows).flat_map(|row| [row; ACROSS]).collect();
        let codes = model.prior(labels.len(), &mut at.rng());
        self.grid(ACROSS, model.pictures_of(&codes, self.read(&labels)))
    }

    /// A row for each of the dimensions `active`: the code of a picture, but for this dimension, which
    /// goes from one end of the prior to the other.
    pub fn traversal(&self, model: &Vae, active: &[usize]) -> Drawing {
        let one = batch(&self.pictures.chosen(&self.varied(1)));
        let code = model.codes_of(&one);
        let mut codes = Vec::new();
        for dimension in active {
            for step in 0..STEPS {
                let mut moved = code.clone();
                moved[*dimension] = FAR * (2.0 * step as f32 / (STEPS - 1) as f32 - 1.0);
                codes.extend(moved);
            }
        }
        let label = one.labels.as_ref().map_or(0, |labels| labels[0]);
        let labels = vec![label; active.len() * STEPS];
        self.grid(STEPS, model.pictures_of(&codes, self.read(&labels)))
    }

    /// The codes of two numbers, coloured by what the pictures show.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn.
    pub fn latent_map<M: PictureModel>(&self, model: &M) -> Result<Drawing, PictureError> {
        let points: Vec<[f64; 2]> =
            self.codes(model).chunks(2).map(|code| [code[0], code[1]].map(f64::from)).collect();
        let labels = self.pictures.labels.as_deref().unwrap_or_default();
        Ok(Drawing::Svg(scatter("Codes of the pictures", &points, labels)?))
    }

    /// What the codes of two numbers stand for, from the quantiles of `along`, one list for each number:
    /// the first to the right, the second upward.
    pub fn manifold<M: PictureModel>(&self, model: &M, along: &[Vec<f32>; 2]) -> Drawing {
        let mut codes = Vec::new();
        for second in along[1].iter().rev() {
            codes.extend(along[0].iter().flat_map(|first| [*first, *second]));
        }
        let labels = vec![0; codes.len() / 2];
        self.grid(along[0].len(), model.pictures_of(&codes, self.read(&labels)))
    }

    /// The quantiles of the codes that the pictures have.
    pub fn spread<M: PictureModel>(&self, model: &M) -> [Vec<f32>; 2] {
        let codes = self.codes(model);
        [0, 1].map(|number| {
            let mut all: Vec<f32> = codes.iter().skip(number).step_by(2).copied().collect();
            all.sort_by(f32::total_cmp);
            let place = |share: f64| all[(share * all.len() as f64) as usize];
            shares().map(place).collect()
        })
    }

    fn codes<M: PictureModel>(&self, model: &M) -> Vec<f32> {
        model.codes_of(&batch(&self.pictures.first(POINTS)))
    }

    fn grid(&self, across: usize, values: Vec<f32>) -> Drawing {
        let Pictures { rows, columns, .. } = self.pictures;
        Drawing::Grey(Grid { rows, columns, across, values })
    }

    /// `labels`, if the model reads them.
    fn read<'a>(&self, labels: &'a [usize]) -> Option<&'a [usize]> {
        match self.labels {
            Labels::Unread => None,
            Labels::Of(_) => Some(labels),
        }
    }

    fn told<'a>(&self, batch: &'a PictureBatch) -> Option<&'a [usize]> {
        self.read(batch.labels.as_deref().unwrap_or_default())
    }

    /// Pictures that show different things, if somebody says what they show, and else at equal distances.
    fn varied(&self, count: usize) -> Vec<usize> {
        let all = self.pictures.count();
        let count = count.min(all);
        let Some(labels) = &self.pictures.labels else {
            return (0..count).map(|n| n * all / count).collect();
        };
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        let mut round = 1;
        // The first of each label, then the second of each, and so on.
        while chosen.len() < count {
            let mut seen = vec![0; labels.iter().max().map_or(0, |most| most + 1)];
            let mut first: Vec<usize> = Vec::new();
            for (n, label) in labels.iter().enumerate() {
                seen[*label] += 1;
                if seen[*label] == round {
                    first.push(n);
                }
            }
            first.sort_by_key(|n| labels[*n]);
            chosen.extend(first);
            round += 1;
        }
        chosen.truncate(count);
        chosen
    }

    /// Pairs of pictures; for a model that is told, of the same thing.
    fn pairs(&self) -> Vec<[usize; 2]> {
        let pairs = match (self.labels, &self.pictures.labels) {
            (Labels::Of(classes), Some(labels)) => {
                let pair = |class: usize| {
                    let mut of_class = (0..labels.len()).filter(|n| labels[*n] == class);
                    Some([of_class.next()?, of_class.next()?])
                };
                (0..classes).filter_map(pair).take(PAIRS).collect()
            }
            _ => {
                let chosen = self.varied(2 * PAIRS);
                chosen.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect::<Vec<_>>()
            }
        };
        // A single picture is its own pair.
        if pairs.is_empty() { vec![[0, 0]] } else { pairs }
    }
}

/// Places of the standard normal prior between which equally many draws fall.
pub fn prior_quantiles() -> [Vec<f32>; 2] {
    let places: Vec<f32> = shares().map(|share| standard_quantile(share) as f32).collect();
    [places.clone(), places]
}

fn shares() -> impl Iterator<Item = f64> {
    (0..PLACES).map(|n| (n as f64 + 0.5) / PLACES as f64)
}

fn batch(pictures: &Pictures) -> PictureBatch {
    PictureBatch {
        values: pictures.values.clone(),
        width: pictures.width(),
        labels: pictures.labels.clone(),
    }
}

/// Puts drawings among the pictures of a model.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write(drawings: &Drawings, folder: &ModelFolder) -> Result<(), FolderError> {
    for (name, drawing) in drawings {
        match drawing {
            Drawing::Svg(svg) => folder.write_picture(name, svg)?,
            Drawing::Grey(grid) => folder.write_png(name, &grid.png())?,
        };
    }
    Ok(())
}

/// Puts drawings into a folder that is no model's.
///
/// # Errors
///
/// If a file cannot be written.
pub fn write_into(drawings: &Drawings, folder: &Path) -> Result<(), WriteError> {
    make_folder(folder)?;
    for (name, drawing) in drawings {
        let (ending, bytes) = match drawing {
            Drawing::Svg(svg) => ("svg", svg.clone().into_bytes()),
            Drawing::Grey(grid) => ("png", grid.png()),
        };
        write_atomically(&folder.join(format!("{name}.{ending}")), &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(labels: Option<Vec<usize>>, read: Labels) -> Shown {
        let count = labels.as_ref().map_or(5, Vec::len);
        let values = (0..count).map(|n| n as f32 / 10.0).collect();
        Shown { pictures: Pictures { rows: 1, columns: 1, values, labels }, labels: read }
    }

    #[test]
    fn pictures_that_are_shown_are_varied() {
        assert_eq!(shown(None, Labels::Unread).varied(3), [0, 1, 3]);
        let labels = Some(vec![2, 2, 0, 1, 0]);
        let some = shown(labels.clone(), Labels::Unread);
        assert_eq!(some.varied(3), [2, 3, 0]);
        assert_eq!(some.varied(9), [2, 3, 0, 4, 1]);
        assert_eq!(some.pairs(), [[2, 3], [0, 4]]);
        assert_eq!(shown(labels, Labels::Of(3)).pairs(), [[2, 4], [0, 1]]);
        assert_eq!(shown(Some(vec![1]), Labels::Of(2)).pairs(), [[0, 0]]);
    }

    #[test]
    fn quantiles_rise_and_are_even() {
        let [first, second] = prior_quantiles();
        assert_eq!(first, second);
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
        assert!((first[0] + first[PLACES - 1]).abs() < 1e-5);
    }
}
