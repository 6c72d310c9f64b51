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
    Mat, MatMut, MatRef, Par,
    dyn_stack::{MemBuffer, MemStack, StackReq},
    matrix_free::{
        LinOp,
        eigen::{
            PartialEigenParams, partial_eigen, partial_eigen_scratch, partial_self_adjoint_eigen,
            partial_self_adjoint_eigen_scratch,
        },
    },
};
use recurrent_kernels::sparse::Weights;
use serde::{Deserialize, Serialize};

use crate::{ReservoirError, one_thread::on_one_thread};

/// Up to so many units all eigenvalues are computed.
const ALL: usize = 256;

/// Eigenvalues that Arnoldi's method looks for: the largest may be several of nearly the same size.
const WANTED: usize = 8;

/// The largest subspace it works in.
const SUBSPACE: usize = 96;

/// How near to an eigenvalue is near enough, relative to it.
const TOLERANCE: f64 = 1e-10;

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
    on_one_thread(|| largest_eigenvalue(&Shifted { w, keep, gain }))
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
    on_one_thread(|| largest_eigenvalue(&Shifted { w, keep: 0.0, gain: 1.0 }))
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
    let units = square(w);
    let failed = |_| ReservoirError::Spectrum { units };
    if units <= ALL {
        let values = dense(w).singular_values().map_err(failed)?;
        return Ok(values.into_iter().fold(0.0, f64::max));
    }
    let operator = Gram { w, transposed: transposed(w) };
    let params = PartialEigenParams { max_dim: SUBSPACE, ..PartialEigenParams::default() };
    let scratch = partial_self_adjoint_eigen_scratch::<f64>(&operator, WANTED, Par::Seq, params);
    let mut values = vec![0.0; WANTED];
    let found = partial_self_adjoint_eigen(
        Mat::zeros(units, WANTED).as_mut(),
        &mut values,
        &operator,
        start(units).col(0),
        TOLERANCE,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        params,
    );
    match found.n_converged_eigen {
        0 => Err(ReservoirError::Spectrum { units }),
        found => Ok(values[..found].iter().copied().fold(0.0, f64::max).sqrt()),
    }
}

fn largest_eigenvalue(operator: &Shifted<'_>) -> Result<f64, ReservoirError> {
    let units = square(operator.w);
    if units <= ALL {
        return all_eigenvalues(operator);
    }
    let params = PartialEigenParams { max_dim: SUBSPACE, ..PartialEigenParams::default() };
    let scratch = partial_eigen_scratch::<f64>(operator, WANTED, Par::Seq, params);
    let mut values = vec![faer::c64::new(0.0, 0.0); WANTED];
    let found = partial_eigen(
        Mat::zeros(units, WANTED).as_mut(),
        &mut values,
        operator,
        start(units).col(0),
        TOLERANCE,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        params,
    );
    match found.n_converged_eigen {
        // Slow, but it always answers.
        0 => all_eigenvalues(operator),
        found => Ok(values[..found].iter().map(|value| value.norm()).fold(0.0, f64::max)),
    }
}

fn all_eigenvalues(operator: &Shifted<'_>) -> Result<f64, ReservoirError> {
    let units = square(operator.w);
    let mut matrix = dense(operator.w) * faer::Scale(operator.gain);
    for unit in 0..units {
        matrix[(unit, unit)] += operator.keep;
    }
    let values = matrix.eigenvalues().map_err(|_| ReservoirError::Spectrum { units })?;
    Ok(values.into_iter().map(|value| value.norm()).fold(0.0, f64::max))
}

fn square(w: &Weights<f64>) -> usize {
    assert_eq!(w.rows(), w.columns(), "a square matrix");
    w.rows()
}

fn dense(w: &Weights<f64>) -> Mat<f64> {
    let mut matrix = Mat::zeros(w.rows(), w.columns());
    for (row, column, value) in w.entries() {
        matrix[(row, column)] = value;
    }
    matrix
}

fn transposed(w: &Weights<f64>) -> Weights<f64> {
    use recurrent_kernels::sparse::SparseMatrix;
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

/// `gain · W + keep · I`.
#[derive(Debug)]
struct Shifted<'a> {
    w: &'a Weights<f64>,
    keep: f64,
    gain: f64,
}

/// `Wᵀ · W`.
#[derive(Debug)]
struct Gram<'a> {
    w: &'a Weights<f64>,
    transposed: Weights<f64>,
}

impl Shifted<'_> {
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        self.w.product(x, &mut y);
        for (y, x) in y.iter_mut().zip(x) {
            *y = self.gain * *y + self.keep * x;
        }
        y
    }
}

impl Gram<'_> {
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut middle = vec![0.0; x.len()];
        self.w.product(x, &mut middle);
        let mut y = vec![0.0; x.len()];
        self.transposed.product(&middle, &mut y);
        y
    }
}

macro_rules! operator {
    ($name:ident) => {
        impl LinOp<f64> for $name<'_> {
            fn apply_scratch(&self, _: usize, _: Par) -> StackReq {
                StackReq::EMPTY
            }

            fn nrows(&self) -> usize {
                self.w.rows()
            }

            fn ncols(&self) -> usize {
                self.w.columns()
            }

            fn apply(
                &self,
                mut out: MatMut<'_, f64>,
                rhs: MatRef<'_, f64>,
                _: Par,
                _: &mut MemStack,
            ) {
                for column in 0..rhs.ncols() {
                    let x: Vec<f64> = rhs.col(column).iter().copied().collect();
                    for (row, y) in self.product(&x).into_iter().enumerate() {
                        out[(row, column)] = y;
                    }
                }
            }

            fn conj_apply(
                &self,
                out: MatMut<'_, f64>,
                rhs: MatRef<'_, f64>,
                par: Par,
                stack: &mut MemStack,
            ) {
                self.apply(out, rhs, par, stack);
            }
        }
    };
}

operator!(Shifted);
operator!(Gram);
