//! Pictures as rows of numbers, and batches of them.
//!
//! A picture of greys can be learned from as it is, or as black and white: every pixel is then 1 with
//! the chance of its grey. While learning it is drawn anew every time, so that no model learns one
//! drawing by heart; what is measured is drawn once. Figures for grey pictures and for drawn ones
//! cannot be compared.
//!
//! Source of drawing anew: Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders,
//! section 5.

use std::sync::Arc;

use burn::{prelude::*, tensor::TensorData};
use rand::{RngExt, seq::SliceRandom};
use recurrent_training::{Batches, Moment, OutOfRange};
use serde::{Deserialize, Serialize};

/// Pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// Pixels from top to bottom.
    pub rows: usize,
    /// Pixels from left to right.
    pub columns: usize,
    /// Greys in `[0, 1]`, `[N, rows · columns]`, picture by picture, row by row.
    pub values: Vec<f32>,
    /// What each shows, below the number of classes; none if nobody says.
    pub labels: Option<Vec<usize>>,
}

/// How a picture is shown to a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As it is.
    #[default]
    Grey,
    /// In black and white, every pixel white with the chance of its grey.
    Binary,
}

/// Small changes after which a picture shows the same: drawn anew for every picture of every epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distortion {
    /// Pixels that it is moved by at most, each way, at least 0.
    pub shift: f32,
    /// Degrees that it is turned by at most, each way, at least 0.
    pub turn: f32,
    /// The share that it becomes larger or smaller by at most, in `[0, 1)`.
    pub scale: f32,
}

/// What a model of pictures learns from in one step.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureBatch {
    /// `[B, D]`, row by row.
    pub values: Vec<f32>,
    /// Features, `D`.
    pub width: usize,
    /// What each shows.
    pub labels: Option<Vec<usize>>,
}

/// Pictures in batches.
#[derive(Clone, Debug)]
pub struct PictureBatches {
    pictures: Arc<Pictures>,
    size: usize,
    shown: Shown,
    order: Order,
}

/// In which order pictures come, and what is drawn of them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// As they are, and drawn once and for all.
    Fixed,
    /// Shuffled, distorted and drawn anew in every epoch.
    Drawn(Distortion),
}

/// What a batch is made of.
#[derive(Clone, Debug)]
pub struct Drawn {
    chosen: Vec<usize>,
    at: Moment,
}

