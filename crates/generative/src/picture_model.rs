//! Models of pictures as one looks at them: codes and pictures are numbers on the host, and what is
//! measured is a mean over a set.
//!
//! ```text
//! −ELBO   = 1/N Σ_n −ln p(x_n|z_n) + KL(q(z|x_n) ‖ p(z))            one draw z_n a picture
//! IW_K    = 1/N Σ_n ln 1/K Σ_k w_nk                                 in pieces of a few hundred draws
//! ```

use burn::{prelude::*, tensor::TensorData};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use recurrent_training::Learn;

use crate::{
    Autoencoder, Latents, Parts, PictureBatch, PictureBatches, Reconstruction, Vae, one_hot,
    reconstruction::chances,
};

/// As many draws are decoded at once where many are asked for.
const DRAWS: usize = 500;

/// A model that makes a code of a picture and a picture of a code.
pub trait PictureModel: Learn<Batch = PictureBatch, Carried = ()> {
    /// Features of a code, `Z`.
    fn d_code(&self) -> usize;

    /// The code of each picture, of a variational model the mean of its posterior: `[B, Z]`, row by row.
    ///
    /// # Panics
    ///
    /// If the pictures are not such as the model reads.
    fn codes_of(&self, batch: &PictureBatch) -> Vec<f32>;

    /// The picture of each code, `[B, Z]`, row by row, and what it is to show, if the model is told:
    /// `[B, D]`, in `[0, 1]`.
    ///
    /// # Panics
    ///
    /// If the codes are of another width, or a model that is told is not.
    fn pictures_of(&self, codes: &[f32], labels: Option<&[usize]>) -> Vec<f32>;
}

/// The bound of a set of pictures in its two parts, in nats a picture.
#[derive(Clone, Debug)]
pub struct MeasuredBound {
    /// `−ln p(x|z)`, by one draw a picture.
    pub reconstruction: f64,
    /// `KL(q(z|x) ‖ p(z))`.
    pub kl: f64,
    /// What the latent variable is used for.
    pub latents: Latents,
}

impl MeasuredBound {
    /// `−ELBO`.
    pub fn nll(&self) -> f64 {
        self.reconstruction + self.kl
    }
}

impl PictureModel for Vae {
    fn d_code(&self) -> usize {
        self.config.d_latent
    }

    fn codes_of(&self, batch: &PictureBatch) -> Vec<f32> {
        let x = batch.tensor(&self.like());
        numbers(self.encode(x, self.shows(batch).as_ref()).mean)
    }

    fn pictures_of(&self, codes: &[f32], labels: Option<&[usize]>) -> Vec<f32> {
        let like = self.like();
        let shows = match self.classes {
            0 => None,
            classes => labels.map(|labels| one_hot(labels, classes, &like)),
        };
        let z = rows(codes, self.d_code(), &like);
        numbers(self.pictures(z, shows.as_ref()).clamp(0.0, 1.0))
    }
}

impl PictureModel for Autoencoder {
    fn d_code(&self) -> usize {
        self.config.d_code
    }

    fn codes_of(&self, batch: &PictureBatch) -> Vec<f32> {
        numbers(self.encode(batch.tensor(&self.like())))
    }

    fn pictures_of(&self, codes: &[f32], _: Option<&[usize]>) -> Vec<f32> {
        let y = self.decode(rows(codes, self.d_code(), &self.like()));
        numbers(match self.config.reconstruction {
            Reconstruction::CrossEntropy => chances(y),
            Reconstruction::SquaredError => y.clamp(0.0, 1.0),
        })
    }
}

impl Vae {
    /// The bound of all pictures of `batches`.
    ///
    /// # Panics
    ///
    /// If there are no pictures, or not such as the model reads.
    pub fn measure(&self, batches: &PictureBatches, rng: &mut impl Rng) -> MeasuredBound {
        let (mut reconstruction, mut kl, mut latents) = (0.0, 0.0, Latents::default());
        for batch in batches.all() {
            let parts = self.parts_of(&batch, rng);
            let Parts { reconstruction: of_batch, kl: by_dimension, posterior } = parts;
            reconstruction += sum(of_batch);
            kl += sum(by_dimension.clone().sum_dim(1).squeeze_dim(1));
            latents.add(&posterior, by_dimension, rng);
        }
        let count = latents.examples() as f64;
        MeasuredBound { reconstruction: reconstruction / count, kl: kl / count, latents }
    }

    /// `IW_K` for `samples` draws a picture, the mean over all pictures of `batches`.
    ///
    /// # Panics
    ///
    /// If there are no pictures, or not such as the model reads, or `samples` is 0.
    pub fn measure_importance(
        &self,
        batches: &PictureBatches,
        samples: usize,
        rng: &mut impl Rng,
    ) -> f64 {
        assert!(samples > 0, "a mean over draws needs some");
        let (mut total, mut count) = (0.0, 0);
        for batch in batches.all() {
            let at_once = (DRAWS / samples).max(1);
            for from in (0..batch.size()).step_by(at_once) {
                let piece = batch.part(from, at_once);
                total += self.importance_of(&piece, samples, rng);
                count += piece.size();
            }
        }
        total / count as f64
    }

