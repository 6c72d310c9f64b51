//! Eigenvalues and singular values of a reservoir, and what they say about echo states.
//!
//! ```text
//! ρ(W) = max |λ(W)|          σ_max(W) = max singular value
//! ```
//!
//! A reservoir has *echo states* if its state is a function of the inputs so far: what it started from is
//! forgotten. Of the recurrence `x(n) = keep · x(n−1) + gain · tanh(W x(n−1) + …)`, with one rate for all units
//! (Jaeger 2001, GMD Report 148, Propositions 3 and 4; `keep = 1 − δCa'`, `gain = δC`):
//!
//! - `|keep| + gain · σ_max(W) < 1` is enough, for every input: states that differ come nearer by that factor at
//!   every step;
//! - `ρ(gain · W + keep · I) > 1` means none, if zero is an input and there is no bias.
//!
//! Between the two lies what is used in practice. `ρ(W) < 1` alone guarantees nothing, and `ρ(W) > 1` breaks
//! nothing where an input drives the units (spec: both are often said).
//!
//! Power iteration does not converge where the largest eigenvalues are a complex pair, which is the usual case:
//! small matrices go through the QR algorithm, large ones through Arnoldi's.

use faer::{
    Accum, Mat, Par, c64,
    linalg::{matmul::matmul, solvers::Solve},
};
use recurrent_kernels::sparse::{SparseMatrix, Weights};
use serde::{Deserialize, Serialize};

use crate::{ReservoirError, one_thread::on_one_thread};

/// Up to so many units all eigenvalues are computed.
const ALL: usize = 256;

/// The first subspace in which Arnoldi's method looks; it grows by half until it holds what is looked for.
const SUBSPACE: usize = 64;

/// How near to an eigenvalue is near enough, relative to it.
const TOLERANCE: f64 = 1e-9;

/// What the eigenvalues and singular values of a reservoir say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// `ρ(W)`.
    pub spectral_radius: f64,
    /// `σ_max(W)`.
    pub largest_singular_value: f64,
}

/// What is known about echo states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoStates {
    /// For every input (Propositions 3a and 4a).
    Always,
    /// Not for every input, but perhaps for those there are: to be tried.
    Unknown,
    /// Not for zero input without bias (Propositions 3b and 4b).
    Never,
}

impl Spectrum {
    /// Of a matrix.
    ///
    /// # Errors
    ///
    /// If the eigenvalues do not converge.
    ///
    /// # Panics
    ///
    /// If the matrix is not square.
    pub fn of(w: &Weights<f64>) -> Result<Self, ReservoirError> {
        Ok(Self {
            spectral_radius: spectral_radius(w)?,
            largest_singular_value: largest_singular_value(w)?,
        })
    }
}

/// What is known about echo states of units with these weights and one rate: see the [module](self).
///
/// # Errors
///
/// If the eigenvalues do not converge.
///
/// # Panics
///
/// If the matrix is not square.
pub fn echo_states(w: &Weights<f64>, keep: f64, gain: f64) -> Result<EchoStates, ReservoirError> {
    if keep.abs() + gain.abs() * largest_singular_value(w)? < 1.0 {
        return Ok(EchoStates::Always);
    }
    if effective_spectral_radius(w, keep, gain)? > 1.0 {
        return Ok(EchoStates::Never);
    }
    Ok(EchoStates::Unknown)
}

/// `ρ(gain · W + keep · I)`: how fast small states shrink or grow from step to step, inputs aside.
///
/// # Errors
///
/// If the eigenvalues do not converge.
///
/// # Panics
///
/// If the matrix is not square.
pub fn effective_spectral_radius(
    w: &Weights<f64>,
    keep: f64,
    gain: f64,
) -> Result<f64, ReservoirError> {
    largest_eigenvalue(&Shifted::new(w, keep, gain))
}

/// `ρ(W)`.
///
/// # Errors
///
/// If the eigenvalues do not converge.
///
/// # Panics
///
/// If the matrix is not square.
pub fn spectral_radius(w: &Weights<f64>) -> Result<f64, ReservoirError> {
    largest_eigenvalue(&Shifted::new(w, 0.0, 1.0))
}

