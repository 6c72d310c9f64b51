//! Matrix products: what the machine can do.

use burn::prelude::*;
use serde_json::{Value, json};

use crate::case::{Case, Numbers, Work, uniform};

/// A product of two square matrices.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows and columns.
    pub size: usize,
}

/// Sizes of which one suits the caches.
pub fn all() -> impl Iterator<Item = Product> {
    [512, 1024, 2048].into_iter().map(|size| Product { size })
}

impl Product {
    fn operands(self, device: &Device) -> [Tensor<2>; 2] {
        let numbers = self.numbers();
        ["a", "b"].map(|name| Tensor::from_data(numbers[name].clone(), device))
    }
}

impl Case for Product {
    fn name(&self) -> String {
        format!("product/{}", self.size)
    }

    fn described(&self) -> Value {
        json!({ "family": "product" })
    }

    fn flops(&self) -> Option<f64> {
        Some(2.0 * (self.size as f64).powi(3))
    }

    fn is_pictured(&self) -> bool {
        false
    }

    fn numbers(&self) -> Numbers {
        let draw = |seed| uniform(&[self.size, self.size], 1.0, seed);
        Numbers::from([("a".to_owned(), draw(1)), ("b".to_owned(), draw(2))])
    }

    fn ours(&self, device: &Device) -> Work {
        let [a, b] = self.operands(device);
        Box::new(move || drop(a.clone().matmul(b.clone())))
    }

    fn results(&self, device: &Device) -> Vec<f64> {
        let [a, b] = self.operands(device);
        a.matmul(b).into_data().iter().collect()
    }
}
