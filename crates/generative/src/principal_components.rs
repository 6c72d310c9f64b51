//! Principal components: what no linear code of as many numbers can be better than.
//!
//! ```text
//! C = 1/N Σ (x − x̄)ᵀ (x − x̄)          Q ← orthonormal(C · Q), again and again
//! error = 1/N Σ |x − x̄|² − |(x − x̄) · Q|²
//! ```
//!
//! Source: Golub & Van Loan, Matrix Computations, section 8.2.4 (orthogonal iteration).

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};

/// Rounds of the iteration.
const ROUNDS: usize = 500;

/// The first principal components of a set of vectors.
#[derive(Clone, Debug)]
pub struct PrincipalComponents {
    /// The mean of the vectors, `x̄`, `[1, D]`.
    pub mean: Tensor<2>,
    /// Orthonormal columns that span the components, `Q`, `[D, K]`.
    pub basis: Tensor<2>,
}

impl PrincipalComponents {
    /// The first `count` components of vectors `[N, D]`, in double precision on the CPU.
    ///
    /// # Panics
    ///
    /// If there are no vectors, or more components than features.
    pub fn of(values: &[f32], width: usize, count: usize) -> Self {
        assert!(count <= width, "{width} features have no {count} components");
        let x = matrix(values, width);
        let n = x.dims()[0] as f64;
        assert!(n > 0.0, "components of some vectors");
        let mean = x.clone().mean_dim(0);
        let x = x - mean.clone();
        let covariance = x.clone().transpose().matmul(x) / n;
        // Any start will do that is not orthogonal to a component.
        let start = (0..width * count).map(|n| ((n as f64 + 1.0) * 12.9898).sin()).collect();
        let mut basis = orthonormal(start, [width, count]);
        for _ in 0..ROUNDS {
            let next = covariance.clone().matmul(basis);
            let numbers = next.into_data().try_into_vec::<f64>().expect("numbers of 64 bits");
            basis = orthonormal(numbers, [width, count]);
        }
        Self { mean, basis }
    }

    /// The squared error of vectors `[N, D]` when they are made again from the components, each.
    ///
    /// # Panics
    ///
    /// If there are no vectors, or of another width.
    pub fn error(&self, values: &[f32]) -> f64 {
        let x = matrix(values, self.basis.dims()[0]) - self.mean.clone();
        let n = x.dims()[0] as f64;
        let kept = x.clone().matmul(self.basis.clone()).square().sum();
        let left = x.square().sum() - kept;
        left.into_scalar::<f64>() / n
    }
}

fn matrix(values: &[f32], width: usize) -> Tensor<2> {
    let values: Vec<f64> = values.iter().copied().map(f64::from).collect();
    let rows = values.len() / width;
    let data = TensorData::new(values, [rows, width]);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

/// Gram and Schmidt's columns, each made orthogonal twice.
fn orthonormal(mut numbers: Vec<f64>, [rows, columns]: [usize; 2]) -> Tensor<2> {
    let product = |numbers: &[f64], a: usize, b: usize| -> f64 {
        (0..rows).map(|row| numbers[row * columns + a] * numbers[row * columns + b]).sum()
    };
    for column in 0..columns {
        for before in (0..column).chain(0..column) {
            let along = product(&numbers, before, column);
            for row in 0..rows {
                numbers[row * columns + column] -= along * numbers[row * columns + before];
            }
        }
        let length = product(&numbers, column, column).sqrt();
        // A direction in which nothing varies: any will do, and none is no worse.
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        for row in 0..rows {
            numbers[row * columns + column] *= scale;
        }
    }
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), (&Device::flex(), DType::F64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points around a plane in four dimensions: two components leave what is across it.
    #[test]
    fn two_components_span_a_plane() {
        // Orthogonal directions with variances 9, 4, 0.25 and 0.01, turned by a Hadamard matrix.
        let spread = [3.0_f64, 2.0, 0.5, 0.1];
        let signs = [
            [1.0, 1.0, 1.0, 1.0],
            [1.0, -1.0, 1.0, -1.0],
            [1.0, 1.0, -1.0, -1.0],
            [1.0, -1.0, -1.0, 1.0],
        ];
        let mut values = Vec::new();
        // Every combination of signs once: the directions are not correlated.
        for point in 0..16 {
            let along: Vec<f64> =
                (0..4).map(|d| if point >> d & 1 == 1 { spread[d] } else { -spread[d] }).collect();
            let turned = |feature: usize| -> f64 {
                (0..4).map(|d| along[d] * signs[d][feature] / 2.0).sum()
            };
            values.extend((0..4).map(|feature| (turned(feature) + 7.0) as f32));
        }
        let error = |count| PrincipalComponents::of(&values, 4, count).error(&values);
        for (count, left) in [(1, 4.26), (2, 0.26), (3, 0.01)] {
            assert!((error(count) - left).abs() < 1e-4, "{count}: {}", error(count));
        }
        assert!(error(4).abs() < 1e-9);
    }
}
