//! Weights to PyTorch.

use burn::{module::Param, prelude::*, tensor::TensorData};
use recurrent_cells::{AnyCell, Bidirectional, Stack};
use recurrent_pytorch::{StateDict, add_to};

use super::{
    ConvertError, Weights,
    known::{typed, typed_both, with_known},
};

/// Puts parameters into a state dict.
pub(super) struct Writer(pub(super) StateDict);

impl Writer {
    fn put(&mut self, key: &str, tensor: TensorData) -> Result<(), ConvertError> {
        Ok(self.0.insert(key, tensor)?)
    }
}

impl Weights for Writer {
    fn plain<const D: usize>(
        &mut self,
        key: &str,
        parameter: &mut Param<Tensor<D>>,
    ) -> Result<(), ConvertError> {
        self.put(key, parameter.val().into_data())
    }

    fn linear(&mut self, key: &str, weight: &mut Param<Tensor<2>>) -> Result<(), ConvertError> {
        self.put(key, weight.val().transpose().into_data())
    }

    fn row(&mut self, key: &str, weight: &mut Param<Tensor<1>>) -> Result<(), ConvertError> {
        self.put(key, weight.val().unsqueeze::<2>().into_data())
    }

    fn same(
        &mut self,
        key: &str,
        _: &str,
        parameter: &Param<Tensor<2>>,
    ) -> Result<(), ConvertError> {
        self.put(key, parameter.val().into_data())
    }

    fn one_way(&mut self, key: &str, cells: Vec<&mut AnyCell>) -> Result<(), ConvertError> {
        with_known!(cells[0], C, _choice => {
            let layers = cells.iter().map(|cell| typed::<C>(cell)).collect();
            Ok(add_to(&Stack::new(layers), &mut self.0, key)?)
        })
    }

    fn both_ways(
        &mut self,
        key: &str,
        layers: Vec<&mut Bidirectional<AnyCell>>,
    ) -> Result<(), ConvertError> {
        with_known!(&layers[0].forward, C, _choice => {
            let layers = layers.iter().map(|layer| typed_both::<C>(layer)).collect();
            Ok(add_to(&Stack::new(layers), &mut self.0, key)?)
        })
    }
}
