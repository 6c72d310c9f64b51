//! Ridge regression: the linear readout with the least squared error, and small weights.
//!
//! ```text
//! W_outᵀ = (PᵀP + λR)⁻¹ PᵀY          R = diag(0, 1, …, 1)
//! ```
//!
//! `P [M, F]` are the features of `M` steps, the first of them constant and 1; `Y [M, L]` the targets;
//! `W_out [L, F]`. The constant is not penalised: a readout with a large `λ` gives the mean.
//!
//! - [`Normal`] sums up `PᵀP` and `PᵀY` over any number of steps and series, and keeps no step. Sums of parts can
//!   be [merged](Normal::merge). It is solved by Cholesky, or for [several `λ`](Normal::path) by one
//!   eigendecomposition.
//! - [`Design`] keeps all steps and goes through the singular values of `P`, which loses no digits to the squaring
//!   of `P`, needs no `λ`, and knows the leave-one-out error of every `λ` from one factorisation.
//!
//! Sources: M. Lukoševičius (2012), A Practical Guide to Applying Echo State Networks; Golub, Heath & Wahba (1979),
//! Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter, for the leave-one-out error.

use faer::{Accum, Mat, MatRef, Par, Side, linalg::matmul::matmul};
use recurrent_kernels::gram::{add_cross, add_gram};

use crate::{
    ReservoirError,
    blocks::{factor, solve_factored},
    error::check,
    one_thread::on_one_thread,
};

/// A readout and how far it is from what it learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Readout {
    /// `W_out`, `[L, F]` in row-major order.
    pub weights: Vec<f64>,
    /// Features, `F`.
    pub features: usize,
}

impl Readout {
    /// Outputs, `L`.
    pub fn outputs(&self) -> usize {
        self.weights.len() / self.features
    }

    /// `y = W_out · z`.
    ///
    /// # Panics
    ///
    /// If `z` has not as many numbers as there are features.
    pub fn apply<'a>(&'a self, z: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        assert_eq!(z.len(), self.features, "a number for every feature");
        let rows = self.weights.chunks_exact(self.features);
        rows.map(move |w| {
            let mut sums = [0.0; 8];
            let ((w, w_rest), (z, z_rest)) = (w.as_chunks::<8>(), z.as_chunks::<8>());
            for (w, z) in w.iter().zip(z) {
                for n in 0..8 {
                    sums[n] += w[n] * z[n];
                }
            }
            let rest: f64 = w_rest.iter().zip(z_rest).map(|(w, z)| w * z).sum();
            sums.iter().sum::<f64>() + rest
        })
    }

    fn of(weights: &Mat<f64>) -> Self {
        let [features, outputs] = [weights.nrows(), weights.ncols()];
        let weight = |n: usize| weights[(n % features, n / features)];
        Self { weights: (0..outputs * features).map(weight).collect(), features }
    }
}

/// `A · B`, whose sums have one order.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut c = Mat::zeros(a.nrows(), b.ncols());
    matmul(c.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    c
}

/// `λ`, checked.
fn check_regularization(lambda: f64) -> Result<(), ReservoirError> {
    check("regularization", lambda, |lambda| lambda >= 0.0, "at least 0")
}

/// The sums of the normal equations.
#[derive(Clone, Debug)]
pub struct Normal {
    /// `PᵀP`, `[F, F]` in row-major order; on and below the diagonal.
    gram: Vec<f64>,
    /// `YᵀP`, `[L, F]` in row-major order.
    cross: Vec<f64>,
    features: usize,
    outputs: usize,
    rows: usize,
}

impl Normal {
    /// Nothing summed yet.
    pub fn new(features: usize, outputs: usize) -> Self {
        Self {
            gram: vec![0.0; features * features],
            cross: vec![0.0; outputs * features],
            features,
            outputs,
            rows: 0,
        }
    }

    /// Steps summed up, `M`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features, `F`.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Outputs, `L`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// An entry of `PᵀP`.
    fn gram(&self, i: usize, j: usize) -> f64 {
        self.gram[i.max(j) * self.features + i.min(j)]
    }

