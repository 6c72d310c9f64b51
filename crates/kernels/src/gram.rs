//! Sums of outer products of rows: what the normal equations of a linear regression are made of.
//!
//! ```text
//! G += Σ_m p(m)ᵀ · p(m)          C += Σ_m y(m)ᵀ · p(m)
//! ```
//!
//! The terms have the order of the rows, whatever the number of threads, which share the columns.

use crate::{
    flex::{lower_gram, outer_rows},
    sparse::Number,
};

/// Adds `pᵀ·p` to `sums` on and below the diagonal. What is above is left undefined.
///
/// # Shapes
///
/// - `p`: `[M, features]`; `sums`: `[features, features]`, both in row-major order
///
/// # Panics
///
/// If a shape is wrong.
pub fn add_gram<F: Number>(p: &[F], features: usize, sums: &mut [F]) {
    assert!(p.len().is_multiple_of(features), "rows of `features` numbers");
    assert_eq!(sums.len(), features * features, "sums [features, features]");
    lower_gram(p, features, sums);
}

/// Adds `yᵀ·p` to `sums`.
///
/// # Shapes
///
/// - `y`: `[M, L]`; `p`: `[M, features]`; `sums`: `[L, features]`, all in row-major order
///
/// # Panics
///
/// If a shape is wrong.
pub fn add_cross<F: Number>(y: &[F], p: &[F], features: usize, sums: &mut [F]) {
    assert!(p.len().is_multiple_of(features), "rows of `features` numbers");
    let (rows, outputs) = (p.len() / features, sums.len() / features);
    assert_eq!(sums.len(), outputs * features, "sums [L, features]");
    assert_eq!(y.len(), rows * outputs, "a target for every row and output");
    outer_rows((y, outputs), (p, features), sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, from: usize) -> Vec<f64> {
        (from..from + count).map(|n| ((n as f64 + 1.0) * 12.9898).sin()).collect()
    }

    /// Around the edges of tiles, panels and blocks of rows, on any number of threads.
    #[test]
    fn sums_are_those_of_plain_loops_on_any_number_of_threads() {
        for (rows, f, l) in [(1, 1, 1), (7, 5, 2), (300, 17, 7), (513, 50, 1), (700, 130, 19)] {
            let (p, y) = (numbers(rows * f, 3), numbers(rows * l, 77));
            let of = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let (mut gram, mut cross) = (numbers(f * f, 5), numbers(l * f, 9));
                    add_gram(&p, f, &mut gram);
                    add_cross(&y, &p, f, &mut cross);
                    (gram, cross)
                })
            };
            let (gram, cross) = of(1);
            for i in 0..f {
                for j in 0..=i {
                    let sum: f64 = (0..rows).map(|m| p[m * f + i] * p[m * f + j]).sum();
                    let expected = sum + numbers(f * f, 5)[i * f + j];
                    assert!((gram[i * f + j] - expected).abs() < 1e-11, "{rows} {f}: {i}, {j}");
                }
                for output in 0..l {
                    let sum: f64 = (0..rows).map(|m| y[m * l + output] * p[m * f + i]).sum();
                    let at = output * f + i;
                    let expected = sum + numbers(l * f, 9)[at];
                    assert!((cross[at] - expected).abs() < 1e-11, "{rows} {f}: {output}, {i}");
                }
            }
            for threads in 2..4 {
                assert!(of(threads) == (gram.clone(), cross.clone()), "{threads} threads");
            }
        }
    }
}
