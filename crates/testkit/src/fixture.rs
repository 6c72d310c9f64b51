//! Numbers made by another program, stored as safetensors beside the script that made them.

use std::{collections::HashMap, path::Path};

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use safetensors::{Dtype, SafeTensors};

/// A file of named tensors and named strings.
#[derive(Debug)]
pub struct Fixture {
    tensors: HashMap<String, TensorData>,
    metadata: HashMap<String, String>,
}

impl Fixture {
    /// Reads a safetensors file of `f64` and `i64` tensors.
    ///
    /// # Panics
    ///
    /// If the file is missing or holds something else.
    #[track_caller]
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors header");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let tensors = file.iter().map(|(name, view)| {
            let shape = view.shape().to_vec();
            let words = view.data().as_chunks::<8>().0.iter();
            let data = match view.dtype() {
                Dtype::F64 => {
                    let numbers: Vec<f64> = words.map(|word| f64::from_le_bytes(*word)).collect();
                    TensorData::new(numbers, shape)
                }
                Dtype::I64 => {
                    let numbers: Vec<i64> = words.map(|word| i64::from_le_bytes(*word)).collect();
                    TensorData::new(numbers, shape)
                }
                other => panic!("`{name}` is {other:?}; fixtures are f64 or i64"),
            };
            (name.to_owned(), data)
        });
        let metadata = header.metadata().clone().unwrap_or_default();
        Self { tensors: tensors.collect(), metadata }
    }

    /// The tensor of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn data(&self, name: &str) -> TensorData {
        self.get(name).unwrap_or_else(|| panic!("the fixture has no tensor `{name}`"))
    }

    /// The tensor of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<TensorData> {
        self.tensors.get(name).cloned()
    }

    /// The tensor of this name, on a device in double precision.
    #[track_caller]
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.data(name), (device, DType::F64))
    }

    /// The numbers of an integer tensor.
    #[track_caller]
    pub fn integers(&self, name: &str) -> Vec<usize> {
        let numbers = self.data(name);
        numbers.iter::<i64>().map(|n| usize::try_from(n).expect("not negative")).collect()
    }

    /// The string of this name in the file's metadata.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        self.metadata.get(name).unwrap_or_else(|| panic!("the fixture has no text `{name}`"))
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }
}