    /// An entry of `PᵀY`.
    fn cross(&self, feature: usize, output: usize) -> f64 {
        self.cross[output * self.features + feature]
    }

    /// Adds some steps: `p [M, F]` and `y [M, L]` in row-major order.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn add(&mut self, p: &[f64], y: &[f64]) {
        let (f, l) = (self.features, self.outputs());
        let rows = p.len() / f;
        assert!(p.len() == rows * f && y.len() == rows * l, "features and targets of every step");
        add_gram(p, f, &mut self.gram);
        add_cross(y, p, f, &mut self.cross);
        self.rows += rows;
    }

    /// Adds what another has summed up.
    ///
    /// # Panics
    ///
    /// If it has other features or outputs.
    pub fn merge(&mut self, other: &Self) {
        let same = self.features == other.features && self.outputs() == other.outputs();
        assert!(same, "as many features and outputs");
        let join = |sums: &mut [f64], more: &[f64]| {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        join(&mut self.gram, &other.gram);
        join(&mut self.cross, &other.cross);
        self.rows += other.rows;
    }

    /// The readout for one `λ`, by Cholesky.
    ///
    /// # Errors
    ///
    /// If `λ` is out of its range, if there are fewer steps than features and `λ` is 0, or if the features are
    /// linearly dependent up to rounding.
    pub fn solve(&self, lambda: f64) -> Result<Readout, ReservoirError> {
        check_regularization(lambda)?;
        self.check_enough(lambda)?;
        let f = self.features;
        let mut penalised = Mat::from_fn(f, f, |i, j| match i == j && i > 0 {
            true => self.gram(i, i) + lambda,
            false => self.gram(i, j),
        });
        let failed = || ReservoirError::NotPositiveDefinite { regularization: lambda };
        if !factor(penalised.as_mut()) {
            return Err(failed());
        }
        let cross = MatRef::from_column_major_slice(&self.cross, f, self.outputs());
        let mut weights = cross.to_owned();
        solve_factored(penalised.as_ref(), weights.as_mut());
        let readout = Readout::of(&weights);
        match readout.weights.iter().all(|weight| weight.is_finite()) {
            true => Ok(readout),
            false => Err(failed()),
        }
    }

    /// The readouts for several `λ`, from one eigendecomposition of the centred sums.
    ///
    /// # Errors
    ///
    /// If a `λ` is out of its range or too small for what there is, or there are no steps.
    pub fn path(&self, lambdas: &[f64]) -> Result<Vec<Readout>, ReservoirError> {
        for lambda in lambdas {
            check_regularization(*lambda)?;
            self.check_enough(*lambda)?;
        }
        let (f, l, rows) = (self.features, self.outputs(), self.rows as f64);
        // The constant feature's sums are those of the others.
        let mean = |n: usize| self.gram(n, 0) / rows;
        let centred = Mat::from_fn(f - 1, f - 1, |i, j| {
            let (i, j) = (i + 1, j + 1);
            self.gram(i, j) - rows * mean(i) * mean(j)
        });
        let targets = Mat::from_fn(f - 1, l, |i, output| {
            self.cross(i + 1, output) - mean(i + 1) * self.cross(0, output)
        });
        let failed = |_| ReservoirError::Spectrum { units: f };
        let eigen = on_one_thread(|| centred.self_adjoint_eigen(Side::Lower)).map_err(failed)?;
        let (vectors, values) = (eigen.U(), eigen.S().column_vector());
        let turned = product(vectors.transpose(), targets.as_ref());
        let largest = values.iter().copied().fold(0.0, f64::max);
        let readout = |lambda: &f64| {
            let mut scaled = turned.clone();
            for (n, value) in values.iter().enumerate() {
                // A direction that is not there has no eigenvalue but rounding.
                let share = match *value > f as f64 * f64::EPSILON * largest || *lambda > 0.0 {
                    true => 1.0 / (value.max(0.0) + lambda),
                    false => {
                        return Err(ReservoirError::NotPositiveDefinite {
                            regularization: *lambda,
                        });
                    }
                };
                for output in 0..l {
                    scaled[(n, output)] *= share;
                }
            }
            let weights = product(vectors, scaled.as_ref());
            Ok(with_constant(&weights, mean, |output| self.cross(0, output) / rows))
        };
        lambdas.iter().map(readout).collect()
    }

    fn check_enough(&self, lambda: f64) -> Result<(), ReservoirError> {
        let (features, rows) = (self.features(), self.rows);
        match rows == 0 {
            true => Err(ReservoirError::Nothing),
            false if lambda == 0.0 && features > rows => {
                Err(ReservoirError::Underdetermined { features, rows })
            }
            false => Ok(()),
        }
    }
}

