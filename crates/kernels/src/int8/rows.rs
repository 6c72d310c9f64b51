//! Rows of activations, rounded to 8 bits as they come.

use super::{
    INPUTS,
    instructions::{Dot, Instructions, Work},
};

/// Rows `[B, K]`, each rounded to 8 bits with a scale of its own. Made once, it meets several matrices,
/// and filled again it asks for memory only if there is more than ever before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantizedRows {
    rows: usize,
    inputs: usize,
    /// `xQ + 128`, each row filled up to whole groups with what stands for zero.
    values: Vec<[u8; INPUTS]>,
    /// `m`, NaN for a row that has no numbers of 8 bits.
    largest: Vec<f32>,
}

/// What stands for zero.
const ZERO: u8 = 128;

impl QuantizedRows {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// `B`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `K`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Takes the rows of `x`, `[B, K]`, in place of those before. Products of a row with a NaN or an
    /// infinity are NaN.
    ///
    /// # Panics
    ///
    /// If there are not `rows · inputs` numbers.
    pub fn quantize(&mut self, x: &[f32], rows: usize, inputs: usize) {
        assert_eq!(x.len(), rows * inputs, "as many numbers as [B, K] has");
        (self.rows, self.inputs) = (rows, inputs);
        // All of them are written.
        self.values.resize(rows * self.depth(), [ZERO; INPUTS]);
        self.largest.resize(rows, 0.0);
        Instructions::detected().run(Round { x, into: self });
    }

    /// Groups of inputs of a row.
    pub(super) fn depth(&self) -> usize {
        self.inputs.div_ceil(INPUTS)
    }

    /// `xQ + 128` of a row.
    pub(super) fn row(&self, row: usize) -> &[[u8; INPUTS]] {
        &self.values[row * self.depth()..(row + 1) * self.depth()]
    }

    /// `m` of a row, NaN if its results are to be.
    pub(super) fn largest(&self, row: usize) -> f32 {
        self.largest[row]
    }
}

/// The largest number without its sign. Infinity if there is one, and NaN if there is one.
#[inline(always)]
pub(super) fn largest(numbers: &[f32]) -> f32 {
    // As integers they are in the same order, and behind the infinity comes what is not a number.
    let bits = numbers.iter().map(|number| number.to_bits() & (u32::MAX >> 1));
    f32::from_bits(bits.fold(0, u32::max))
}

/// Rounds rows.
struct Round<'a> {
    x: &'a [f32],
    into: &'a mut QuantizedRows,
}

impl Work for Round<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, _: D) {
        let (inputs, depth) = (self.into.inputs, self.into.depth());
        for row in 0..self.into.rows {
            let x = &self.x[row * inputs..(row + 1) * inputs];
            let values = &mut self.into.values[row * depth..(row + 1) * depth];
            self.into.largest[row] = round(x, values.as_flattened_mut());
        }
    }
}

/// Rounds one row; gives its scale.
#[inline(always)]
fn round(x: &[f32], values: &mut [u8]) -> f32 {
    // Added to a number below 2²², it leaves the nearest integer in the lowest bits, as it is in two's
    // complement.
    const INTEGER: f32 = 12_582_912.0;
    let largest = largest(x);
    if largest == 0.0 || !largest.is_finite() {
        values.fill(ZERO);
        return if largest == 0.0 { 0.0 } else { f32::NAN };
    }
    // So that 127 / m is a number however small m is: a power of two, by which nothing is rounded.
    let lift = if largest < 1.0 { 2_f32.powi(64) } else { 1.0 };
    let factor = 127.0 / (largest * lift);
    let (values, beyond) = values.split_at_mut(x.len());
    for (value, x) in values.iter_mut().zip(x) {
        let nearest = (x * lift * factor + INTEGER).to_bits() as u8;
        *value = nearest.wrapping_add(ZERO);
    }
    beyond.fill(ZERO);
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that are filled again are as new, and keep their memory.
    #[test]
    fn rows_are_filled_again_in_place() {
        let numbers: Vec<f32> = (0..9 * 65).map(|n| (n as f32).sin()).collect();
        let mut again = QuantizedRows::new();
        again.quantize(&numbers, 9, 65);
        let memory = (again.values.as_ptr(), again.largest.as_ptr());
        for (b, k) in [(2, 5), (0, 4), (7, 63), (3, 0), (9, 65)] {
            again.quantize(&numbers[..b * k], b, k);
            let mut new = QuantizedRows::new();
            new.quantize(&numbers[..b * k], b, k);
            assert_eq!(again, new);
            assert_eq!((again.rows(), again.inputs()), (b, k));
            assert_eq!((again.values.as_ptr(), again.largest.as_ptr()), memory);
        }
    }

    /// What is beyond the last input stands for zero, also where something else was before.
    #[test]
    fn rows_are_filled_up_with_zeros() {
        let mut rows = QuantizedRows::new();
        rows.quantize(&[1.0; 8], 1, 8);
        rows.quantize(&[-2.0, 1.0, 0.5, 2.0, -0.1], 1, 5);
        assert_eq!(rows.row(0).as_flattened(), [1, 192, 160, 255, 122, 128, 128, 128]);
        assert_eq!(rows.largest(0), 2.0);
    }
}
