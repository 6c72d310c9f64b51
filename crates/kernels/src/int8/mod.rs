//! Products with weights of 8 bits, for decoding on the CPU: plain slices, no tensors.
//!
//! ```text
//! s_n = max_k |W[n, k]|      WQ[n, k] = round(W[n, k] / s_n · 127)
//! m_b = max_k |x[b, k]|      xQ[b, k] = round(x[b, k] / m_b · 127)
//! y[b, n] = s_n · m_b / 127² · Σ_k WQ[n, k] · xQ[b, k]  (+ bias[n])
//! ```
//!
//! `x` is `[B, K]`, `W` is `[N, K]` and `y` is `[B, N]`. The weights' side is that of GNMT's quantised
//! inference (Wu et al. 2016, arXiv 1609.08144, section 6), which fixes the range of activations while
//! training; here each row of `x` brings its own, so that any trained model will do.
//!
//! Sums are integers of 32 bits and exact, on every instruction set and however the work is split. So
//! the results are the same to the bit.
//!
//! A row of `x` with a NaN or an infinity has nothing but NaN for its results.

mod instructions;
mod rows;
mod tile;

use rayon::prelude::*;
use thiserror::Error;

pub use rows::QuantizedRows;

use self::{
    instructions::Instructions,
    rows::largest,
    tile::{Before, Tiles},
};
use crate::flex::threads::{self, Shared};

/// Outputs that lie side by side in a panel.
const OUTPUTS: usize = 16;

/// Inputs that lie side by side for each output: what one instruction multiplies and adds up.
const INPUTS: usize = 4;

/// The most inputs of a matrix, 65,536. A sum of so many products of 8 bits fits 32 bits, also while
/// inputs are taken as numbers from 0 to 255: `65,536 · 255 · 128 < 2³¹`.
pub const MOST_INPUTS: usize = 1 << 16;

/// Four inputs of each of the outputs of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
struct Group([i8; OUTPUTS * INPUTS]);

/// A matrix `[N, K]` of 8-bit weights with one scale an output, laid out for
/// [`product`](Self::product). It takes `K · N` bytes, both rounded up to whole panels, and 8 more an
/// output.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Matrix {
    outputs: usize,
    inputs: usize,
    /// One panel of outputs after the other, each from its first inputs to its last. What is beyond the
    /// last output or input is zero.
    groups: Vec<Group>,
    /// `s`.
    scales: Vec<[f32; OUTPUTS]>,
    /// `−128 · Σ_k WQ[n, k]`: what is too much where inputs are numbers from 0 to 255.
    offsets: Vec<[i32; OUTPUTS]>,
}

/// Why there is no such matrix.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Int8Error {
    /// A weight is NaN or infinite.
    #[error("weight [{output}, {input}] is {value}, expected a finite number")]
    Weight {
        /// Its row.
        output: usize,
        /// Its place in the row.
        input: usize,
        /// What it is.
        value: f32,
    },
    /// A scale is negative, NaN or infinite.
    #[error("the scale of row {output} is {value}, expected a finite number from 0")]
    Scale {
        /// Which row.
        output: usize,
        /// What it is.
        value: f32,
    },
    /// There are more or fewer values than the shape says.
    #[error("{found} values for a matrix [{outputs}, {inputs}]")]
    Values {
        /// How many there are.
        found: usize,
        /// Rows.
        outputs: usize,
        /// Values a row.
        inputs: usize,
    },
    /// There are more or fewer scales than rows.
    #[error("{found} scales for {outputs} rows")]
    Scales {
        /// How many there are.
        found: usize,
        /// Rows.
        outputs: usize,
    },
    /// Sums of so many products may not fit 32 bits.
    #[error("rows of {inputs} weights, expected at most {MOST_INPUTS}")]
    Inputs {
        /// Weights a row.
        inputs: usize,
    },
}

impl Int8Matrix {
    /// Rounds `weights`, `[N, K]` in row-major order, to 8 bits. A row of zeros stays one.
    ///
    /// # Errors
    ///
    /// If a weight is not finite, or `K` is above [`MOST_INPUTS`].
    ///
    /// # Panics
    ///
    /// If there are not `outputs · inputs` weights.
    pub fn quantize(weights: &[f32], outputs: usize, inputs: usize) -> Result<Self, Int8Error> {
        assert_eq!(weights.len(), outputs * inputs, "as many weights as [N, K] has");
        let scale = |n: usize| largest(&weights[n * inputs..(n + 1) * inputs]);
        let scales = (0..outputs).map(scale).collect();
        Self::scaled(scales, inputs, |n, k| weights[n * inputs + k])
    }