    /// `IW_K` of a few pictures, summed.
    fn importance_of(&self, batch: &PictureBatch, samples: usize, rng: &mut impl Rng) -> f64 {
        let (x, shows) = (batch.tensor(&self.like()), self.shows(batch));
        let mut weights = vec![Vec::with_capacity(samples); batch.size()];
        for from in (0..samples).step_by(DRAWS) {
            let draws = DRAWS.min(samples - from);
            let drawn = self.log_weights(x.clone(), shows.as_ref(), draws, rng);
            let drawn: Vec<f64> = drawn.into_data().iter::<f64>().collect();
            for (all, some) in weights.iter_mut().zip(drawn.chunks(draws)) {
                all.extend_from_slice(some);
            }
        }
        let bound = |w: &Vec<f64>| {
            let most = w.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = w.iter().map(|w| (w - most).exp()).sum();
            most + (sum / samples as f64).ln()
        };
        weights.iter().map(bound).sum()
    }

    /// Codes from the prior, `[count, Z]`, row by row.
    pub fn prior(&self, count: usize, rng: &mut impl Rng) -> Vec<f32> {
        let normal = |_| StandardNormal.sample(rng);
        (0..count * self.d_code()).map(normal).collect()
    }
}

fn rows(numbers: &[f32], width: usize, like: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(numbers.to_vec(), [numbers.len() / width, width]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

fn numbers(x: Tensor<2>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn sum(x: Tensor<1>) -> f64 {
    x.into_data().iter::<f64>().sum()
}

/// The place below which the standard normal distribution has the share `p`, by halving an interval:
/// its density is summed by Simpson's rule.
///
/// # Panics
///
/// If `p` is not in `(0, 1)`.
pub fn standard_quantile(p: f64) -> f64 {
    assert!(p > 0.0 && p < 1.0, "a share in (0, 1), got {p}");
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let below = |x: f64| {
        const PARTS: usize = 200;
        let step = x / PARTS as f64;
        let term = |n: usize| {
            let weight = match n {
                0 | PARTS => 1.0,
                n if n % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * density(n as f64 * step)
        };
        0.5 + (0..=PARTS).map(term).sum::<f64>() * step / 3.0
    };
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use recurrent_training::{Moment, validation_loss};

    use super::*;
    use crate::{AutoencoderConfig, Condition, Pictures, Shown, VaeConfig};

    fn at() -> Moment {
        Moment { seed: 1, epoch: 0, step: 0 }
    }

    /// Thirty pictures of two by two with labels below 3.
    fn pictures() -> Pictures {
        let greys = (0..120).map(|n| (n * 37 % 101) as f32 / 100.0).collect();
        Pictures {
            rows: 2,
            columns: 2,
            values: greys,
            labels: Some((0..30).map(|n| n % 3).collect()),
        }
    }

    fn vae(condition: Condition) -> Vae {
        let config =
            VaeConfig { d_hidden: vec![8], d_latent: 2, condition, ..VaeConfig::default() };
        Device::flex().seed(1);
        config.init(4, 3, &Device::flex())
    }

    /// Both parts are means over the set, however it is cut into batches.
    #[test]
    fn a_bound_is_measured_as_it_is_learned() {
        let model = vae(Condition::None);
        let of = |size| {
            let batches = PictureBatches::fixed(pictures(), size, Shown::Grey);
            model.measure(&batches, &mut at().rng())
        };
        let (all, cut) = (of(30), of(7));
        assert!((all.kl - cut.kl).abs() < 1e-5, "{} and {}", all.kl, cut.kl);
        let batches = PictureBatches::fixed(pictures(), 30, Shown::Grey);
        let learned = validation_loss(&model, &batches, &at()).nll;
        assert!((all.nll() - learned).abs() < 1e-4, "{} and {learned}", all.nll());
        assert_eq!(all.latents.examples(), 30);
        assert!((all.latents.report().kl - all.kl).abs() < 1e-5);
    }

    /// With one draw it is the bound up to chance; with many more it is above, and cutting does not matter.
    #[test]
    fn importance_is_measured_in_pieces() {
        let model = vae(Condition::Label);
        let batches = PictureBatches::fixed(pictures(), 11, Shown::Binary);
        let iw = |samples| model.measure_importance(&batches, samples, &mut at().rng());
        let bound = -model.measure(&batches, &mut at().rng()).nll();
        let (few, many) = (iw(60), iw(2 * DRAWS + 1));
        assert!(few > bound - 0.05 && (few - many).abs() < 0.05, "{bound} {few} {many}");
    }

    #[test]
    fn codes_and_pictures_are_numbers() {
        let device = Device::flex();
        let one = PictureBatches::fixed(pictures(), 30, Shown::Grey).all().next().expect("a batch");
        let model = vae(Condition::Label);
        let codes = model.codes_of(&one);
        assert_eq!(codes.len(), 60);
        let shown = model.pictures_of(&codes, one.labels.as_deref());
        assert_eq!(shown.len(), 120);
        assert_ne!(shown, model.pictures_of(&codes, Some(&[0; 30])));
        assert!(shown.iter().all(|grey| (0.0..=1.0).contains(grey)));
        let plain =
            AutoencoderConfig { d_hidden: vec![], d_code: 3, ..AutoencoderConfig::default() };
        let plain = plain.init(4, &device);
        assert_eq!(plain.pictures_of(&plain.codes_of(&one), None).len(), 120);
        assert_eq!(model.prior(5, &mut at().rng()), model.prior(5, &mut at().rng()));
        assert_eq!(model.prior(5, &mut at().rng()).len(), 10);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, x) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306)] {
            assert!((standard_quantile(p) - x).abs() < 1e-7, "{p}: {}", standard_quantile(p));
        }
    }
}
