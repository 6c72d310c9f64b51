//! Weights from PyTorch.

use std::collections::BTreeSet;

use burn::{
    module::{Module, ModuleMapper, Param},
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_cells::{AnyCell, Bidirectional, Cell, Stack, State};
use recurrent_pytorch::{PytorchCell, PytorchLayer, StateDict, load};

use super::{
    ConvertError, Weights,
    known::{Known, typed, typed_both, with_known},
};

/// Takes parameters from a state dict.
pub(super) struct Loader<'a> {
    pub(super) dict: &'a StateDict,
    /// Empty, or with a dot at its end.
    pub(super) prefix: String,
    pub(super) used: BTreeSet<String>,
    /// Of the parameters so far.
    pub(super) dtype: Option<DType>,
}

impl Loader<'_> {
    fn take(&mut self, key: &str) -> Result<TensorData, ConvertError> {
        let key = format!("{}{key}", self.prefix);
        let data = self.dict.get(&key)?;
        let (dtype, expected) = (data.dtype(), *self.dtype.get_or_insert(data.dtype()));
        if dtype != expected {
            return Err(ConvertError::Dtype { key, dtype, expected });
        }
        self.used.insert(key);
        Ok(widened(data))
    }

    /// As [`take`](Self::take), of this shape.
    fn shaped(&mut self, key: &str, model: &[usize]) -> Result<TensorData, ConvertError> {
        let data = self.take(key)?;
        let (key, file) = (format!("{}{key}", self.prefix), data.shape().to_vec());
        match file == model {
            true => Ok(data),
            false => Err(ConvertError::Shape { key, file, model: model.to_vec() }),
        }
    }

    /// The layers of a recurrent module.
    fn layers<L: PytorchLayer>(
        &mut self,
        key: &str,
        choice: <L::Cell as PytorchCell>::Choice,
        model: &Stack<L>,
        device: &Device,
    ) -> Result<Vec<L>, ConvertError> {
        let key = format!("{}{key}", self.prefix);
        let found = load::<L>(self.dict, &key, choice, device)?;
        let (file, model) = (sizes(&found)?, sizes(model)?);
        if file != model {
            return Err(ConvertError::Layers { key, file, model });
        }
        let below = format!("{key}.");
        let names = self.dict.keys().filter_map(|name| name.strip_prefix(&below));
        let names: Vec<&str> = names.filter(|name| !name.contains('.')).collect();
        for name in names {
            // The module itself has been checked; that it fits the others is left.
            self.take(&format!("{}.{name}", &key[self.prefix.len()..]))?;
        }
        Ok(found.map(&mut Widen).layers)
    }

    pub(super) fn finish(self) -> Result<(), ConvertError> {
        let here = self.dict.keys().filter(|key| key.starts_with(&self.prefix));
        let unknown = here.filter(|key| !self.used.contains(*key)).map(str::to_owned);
        let keys: Vec<String> = unknown.collect();
        if keys.is_empty() { Ok(()) } else { Err(ConvertError::Unknown { keys }) }
    }
}

/// "2 layers, 8 to 16 to 16", of one direction.
fn sizes<L: PytorchLayer>(stack: &Stack<L>) -> Result<String, ConvertError> {
    let mut widths = Vec::new();
    for layer in &stack.layers {
        let cell = layer.cells()?[0];
        if widths.is_empty() {
            widths.push(cell.d_input().to_string());
        }
        widths.push(cell.d_hidden().to_string());
    }
    let layers = match stack.layers.len() {
        1 => "1 layer".to_owned(),
        count => format!("{count} layers"),
    };
    Ok(format!("{layers}, {} features", widths.join(" to ")))
}

/// Half precision is for files; models compute in single or double.
fn widened(data: TensorData) -> TensorData {
    match data.dtype() {
        DType::F16 | DType::BF16 => data.convert_dtype(DType::F32),
        _ => data,
    }
}

struct Widen;

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.val().dtype() {
            DType::F16 | DType::BF16 => param.map(|value| value.cast(DType::F32).detach()),
            _ => param,
        }
    }
}

fn tensor<const D: usize>(data: TensorData, device: &Device) -> Tensor<D> {
    let dtype = data.dtype();
    Tensor::from_data(data, (device, dtype))
}

fn cell_device(cell: &AnyCell) -> Device {
    cell.initial_state(1).parts()[0].1.device()
}

impl Weights for Loader<'_> {
    fn plain<const D: usize>(
        &mut self,
        key: &str,
        parameter: &mut Param<Tensor<D>>,
    ) -> Result<(), ConvertError> {
        let data = self.shaped(key, &parameter.dims())?;
        *parameter = Param::from_tensor(tensor(data, &parameter.val().device()));
        Ok(())
    }

    fn linear(&mut self, key: &str, weight: &mut Param<Tensor<2>>) -> Result<(), ConvertError> {
        let ([rows, columns], device) = (weight.dims(), weight.val().device());
        let turned = tensor::<2>(self.shaped(key, &[columns, rows])?, &device).transpose();
        // Laid out anew: a product would gather a view at every step.
        *weight = Param::from_tensor(tensor(turned.into_data(), &device));
        Ok(())
    }

    fn row(&mut self, key: &str, weight: &mut Param<Tensor<1>>) -> Result<(), ConvertError> {
        let ([count], device) = (weight.dims(), weight.val().device());
        let row = tensor::<2>(self.shaped(key, &[1, count])?, &device);
        *weight = Param::from_tensor(row.reshape([count]));
        Ok(())
    }

    /// PyTorch writes a shared parameter under both its names, but some tools under one.
    fn same(
        &mut self,
        key: &str,
        other: &str,
        parameter: &Param<Tensor<2>>,
    ) -> Result<(), ConvertError> {
        let full = format!("{}{key}", self.prefix);
        if !self.dict.keys().any(|key| key == full) {
            return Ok(());
        }
        let data = self.shaped(key, &parameter.dims())?;
        match data.as_bytes() == parameter.val().into_data().as_bytes() {
            true => Ok(()),
            false => {
                Err(ConvertError::Tied { key: full, other: format!("{}{other}", self.prefix) })
            }
        }
    }

    fn one_way(&mut self, key: &str, cells: Vec<&mut AnyCell>) -> Result<(), ConvertError> {
        let device = cell_device(cells[0]);
        with_known!(cells[0], C, choice => {
            let model = Stack::new(cells.iter().map(|cell| typed::<C>(cell)).collect());
            let found = self.layers(key, choice, &model, &device)?;
            for (cell, found) in cells.into_iter().zip(found) {
                *cell = found.any();
            }
            Ok(())
        })
    }

    fn both_ways(
        &mut self,
        key: &str,
        layers: Vec<&mut Bidirectional<AnyCell>>,
    ) -> Result<(), ConvertError> {
        let device = cell_device(&layers[0].forward);
        with_known!(&layers[0].forward, C, choice => {
            let model = Stack::new(layers.iter().map(|layer| typed_both::<C>(layer)).collect());
            let found = self.layers(key, choice, &model, &device)?;
            for (layer, found) in layers.into_iter().zip(found) {
                layer.forward = found.forward.any();
                layer.backward = found.backward.any();
            }
            Ok(())
        })
    }
}