/// `σ_max(W)`.
///
/// # Errors
///
/// If it does not converge.
///
/// # Panics
///
/// If the matrix is not square.
pub fn largest_singular_value(w: &Weights<f64>) -> Result<f64, ReservoirError> {
    Shifted::new(w, 0.0, 1.0).largest_singular_value()
}

fn largest_eigenvalue(matrix: &Shifted<'_>) -> Result<f64, ReservoirError> {
    let units = square(matrix.w);
    if units > ALL {
        // All eigenvalues of a ring or an orthogonal matrix are equally large, and none stands out.
        if matrix.is_normal() {
            return matrix.largest_singular_value();
        }
        if let Some(found) = arnoldi(units, |x| matrix.product(x)) {
            return Ok(found);
        }
    }
    // Slow, but it always answers.
    let failed = |_| ReservoirError::Spectrum { units };
    let values = on_one_thread(|| matrix.dense().eigenvalues()).map_err(failed)?;
    Ok(values.into_iter().map(c64::norm).fold(0.0, f64::max))
}

/// The size of the largest eigenvalue of a matrix by Arnoldi's method without restarts, or nothing if a subspace
/// of half of the units does not hold it.
///
/// ```text
/// A V = V H + h · v eᵀ          V = [v_1 … v_m], orthonormal          (θ, s) an eigenpair of H
/// ‖A (V s) − θ (V s)‖ = h · |s_m|
/// ```
///
/// Without restarts, because the eigenvalues of a random matrix lie evenly in a disc: only a subspace that holds
/// many of those at its edge tells one from the others.
fn arnoldi(units: usize, product: impl Fn(&[f64]) -> Vec<f64>) -> Option<f64> {
    let most = units / 2;
    let mut v = Mat::<f64>::zeros(units, most + 1);
    let mut h = Mat::<f64>::zeros(most + 1, most);
    v.col_mut(0).copy_from(start(units).col(0));
    normalize(v.as_mut().col_mut(0));
    let mut look = SUBSPACE.min(most);
    for m in 1..=most {
        let w = product(v.col(m - 1).try_as_col_major()?.as_slice());
        let mut w = Mat::from_fn(units, 1, |n, _| w[n]);
        let length = w.norm_l2();
        let known = v.get(.., ..m);
        // Twice is enough (Kahan and Parlett).
        for _ in 0..2 {
            let mut part = Mat::<f64>::zeros(m, 1);
            matmul(part.as_mut(), Accum::Replace, known.transpose(), &w, 1.0, Par::Seq);
            matmul(w.as_mut(), Accum::Add, known, &part, -1.0, Par::Seq);
            let mut column = h.get_mut(..m, m - 1..m);
            column += &part;
        }
        let rest = w.norm_l2();
        // Then the subspace is one that the matrix does not lead out of.
        let closed = rest <= f64::EPSILON * 8.0 * length;
        h[(m, m - 1)] = if closed { 0.0 } else { rest };
        if m == look || closed {
            let (size, distance) = largest_of(&h.get(..m, ..m).to_owned(), h[(m, m - 1)])?;
            if distance <= TOLERANCE * size || (closed && size == 0.0) {
                return Some(size);
            }
            look = (look + look / 2).min(most);
        }
        if closed {
            return None;
        }
        v.col_mut(m).copy_from(w.col(0));
        normalize(v.as_mut().col_mut(m));
    }
    None
}

fn normalize(x: faer::ColMut<'_, f64>) {
    let norm = x.norm_l2();
    x.iter_mut().for_each(|x| *x /= norm);
}

/// The largest eigenvalue of `H` by its size, and how far its eigenvector is from one of the whole matrix; that
/// is found by inverse iteration.
fn largest_of(h: &Mat<f64>, next: f64) -> Option<(f64, f64)> {
    let m = h.nrows();
    on_one_thread(|| {
        let values = h.eigenvalues().ok()?;
        let largest = values.into_iter().max_by(|a, b| a.norm().total_cmp(&b.norm()))?;
        let size = largest.norm();
        if next == 0.0 {
            return Some((size, 0.0));
        }
        // Beside the eigenvalue, so that there is an inverse.
        let shift = largest * (1.0 + 1e-13);
        let shifted = Mat::from_fn(m, m, |i, j| {
            c64::new(h[(i, j)], 0.0) - if i == j { shift } else { c64::new(0.0, 0.0) }
        });
        let factor = shifted.partial_piv_lu();
        let mut s = Mat::from_fn(m, 1, |_, _| c64::new(1.0, 0.0));
        for _ in 0..2 {
            factor.solve_in_place(&mut s);
            let norm = s.norm_l2();
            s.col_mut(0).iter_mut().for_each(|s| *s /= norm);
        }
        Some((size, next * s[(m - 1, 0)].norm()))
    })
}