/// Weights of all features but the constant one, and what that has to be.
fn with_constant(
    weights: &Mat<f64>,
    mean: impl Fn(usize) -> f64,
    target_mean: impl Fn(usize) -> f64,
) -> Readout {
    let all = Mat::from_fn(weights.nrows() + 1, weights.ncols(), |n, output| match n {
        0 => {
            let known = |i: usize| weights[(i, output)] * mean(i + 1);
            target_mean(output) - (0..weights.nrows()).map(known).sum::<f64>()
        }
        n => weights[(n - 1, output)],
    });
    Readout::of(&all)
}

/// All steps that are learned from.
#[derive(Clone, Debug, Default)]
pub struct Design {
    /// `P`, in row-major order.
    p: Vec<f64>,
    /// `Y`, in row-major order.
    y: Vec<f64>,
    features: usize,
    outputs: usize,
}

/// What is known of a readout without data of its own to measure it on.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// `λ`.
    pub regularization: f64,
    /// The mean squared error of each step by the readout that was made without it, over all outputs.
    pub error: f64,
    /// The readout made with all steps.
    pub readout: Readout,
}

impl Design {
    /// No steps yet.
    pub fn new(features: usize, outputs: usize) -> Self {
        Self { p: Vec::new(), y: Vec::new(), features, outputs }
    }

    /// Steps, `M`.
    pub fn rows(&self) -> usize {
        self.p.len() / self.features
    }

    /// Adds some steps: `p [M, F]` and `y [M, L]` in row-major order.
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn add(&mut self, p: &[f64], y: &[f64]) {
        let rows = p.len() / self.features;
        assert!(
            p.len() == rows * self.features && y.len() == rows * self.outputs,
            "features and targets of every step"
        );
        self.p.extend_from_slice(p);
        self.y.extend_from_slice(y);
    }

    /// The readout for one `λ`. With 0 it is the smallest of those with the least error.
    ///
    /// # Errors
    ///
    /// If `λ` is out of its range, there are no steps, or the singular values do not converge.
    pub fn solve(&self, lambda: f64) -> Result<Readout, ReservoirError> {
        check_regularization(lambda)?;
        let centred = self.centred()?;
        Ok(centred.readout(&centred.kept(lambda)))
    }

    /// The readouts and leave-one-out errors for several `λ`, from one factorisation:
    ///
    /// ```text
    /// e_m / (1 − h_m)          h_m = 1/M + Σ_j U_mj² · s_j² / (s_j² + λ)          P − mean = U S Vᵀ
    /// ```
    ///
    /// # Errors
    ///
    /// If a `λ` is out of its range, there are no steps, or the singular values do not converge.
    pub fn left_out(&self, lambdas: &[f64]) -> Result<Vec<LeftOut>, ReservoirError> {
        lambdas.iter().try_for_each(|lambda| check_regularization(*lambda))?;
        let centred = self.centred()?;
        let of = |lambda: &f64| {
            let kept = centred.kept(*lambda);
            let (error, readout) = (centred.left_out_error(&kept), centred.readout(&kept));
            LeftOut { regularization: *lambda, error, readout }
        };
        Ok(lambdas.iter().map(of).collect())
    }

