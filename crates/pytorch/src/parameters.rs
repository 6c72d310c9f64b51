//! The parameters of one direction of one layer, under PyTorch's names and in our layout.

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, TensorData},
};

use crate::{PytorchError, StateDict};

/// The parameters of one direction of one layer of a state dict.
#[derive(Debug)]
pub struct ParameterReader<'a> {
    pub(crate) dict: &'a StateDict,
    pub(crate) prefix: &'a str,
    /// `_l0`, `_l1_reverse`.
    pub(crate) suffix: String,
    pub(crate) dtype: DType,
    /// The length of every bias.
    pub(crate) d_bias: usize,
    pub(crate) device: &'a Device,
}

impl ParameterReader<'_> {
    /// A matrix, `[out, in]` in the file, as `[in, out]`.
    ///
    /// # Errors
    ///
    /// If there is no such parameter.
    ///
    /// # Panics
    ///
    /// If it is not a matrix.
    pub fn matrix(&self, parameter: &str) -> Result<Param<Tensor<2>>, PytorchError> {
        let data = transposed(self.dict.get(&self.key(parameter))?);
        Ok(Param::from_tensor(Tensor::from_data(data, (self.device, self.dtype))))
    }

    /// A bias; zeros if the file has none.
    ///
    /// # Errors
    ///
    /// If it cannot be had from the file.
    pub fn bias(&self, parameter: &str) -> Result<Param<Tensor<1>>, PytorchError> {
        self.vector(parameter).map(Param::from_tensor)
    }

    /// `bias_ih + bias_hh`.
    ///
    /// # Errors
    ///
    /// As [`bias`](Self::bias).
    pub fn summed_bias(&self) -> Result<Param<Tensor<1>>, PytorchError> {
        let sum = self.vector("bias_ih")? + self.vector("bias_hh")?;
        Ok(Param::from_tensor(sum.detach()))
    }

    fn vector(&self, parameter: &str) -> Result<Tensor<1>, PytorchError> {
        let (key, options) = (self.key(parameter), (self.device, self.dtype));
        if self.dict.contains(&key) {
            Ok(Tensor::from_data(self.dict.get(&key)?, options))
        } else {
            Ok(Tensor::zeros([self.d_bias], options))
        }
    }

    fn key(&self, parameter: &str) -> String {
        format!("{}{parameter}{}", self.prefix, self.suffix)
    }
}

/// Where the parameters of one direction of one layer go.
#[derive(Debug)]
pub struct ParameterWriter<'a> {
    pub(crate) dict: &'a mut StateDict,
    pub(crate) prefix: &'a str,
    /// `_l0`, `_l1_reverse`.
    pub(crate) suffix: String,
}

impl ParameterWriter<'_> {
    /// A matrix, `[in, out]`, as `[out, in]`.
    ///
    /// # Errors
    ///
    /// [`UnsupportedDtype`](PytorchError::UnsupportedDtype) if it is not F64, F32, F16 or BF16.
    pub fn matrix(&mut self, parameter: &str, value: &Tensor<2>) -> Result<(), PytorchError> {
        self.insert(parameter, transposed(value.to_data()))
    }

    /// A bias.
    ///
    /// # Errors
    ///
    /// As [`matrix`](Self::matrix).
    pub fn bias(&mut self, parameter: &str, value: &Tensor<1>) -> Result<(), PytorchError> {
        self.insert(parameter, value.to_data())
    }

    /// The only bias of a cell, as `bias_ih`; `bias_hh` is zero.
    ///
    /// # Errors
    ///
    /// As [`matrix`](Self::matrix).
    pub fn summed_bias(&mut self, value: &Tensor<1>) -> Result<(), PytorchError> {
        self.bias("bias_ih", value)?;
        self.bias("bias_hh", &value.zeros_like())
    }

    fn insert(&mut self, parameter: &str, data: TensorData) -> Result<(), PytorchError> {
        self.dict.insert(&format!("{}{parameter}{}", self.prefix, self.suffix), data)
    }
}

/// `[rows, columns]` to `[columns, rows]`, in memory: a product with a view of the transposed
/// weights would gather them anew at every step.
fn transposed(data: TensorData) -> TensorData {
    let (dtype, size) = (data.dtype(), data.dtype().size());
    let [rows, columns] = data.shape().dims();
    let bytes = data.as_bytes();
    let mut turned = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let start = (row * columns + column) * size;
            turned.extend_from_slice(&bytes[start..start + size]);
        }
    }
    TensorData::from_bytes_vec(turned, [columns, rows], dtype)
}
