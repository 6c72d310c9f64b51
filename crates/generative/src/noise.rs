//! What is drawn by chance: on the host, so that the same moment of a training draws the same numbers
//! on every device.

use burn::{prelude::*, tensor::TensorData};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// Standard normal noise of the shape, dtype and device of `like`.
pub fn normal(rng: &mut impl Rng, like: &Tensor<2>) -> Tensor<2> {
    filled(like, || StandardNormal.sample(rng))
}

/// Coins of the shape, dtype and device of `like`, each 1 with the chance `on`.
pub fn coins(rng: &mut impl Rng, on: f64, like: &Tensor<2>) -> Tensor<2> {
    filled(like, || f32::from(u8::from(rng.random::<f64>() < on)))
}

fn filled(like: &Tensor<2>, mut draw: impl FnMut() -> f32) -> Tensor<2> {
    let [rows, columns] = like.dims();
    let numbers: Vec<f32> = (0..rows * columns).map(|_| draw()).collect();
    let data = TensorData::new(numbers, [rows, columns]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

#[cfg(test)]
mod tests {
    use recurrent_training::Moment;

    use super::*;

    /// Mean and variance within four standard errors, and the same numbers from the same moment.
    #[test]
    fn draws_have_their_moments() {
        let rng = || Moment { seed: 1, epoch: 2, step: 3 }.rng();
        let like = Tensor::<2>::zeros([200, 100], &Device::flex());
        let n = 20_000.0_f64;
        let numbers = |x: Tensor<2>| x.into_data().iter::<f64>().collect::<Vec<f64>>();
        let drawn = numbers(normal(&mut rng(), &like));
        let mean = drawn.iter().sum::<f64>() / n;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / n;
        assert!(mean.abs() < 4.0 / n.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{variance}");
        assert_eq!(drawn, numbers(normal(&mut rng(), &like)));
        let heads = numbers(coins(&mut rng(), 0.2, &like));
        let share = heads.iter().sum::<f64>() / n;
        assert!((share - 0.2).abs() < 4.0 * (0.16 / n).sqrt(), "{share}");
        assert!(heads.iter().all(|coin| *coin == 0.0 || *coin == 1.0));
    }
}