    fn centred(&self) -> Result<Centred, ReservoirError> {
        let (rows, f, l) = (self.rows(), self.features, self.outputs);
        if rows == 0 {
            return Err(ReservoirError::Nothing);
        }
        let p = MatRef::from_row_major_slice(&self.p, rows, f);
        let y = MatRef::from_row_major_slice(&self.y, rows, l);
        let means = |of: MatRef<'_, f64>| -> Vec<f64> {
            (0..of.ncols()).map(|n| of.col(n).iter().sum::<f64>() / rows as f64).collect()
        };
        let (p_means, y_means) = (means(p), means(y));
        let centred = Mat::from_fn(rows, f - 1, |m, n| p[(m, n + 1)] - p_means[n + 1]);
        let targets = Mat::from_fn(rows, l, |m, n| y[(m, n)] - y_means[n]);
        let failed = |_| ReservoirError::Spectrum { units: f };
        let svd = on_one_thread(|| centred.thin_svd()).map_err(failed)?;
        let (u, v) = (svd.U().to_owned(), svd.V().to_owned());
        let s: Vec<f64> = svd.S().column_vector().iter().copied().collect();
        let turned = product(u.transpose(), targets.as_ref());
        let largest = s.iter().copied().fold(0.0, f64::max);
        // What is below is rounding.
        let least = rows.max(f) as f64 * f64::EPSILON * largest;
        Ok(Centred { u, s, v, targets, turned, least, p_means, y_means })
    }
}

/// A design without its means, and its singular values: `P − mean = U S Vᵀ`.
struct Centred {
    u: Mat<f64>,
    s: Vec<f64>,
    v: Mat<f64>,
    /// `Y − mean`.
    targets: Mat<f64>,
    /// `Uᵀ (Y − mean)`.
    turned: Mat<f64>,
    /// What a singular value has to be above.
    least: f64,
    p_means: Vec<f64>,
    y_means: Vec<f64>,
}

impl Centred {
    /// `s² / (s² + λ)`: how much is kept of each direction.
    fn kept(&self, lambda: f64) -> Vec<f64> {
        let there = |s: f64| s > self.least || (lambda > 0.0 && s > 0.0);
        let kept = |s: &f64| if there(*s) { s * s / (s * s + lambda) } else { 0.0 };
        self.s.iter().map(kept).collect()
    }

    fn readout(&self, kept: &[f64]) -> Readout {
        let scaled = self.scaled(|n| if kept[n] > 0.0 { kept[n] / self.s[n] } else { 0.0 });
        let weights = product(self.v.as_ref(), scaled.as_ref());
        with_constant(&weights, |n| self.p_means[n], |output| self.y_means[output])
    }

    /// The mean of `(e_m / (1 − h_m))²`.
    fn left_out_error(&self, kept: &[f64]) -> f64 {
        let (rows, outputs) = (self.targets.nrows(), self.targets.ncols());
        let fitted = product(self.u.as_ref(), self.scaled(|n| kept[n]).as_ref());
        let mut error = 0.0;
        for m in 0..rows {
            let h: f64 = kept.iter().enumerate().map(|(n, k)| k * self.u[(m, n)].powi(2)).sum();
            let without = 1.0 - 1.0 / rows as f64 - h;
            for output in 0..outputs {
                error += ((self.targets[(m, output)] - fitted[(m, output)]) / without).powi(2);
            }
        }
        error / (rows * outputs) as f64
    }

    /// `Uᵀ (Y − mean)`, each direction times `by`.
    fn scaled(&self, by: impl Fn(usize) -> f64) -> Mat<f64> {
        let (directions, outputs) = (self.turned.nrows(), self.turned.ncols());
        Mat::from_fn(directions, outputs, |n, output| match by(n) {
            // Where there is nothing there may be no number either.
            0.0 => 0.0,
            by => self.turned[(n, output)] * by,
        })
    }
}
