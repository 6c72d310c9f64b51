//! Products with weights of 8 bits, as decoding asks for them, beside the same in single precision.

use burn::prelude::*;
use recurrent_kernels::{
    int8::{Int8Matrix, QuantizedRows},
    linear,
};
use serde_json::{Value, json};

use crate::case::{Case, Numbers, OnProcessor, Work, uniform};

/// `x · W`, `x` of `[B, K]` rounded on the way, `W` of `[K, N]` rounded before. The 8-bit side computes
/// on the CPU, whatever the device.
#[derive(Clone, Copy, Debug)]
pub struct Int8Product {
    /// `B`.
    rows: usize,
    /// `K`.
    inputs: usize,
    /// `N`.
    outputs: usize,
}

/// The gates of an LSTM and an output layer, for one sentence and for a batch.
pub fn all() -> impl Iterator<Item = Int8Product> {
    let shapes = [[1, 512, 2048], [1, 256, 8000], [32, 256, 8000], [32, 512, 1024]];
    shapes.into_iter().map(Int8Product::new)
}

/// A small shape.
pub fn small() -> impl Iterator<Item = Int8Product> {
    [[3, 10, 20]].into_iter().map(Int8Product::new)
}

impl Int8Product {
    fn new([rows, inputs, outputs]: [usize; 3]) -> Self {
        Self { rows, inputs, outputs }
    }

    fn operands(self) -> (Int8Matrix, Vec<f32>) {
        let numbers = self.numbers();
        let [w, x] = ["w", "x"].map(|name| numbers[name].iter().collect::<Vec<f32>>());
        let matrix = Int8Matrix::quantize_transposed(&w, self.outputs, self.inputs);
        (matrix.expect("what was drawn is finite"), x)
    }
}

impl Case for Int8Product {
    fn name(&self) -> String {
        format!("int8/{}x{}x{}", self.rows, self.inputs, self.outputs)
    }

    fn described(&self) -> Value {
        json!({ "family": "int8" })
    }

    fn is_pictured(&self) -> bool {
        false
    }

    fn numbers(&self) -> Numbers {
        let x = uniform(&[self.rows, self.inputs], 1.0, 1);
        let w = uniform(&[self.inputs, self.outputs], 1.0, 2);
        Numbers::from([("x".to_owned(), x), ("w".to_owned(), w)])
    }

    fn on_processor(&self) -> OnProcessor {
        OnProcessor::Ours
    }

    fn ours(&self, _: &Device) -> Work {
        let (matrix, x) = self.operands();
        let (rows, inputs) = (self.rows, self.inputs);
        let mut quantized = QuantizedRows::new();
        let mut y = vec![0.0; rows * self.outputs];
        Box::new(move || {
            quantized.quantize(&x, rows, inputs);
            matrix.product_of(&quantized, &mut y, None);
        })
    }

    fn single_precision(&self, device: &Device) -> Option<Work> {
        let numbers = self.numbers();
        let operand = |name: &str| Tensor::<2>::from_data(numbers[name].clone(), device);
        let (x, w) = (operand("x"), operand("w"));
        Some(Box::new(move || drop(linear(x.clone(), w.clone(), None))))
    }

    fn results(&self, _: &Device) -> Vec<f64> {
        let (matrix, x) = self.operands();
        let mut y = vec![0.0; self.rows * self.outputs];
        matrix.product(&x, &mut y, None);
        y.into_iter().map(f64::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sides compute the same, but for what rounding does: half a step of each factor in each of
    /// the products.
    #[test]
    fn both_sides_do_the_same_work() {
        for case in small() {
            let device = Device::flex();
            let numbers = case.numbers();
            let operand = |name: &str| Tensor::<2>::from_data(numbers[name].clone(), &device);
            let exact = linear(operand("x"), operand("w"), None).into_data();
            let bound = case.inputs as f64 * 2.0 / 254.0;
            for (found, exact) in case.results(&device).into_iter().zip(exact.iter::<f64>()) {
                assert!((found - exact).abs() < bound, "{found}, not {exact}");
            }
        }
    }
}