    /// Rounds `weights`, `[K, N]` in row-major order, as linear layers hold them: the same matrix as
    /// [`quantize`](Self::quantize) makes of the transpose.
    ///
    /// # Errors
    ///
    /// If a weight is not finite, or `K` is above [`MOST_INPUTS`].
    ///
    /// # Panics
    ///
    /// If there are not `outputs · inputs` weights.
    pub fn quantize_transposed(
        weights: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, Int8Error> {
        assert_eq!(weights.len(), outputs * inputs, "as many weights as [K, N] has");
        let mut scales = vec![0.0; outputs];
        for row in weights.chunks_exact(outputs.max(1)) {
            for (scale, weight) in scales.iter_mut().zip(row) {
                *scale = largest(&[*scale, *weight]);
            }
        }
        Self::scaled(scales, inputs, |n, k| weights[k * outputs + n])
    }

    /// Puts together what [`values`](Self::values) and [`scales`](Self::scales) have given, to the same
    /// bits.
    ///
    /// # Errors
    ///
    /// If there are not `outputs · inputs` values or not `outputs` scales, a scale is negative or not
    /// finite, or `K` is above [`MOST_INPUTS`].
    pub fn from_parts(
        values: &[i8],
        scales: &[f32],
        outputs: usize,
        inputs: usize,
    ) -> Result<Self, Int8Error> {
        if outputs.checked_mul(inputs) != Some(values.len()) {
            return Err(Int8Error::Values { found: values.len(), outputs, inputs });
        }
        if scales.len() != outputs {
            return Err(Int8Error::Scales { found: scales.len(), outputs });
        }
        let is_scale = |scale: f32| scale.is_finite() && scale >= 0.0;
        if let Some(output) = scales.iter().position(|scale| !is_scale(*scale)) {
            return Err(Int8Error::Scale { output, value: scales[output] });
        }
        Self::laid_out(scales, inputs, |n, k| values[n * inputs + k])
    }

    /// Divides weights by their scales.
    fn scaled(
        scales: Vec<f32>,
        inputs: usize,
        weight: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Result<Self, Int8Error> {
        if let Some(output) = scales.iter().position(|scale| !scale.is_finite()) {
            let mut row = (0..inputs).map(|input| (input, weight(output, input)));
            let (input, value) = row
                .find(|(_, weight)| !weight.is_finite())
                .expect("the largest of a row is one of its weights");
            return Err(Int8Error::Weight { output, input, value });
        }
        Self::laid_out(&scales, inputs, |n, k| {
            // In double precision, so that what lies between two values is on the side where it belongs.
            // In a row of zeros this is not a number, which is cast to 0.
            let exact = f64::from(weight(n, k)) / f64::from(scales[n]) * 127.0;
            exact.round() as i8
        })
    }

    /// Lays `WQ` out in panels.
    fn laid_out(
        scales: &[f32],
        inputs: usize,
        value: impl Fn(usize, usize) -> i8 + Sync,
    ) -> Result<Self, Int8Error> {
        if inputs > MOST_INPUTS {
            return Err(Int8Error::Inputs { inputs });
        }
        let outputs = scales.len();
        let panels = outputs.div_ceil(OUTPUTS);
        let depth = inputs.div_ceil(INPUTS);
        let mut groups = vec![Group([0; OUTPUTS * INPUTS]); panels * depth];
        let mut offsets = vec![[0; OUTPUTS]; panels];
        let work = groups.par_chunks_mut(depth.max(1)).zip(&mut offsets).enumerate();
        work.for_each(|(panel, (groups, offsets))| {
            let first = panel * OUTPUTS;
            for (n, offset) in (first..outputs).zip(offsets) {
                for (group, Group(to)) in groups.iter_mut().enumerate() {
                    let k = group * INPUTS..inputs.min((group + 1) * INPUTS);
                    for (to, k) in to[(n - first) * INPUTS..].iter_mut().zip(k) {
                        *to = value(n, k);
                        *offset -= 128 * i32::from(*to);
                    }
                }
            }
        });
        let mut padded = vec![[0.0; OUTPUTS]; panels];
        padded.as_flattened_mut()[..outputs].copy_from_slice(scales);
        Ok(Self { outputs, inputs, groups, scales: padded, offsets })
    }

    /// `N`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `K`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// `s`, `[N]`: the largest weight of each row, without its sign.
    pub fn scales(&self) -> &[f32] {
        &self.scales.as_flattened()[..self.outputs]
    }

    /// `WQ`, `[N, K]` in row-major order.
    pub fn values(&self) -> Vec<i8> {
        (0..self.outputs).flat_map(|n| self.row_values(n)).collect()
    }

    /// Writes row `n` as numbers, `WQ[n] / 127 · s_n`: an embedding. Each is within `s_n / 254` of what
    /// was rounded, and the largest is that itself.
    ///
    /// # Panics
    ///
    /// If there is no such row or `to` has not `K` elements.
    pub fn row(&self, n: usize, to: &mut [f32]) {
        assert!(n < self.outputs, "row {n} of {}", self.outputs);
        assert_eq!(to.len(), self.inputs, "a row has K numbers");
        let scale = self.scales()[n];
        for (to, value) in to.iter_mut().zip(self.row_values(n)) {
            *to = f32::from(value) / 127.0 * scale;
        }
    }

    fn row_values(&self, n: usize) -> impl Iterator<Item = i8> {
        let groups = self.panel(n / OUTPUTS).iter();
        let fours = groups.map(move |group| group.0.as_chunks::<INPUTS>().0[n % OUTPUTS]);
        fours.flatten().take(self.inputs)
    }

    /// Groups of inputs.
    fn depth(&self) -> usize {
        self.inputs.div_ceil(INPUTS)
    }

    fn panel(&self, panel: usize) -> &[Group] {
        &self.groups[panel * self.depth()..(panel + 1) * self.depth()]
    }

    /// `y = x · Wᵀ (+ bias)`, `x` rounded to 8 bits row by row.
    ///
    /// Where the same rows meet several matrices, or memory is not to be asked for,
    /// [`QuantizedRows`] and [`product_of`](Self::product_of) save it.
    ///
    /// # Shapes
    ///
    /// - `x`: `[B, K]`; `to`: `[B, N]`; `bias`: `[N]`
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn product(&self, x: &[f32], to: &mut [f32], bias: Option<&[f32]>) {
        let rows = match self.inputs {
            0 => to.len() / self.outputs.max(1),
            inputs => x.len() / inputs,
        };
        let mut quantized = QuantizedRows::new();
        quantized.quantize(x, rows, self.inputs);
        self.product_of(&quantized, to, bias);
    }

    /// As [`product`](Self::product), of rows that are rounded already.
    ///
    /// # Shapes
    ///
    /// - `x`: `[B, K]`; `to`: `[B, N]`; `bias`: `[N]`
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn product_of(&self, x: &QuantizedRows, to: &mut [f32], bias: Option<&[f32]>) {
        if let Some(bias) = bias {
            assert_eq!(bias.len(), self.outputs, "a bias for every output");
        }
        self.multiply(x, to, bias.map_or(Before::Nothing, Before::Bias));
    }

    /// Adds `x · Wᵀ` to what is there: the gates of an LSTM are the sum of two products.
    ///
    /// # Shapes
    ///
    /// - `x`: `[B, K]`; `to`: `[B, N]`
    ///
    /// # Panics
    ///
    /// If a shape is wrong.
    pub fn add_product_of(&self, x: &QuantizedRows, to: &mut [f32]) {
        self.multiply(x, to, Before::Results);
    }

    fn multiply(&self, x: &QuantizedRows, to: &mut [f32], before: Before<'_>) {
        assert_eq!(x.inputs(), self.inputs, "rows of K numbers");
        assert_eq!(to.len(), x.rows() * self.outputs, "room for [B, N]");
        if to.is_empty() {
            return;
        }
        let panels = self.scales.len();
        // Between as many instructions as in single precision (AVX2) and a quarter of them (AVX-512).
        let work = x.rows() * self.groups.len() * OUTPUTS * INPUTS / 2;
        // Enough parts that nobody waits long for the last.
        let parts = match threads::parts(work) {
            1 => 1,
            threads => panels.min(4 * threads),
        };
        let (instructions, to) = (Instructions::detected(), Shared::new(to));
        threads::each(parts, work, |part| {
            let panels = part * panels / parts..(part + 1) * panels / parts;
            instructions.run(Tiles { x, matrix: self, before, to, panels });
        });
    }
}

#[cfg(test)]
mod tests;