/// All eigenvalues, real and imaginary part of each; by the QR algorithm, which takes time with the cube of the
/// units.
///
/// # Errors
///
/// If they do not converge.
///
/// # Panics
///
/// If the matrix is not square.
pub fn eigenvalues(w: &Weights<f64>) -> Result<Vec<[f64; 2]>, ReservoirError> {
    let units = square(w);
    let matrix = Shifted::new(w, 0.0, 1.0).dense();
    let values = on_one_thread(|| matrix.eigenvalues());
    let values = values.map_err(|_| ReservoirError::Spectrum { units })?;
    Ok(values.into_iter().map(|value| [value.re, value.im]).collect())
}

fn square(w: &Weights<f64>) -> usize {
    assert_eq!(w.rows(), w.columns(), "a square matrix");
    w.rows()
}

fn transposed(w: &Weights<f64>) -> Weights<f64> {
    let mut entries: Vec<_> =
        w.entries().map(|(row, column, value)| (column, row, value)).collect();
    entries.sort_by_key(|(row, column, _)| (*row, *column));
    let matrix = SparseMatrix::new(w.columns(), w.rows(), entries);
    Weights::Sparse(matrix.expect("the places of a matrix"))
}

/// A vector that is orthogonal to no eigenvector, in all likelihood.
fn start(units: usize) -> Mat<f64> {
    Mat::from_fn(units, 1, |n, _| ((n as f64 + 1.0) * 12.9898).sin())
}

/// `A = gain · W + keep · I`.
#[derive(Debug)]
struct Shifted<'a> {
    w: &'a Weights<f64>,
    transposed: Weights<f64>,
    keep: f64,
    gain: f64,
}

impl<'a> Shifted<'a> {
    fn new(w: &'a Weights<f64>, keep: f64, gain: f64) -> Self {
        Self { w, transposed: transposed(w), keep, gain }
    }

    fn with(&self, w: &Weights<f64>, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        w.product(x, &mut y);
        for (y, x) in y.iter_mut().zip(x) {
            *y = self.gain * *y + self.keep * x;
        }
        y
    }

    /// `A · x`.
    fn product(&self, x: &[f64]) -> Vec<f64> {
        self.with(self.w, x)
    }

    /// `Aᵀ · x`.
    fn transposed_product(&self, x: &[f64]) -> Vec<f64> {
        self.with(&self.transposed, x)
    }

    /// Whether `AᵀA = AAᵀ`, in all likelihood: then the largest eigenvalue is as large as the largest singular
    /// value.
    fn is_normal(&self) -> bool {
        let units = square(self.w);
        let start = start(units);
        let x: Vec<f64> = start.col(0).iter().copied().collect();
        let there = self.transposed_product(&self.product(&x));
        let back = self.product(&self.transposed_product(&x));
        let largest = there.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
        there.iter().zip(&back).all(|(a, b)| (a - b).abs() <= 1e-12 * largest)
    }

    /// `σ_max(A)`, the root of the largest eigenvalue of `AᵀA`.
    fn largest_singular_value(&self) -> Result<f64, ReservoirError> {
        let units = square(self.w);
        if units > ALL
            && let Some(found) = arnoldi(units, |x| self.transposed_product(&self.product(x)))
        {
            return Ok(found.sqrt());
        }
        let failed = |_| ReservoirError::Spectrum { units };
        let values = on_one_thread(|| self.dense().singular_values()).map_err(failed)?;
        Ok(values.into_iter().fold(0.0, f64::max))
    }

    fn dense(&self) -> Mat<f64> {
        let mut matrix = Mat::zeros(self.w.rows(), self.w.columns());
        for (row, column, value) in self.w.entries() {
            matrix[(row, column)] = self.gain * value;
        }
        for unit in 0..square(self.w) {
            matrix[(unit, unit)] += self.keep;
        }
        matrix
    }
}