impl Distortion {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        for (field, value) in [("shift", self.shift), ("turn", self.turn)] {
            let holds = |value: &f32| value.is_finite() && *value >= 0.0;
            OutOfRange::check(field, value, holds, "at least 0")?;
        }
        OutOfRange::check("scale", self.scale, |scale| (0.0..1.0).contains(scale), "in [0, 1)")
    }

    /// `picture`, moved, turned and scaled by some of what is allowed; black comes in from outside.
    fn of(&self, picture: &[f32], [rows, columns]: [usize; 2], rng: &mut impl RngExt) -> Vec<f32> {
        let mut within = |most: f32| (2.0 * rng.random::<f32>() - 1.0) * most;
        let (down, right) = (within(self.shift), within(self.shift));
        let (angle, scale) = (within(self.turn).to_radians(), 1.0 + within(self.scale));
        let (sin, cos) = (angle.sin() / scale, angle.cos() / scale);
        let middle = [(rows as f32 - 1.0) / 2.0, (columns as f32 - 1.0) / 2.0];
        let grey = |row: isize, column: isize| {
            let inside =
                row >= 0 && column >= 0 && row < rows as isize && column < columns as isize;
            if inside { picture[row as usize * columns + column as usize] } else { 0.0 }
        };
        let pixel = |n: usize| {
            let (y, x) = ((n / columns) as f32 - middle[0], (n % columns) as f32 - middle[1]);
            let (y, x) = (y - down, x - right);
            let from = [cos * y - sin * x + middle[0], sin * y + cos * x + middle[1]];
            // Between four pixels, by how near they are.
            let (row, column) = (from[0].floor(), from[1].floor());
            let (low, aside) = (from[0] - row, from[1] - column);
            let (row, column) = (row as isize, column as isize);
            let top = (1.0 - aside) * grey(row, column) + aside * grey(row, column + 1);
            let bottom = (1.0 - aside) * grey(row + 1, column) + aside * grey(row + 1, column + 1);
            ((1.0 - low) * top + low * bottom).clamp(0.0, 1.0)
        };
        (0..rows * columns).map(pixel).collect()
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Pictures {
    /// Pixels of a picture, `D`.
    pub fn width(&self) -> usize {
        self.rows * self.columns
    }

    /// How many there are, `N`.
    pub fn count(&self) -> usize {
        self.values.len() / self.width().max(1)
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn picture(&self, n: usize) -> &[f32] {
        &self.values[n * self.width()..(n + 1) * self.width()]
    }

    /// The first `count` of them, or all.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        self.split(count).0
    }

    /// The first `count` of them, or all, and the others.
    #[must_use]
    pub fn split(&self, count: usize) -> (Self, Self) {
        let count = count.min(self.count());
        let (first, others) = self.values.split_at(count * self.width());
        let labels = self.labels.as_ref().map(|labels| labels.split_at(count));
        let part = |values: &[f32], labels: Option<&[usize]>| Self {
            values: values.to_vec(),
            labels: labels.map(<[usize]>::to_vec),
            ..*self
        };
        (part(first, labels.map(|labels| labels.0)), part(others, labels.map(|labels| labels.1)))
    }

    /// Those with the numbers `chosen`, in their order.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[must_use]
    pub fn chosen(&self, chosen: &[usize]) -> Self {
        Self {
            values: chosen.iter().flat_map(|n| self.picture(*n)).copied().collect(),
            labels: self.labels.as_ref().map(|all| chosen.iter().map(|n| all[*n]).collect()),
            ..*self
        }
    }
}

impl PictureBatch {
    /// How many there are, `B`.
    pub fn size(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// `count` of them, or as many as there are, from the number `from` on.
    #[must_use]
    pub fn part(&self, from: usize, count: usize) -> Self {
        let to = (from + count).min(self.size());
        Self {
            values: self.values[from * self.width..to * self.width].to_vec(),
            width: self.width,
            labels: self.labels.as_ref().map(|labels| labels[from..to].to_vec()),
        }
    }

    /// `[B, D]` on a device and in a dtype.
    pub fn tensor(&self, like: &Tensor<2>) -> Tensor<2> {
        let data = TensorData::new(self.values.clone(), [self.size(), self.width]);
        Tensor::from_data(data, (&like.device(), like.dtype()))
    }

    /// What each shows, as a row with a single 1: `[B, classes]`; none if nobody says.
    ///
    /// # Panics
    ///
    /// If a label is not below `classes`.
    pub fn one_hot(&self, classes: usize, like: &Tensor<2>) -> Option<Tensor<2>> {
        self.labels.as_ref().map(|labels| one_hot(labels, classes, like))
    }
}

/// Rows with a single 1 each, `[B, classes]`, on the device and in the dtype of `like`.
///
/// # Panics
///
/// If a label is not below `classes`.
pub fn one_hot(labels: &[usize], classes: usize, like: &Tensor<2>) -> Tensor<2> {
    let mut rows = vec![0.0_f32; labels.len() * classes];
    for (row, label) in labels.iter().enumerate() {
        assert!(*label < classes, "label {label} of {classes} classes");
        rows[row * classes + label] = 1.0;
    }
    let data = TensorData::new(rows, [labels.len(), classes]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

impl PictureBatches {
    /// Pictures to be measured on: in their order, and drawn once.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    pub fn fixed(pictures: Pictures, size: usize, shown: Shown) -> Self {
        assert!(size > 0, "a batch has pictures");
        Self { pictures: Arc::new(pictures), size, shown, order: Order::Fixed }
    }

    /// Pictures to learn from: shuffled, distorted and drawn anew in every epoch.
    ///
    /// # Panics
    ///
    /// If `size` is 0.
    pub fn drawn(pictures: Pictures, size: usize, shown: Shown, distortion: Distortion) -> Self {
        assert!(size > 0, "a batch has pictures");
        let order = Order::Drawn(distortion);
        Self { pictures: Arc::new(pictures), size, shown, order }
    }

    /// All batches of the first epoch.
    pub fn all(&self) -> impl Iterator<Item = PictureBatch> {
        self.epoch(1, 1).into_iter().map(|plan| self.batch(&plan))
    }
}

impl Batches for PictureBatches {
    type Plan = Drawn;
    type Batch = PictureBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Drawn> {
        let mut order: Vec<usize> = (0..self.pictures.count()).collect();
        let moment = |step| match self.order {
            Order::Fixed => Moment { seed: 1, epoch: 0, step },
            Order::Drawn(_) => Moment { seed, epoch, step },
        };
        if let Order::Drawn(_) = self.order {
            order.shuffle(&mut moment(usize::MAX).rng());
        }
        let chunks = order.chunks(self.size).enumerate();
        chunks.map(|(n, chosen)| Drawn { chosen: chosen.to_vec(), at: moment(n) }).collect()
    }

    fn batch(&self, Drawn { chosen, at }: &Drawn) -> PictureBatch {
        let Pictures { rows, columns, ref labels, .. } = *self.pictures;
        let mut rng = at.rng();
        let mut values = Vec::with_capacity(chosen.len() * self.pictures.width());
        for n in chosen {
            let picture = self.pictures.picture(*n);
            match self.order {
                Order::Drawn(distortion) if !distortion.is_none() => {
                    values.extend(distortion.of(picture, [rows, columns], &mut rng));
                }
                Order::Drawn(_) | Order::Fixed => values.extend_from_slice(picture),
            }
        }
        if self.shown == Shown::Binary {
            for value in &mut values {
                *value = f32::from(u8::from(rng.random::<f32>() < *value));
            }
        }
        let labels = labels.as_ref().map(|labels| chosen.iter().map(|n| labels[*n]).collect());
        PictureBatch { values, width: rows * columns, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five pictures of two by three, each of one grey, and its number as its label.
    fn pictures() -> Pictures {
        let greys = (0..5).flat_map(|n| [n as f32 / 4.0; 6]).collect();
        Pictures { rows: 2, columns: 3, values: greys, labels: Some((0..5).collect()) }
    }

    #[test]
    fn an_epoch_has_every_picture_once() {
        let drawn = PictureBatches::drawn(pictures(), 2, Shown::Grey, Distortion::default());
        for epoch in 1..4 {
            let batches: Vec<_> = drawn.epoch(1, epoch).iter().map(|p| drawn.batch(p)).collect();
            assert_eq!(batches.iter().map(PictureBatch::size).collect::<Vec<_>>(), [2, 2, 1]);
            let mut labels: Vec<usize> = Vec::new();
            for batch in &batches {
                let of_batch = batch.labels.as_ref().unwrap();
                for (label, values) in of_batch.iter().zip(batch.values.chunks(6)) {
                    assert_eq!(values, [*label as f32 / 4.0; 6]);
                }
                labels.extend(of_batch);
            }
            labels.sort_unstable();
            assert_eq!(labels, [0, 1, 2, 3, 4]);
        }
    }

    /// Black stays black and white stays white; what is between is drawn with its chance, anew in every
    /// epoch, but always alike where it is to be measured.
    #[test]
    fn pixels_are_drawn_with_the_chance_of_their_grey() {
        let pictures =
            Pictures { rows: 1, columns: 3, values: [0.0, 0.3, 1.0].repeat(4000), labels: None };
        let drawn = |seed, epoch| {
            let batches =
                PictureBatches::drawn(pictures.clone(), 4000, Shown::Binary, Distortion::default());
            batches.batch(&batches.epoch(seed, epoch)[0]).values
        };
        let values = drawn(1, 1);
        let share = |column: usize| values[column..].iter().step_by(3).sum::<f32>() / 4000.0;
        assert_eq!((share(0), share(2)), (0.0, 1.0));
        // Four standard errors of a share of 0.3.
        assert!((share(1) - 0.3).abs() < 4.0 * (0.21_f32 / 4000.0).sqrt(), "{}", share(1));
        assert_eq!(values, drawn(1, 1));
        assert_ne!(values, drawn(1, 2));
        assert_ne!(values, drawn(2, 1));
        let fixed = PictureBatches::fixed(pictures.clone(), 4000, Shown::Binary);
        let of = |seed, epoch| fixed.batch(&fixed.epoch(seed, epoch)[0]).values;
        assert_eq!(of(1, 1), of(2, 3));
    }

    /// Nothing allowed changes nothing; a move by whole pixels moves them; a turn keeps the middle.
    #[test]
    fn distortions_move_and_turn() {
        let mut rng = Moment { seed: 1, epoch: 1, step: 1 }.rng();
        let mut picture = vec![0.0; 25];
        picture[12] = 1.0;
        picture[13] = 0.5;
        let same = Distortion::default().of(&picture, [5, 5], &mut rng);
        assert_eq!(same, picture);
        let turned = Distortion { turn: 90.0, ..Distortion::default() };
        for _ in 0..20 {
            let turned = turned.of(&picture, [5, 5], &mut rng);
            assert!((turned[12] - 1.0).abs() < 1e-6, "{turned:?}");
        }
        let mut seen = [f32::MAX, f32::MIN];
        let moved = Distortion { shift: 1.0, ..Distortion::default() };
        for _ in 0..200 {
            let moved = moved.of(&picture, [5, 5], &mut rng);
            let mass: f32 = moved.iter().sum();
            assert!((mass - 1.5).abs() < 1e-5, "nothing has left: {mass}");
            let column: f32 = moved.iter().enumerate().map(|(n, v)| (n % 5) as f32 * v).sum();
            let by = column / mass - (2.0 + 0.5 / 1.5);
            seen = [seen[0].min(by), seen[1].max(by)];
        }
        assert!(seen[0] > -1.001 && seen[0] < -0.9 && seen[1] < 1.001 && seen[1] > 0.9, "{seen:?}");
    }
}
