//! Numbers for tests that do not depend on what other tests draw.

use burn::{
    module::{ModuleMapper, Param},
    prelude::*,
    tensor::{DType, Shape, TensorData},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Uniform numbers in `[-1, 1)`, the same for the same seed on every device.
pub fn random<const D: usize>(
    shape: [usize; D],
    seed: u64,
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let mut rng = StdRng::seed_from_u64(seed);
    let numbers: Vec<f64> =
        (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(numbers, Shape::from(shape)), (device, dtype))
}

/// The fill of the golden vectors: element `n` is `(((7n + 3k) mod 11) − 5) / 10`.
pub fn fill<const D: usize>(
    shape: [usize; D],
    k: usize,
    dtype: DType,
    device: &Device,
) -> Tensor<D> {
    let numbers: Vec<f64> =
        (0..shape.iter().product()).map(|n| (((7 * n + 3 * k) % 11) as f64 - 5.0) / 10.0).collect();
    Tensor::from_data(TensorData::new(numbers, Shape::from(shape)), (device, dtype))
}

/// The module in `dtype`, with matrices in ±0.6 and vectors a little off where they start: weights
/// that depend on nothing but the shapes of the module. Burn's generator is one for all tests; these
/// numbers do not come from it.
pub fn drawn<M: Module>(module: M, dtype: DType) -> M {
    struct Draw(DType, u64);
    impl ModuleMapper for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.1 += 1;
            let (id, value, mapper) = param.consume();
            let tracked = value.is_require_grad();
            let noise = random(value.dims(), self.1, self.0, &value.device());
            let value = match D {
                2 => noise * 0.6,
                _ => value.detach().cast(self.0) * 0.9 + noise * 0.05,
            };
            Param::from_mapped_value(id, value.detach().set_require_grad(tracked), mapper)
        }
    }
    module.map(&mut Draw(dtype, 50))
}

/// The module with its matrices drawn anew, uniformly and as wide as Glorot and Bengio (2010) have it,
/// from `seed` alone: for models that must learn, whatever other tests draw from Burn's generator.
pub fn redrawn<M: Module>(module: M, seed: u64) -> M {
    struct Redraw(u64);
    impl ModuleMapper for Redraw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (id, value, mapper) = param.consume();
            let (dims, tracked) = (value.dims(), value.is_require_grad());
            let value = match D {
                2 => {
                    let width = (6.0 / (dims[0] + dims[1]) as f64).sqrt();
                    random(dims, self.0, value.dtype(), &value.device()) * width
                }
                _ => value,
            };
            Param::from_mapped_value(id, value.detach().set_require_grad(tracked), mapper)
        }
    }
    module.map(&mut Redraw(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fill_is_the_one_of_the_golden_vectors() {
        let device = Device::flex();
        let a = fill([2, 2], 1, DType::F64, &device);
        crate::assert_close(&a, [[-0.2, 0.5], [0.1, -0.3]], 1e-15);
        crate::assert_close(&fill([2], 3, DType::F64, &device), [0.4, 0.0], 1e-15);
    }
}
