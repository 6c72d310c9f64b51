//! What is measured: one piece of work that every side does.

use std::{collections::BTreeMap, fmt};

use burn::{
    prelude::*,
    tensor::{DType, TensorData},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;

use crate::{attention, decode, growth, int8, layer, peer::PeerName, product, reservoir, step};

/// A piece of work, ready to be done again and again.
pub type Work = Box<dyn FnMut()>;

/// Named numbers that every side starts from: weights and inputs.
pub type Numbers = BTreeMap<String, TensorData>;

/// Which sides of a case compute on the processor, whatever the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnProcessor {
    /// None: all compute on the device.
    #[default]
    None,
    /// Ours; in single precision we compute on the device.
    Ours,
    /// All.
    All,
}

/// Where a case is on a line of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinePoint {
    /// Which line.
    pub line: &'static str,
    /// How far along it.
    pub at: usize,
}

/// One piece of work.
pub trait Case: fmt::Debug {
    /// Its name, from the family to the particular: `layer/lstm/32x50x256/training`.
    fn name(&self) -> String;

    /// What a peer is told of it.
    fn described(&self) -> Value;

    /// Who does it beside us.
    fn peer(&self) -> PeerName {
        PeerName::PyTorch
    }

    /// The line of growth that it is a point of.
    fn line(&self) -> Option<LinePoint> {
        None
    }

    /// Multiplications and additions in its matrix products, where they are nearly all of it.
    fn flops(&self) -> Option<f64> {
        None
    }

    /// Whether it is in the picture.
    fn is_pictured(&self) -> bool {
        true
    }

    /// Which sides compute on the processor, whatever the device: they are measured once, not for every device.
    fn on_processor(&self) -> OnProcessor {
        OnProcessor::None
    }

    /// The weights and inputs, the same at every call.
    fn numbers(&self) -> Numbers;

    /// Our side of it.
    fn ours(&self, device: &Device) -> Work;

    /// The same with Burn's own module, if it has one.
    fn burn(&self, _device: &Device) -> Option<Work> {
        None
    }

    /// The same by us in single precision, where our side is in fewer bits or more.
    fn single_precision(&self, _device: &Device) -> Option<Work> {
        None
    }

    /// Numbers that come out of our side and that a peer must get, too; to compare, not to measure.
    fn results(&self, device: &Device) -> Vec<f64>;

    /// As [`results`](Self::results), by Burn's own module.
    fn burn_results(&self, _device: &Device) -> Option<Vec<f64>> {
        None
    }
}

/// Every case of every family, in the order in which they are measured.
pub fn all() -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    cases.extend(product::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(int8::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(layer::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(attention::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(step::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(decode::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(growth::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(reservoir::all().map(|case| Box::new(case) as Box<dyn Case>));
    cases
}

/// Small cases of every family and kind, to compare the results of the sides.
pub fn small() -> Vec<Box<dyn Case>> {
    let mut cases: Vec<Box<dyn Case>> = Vec::new();
    cases.extend(layer::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(attention::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(step::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(decode::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(int8::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases.extend(reservoir::small().map(|case| Box::new(case) as Box<dyn Case>));
    cases
}

/// Whether `name` is `wanted` or in the family that `wanted` names, from the left: `layer/lstm`.
pub fn is_wanted(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Uniform numbers within `width` of 0, the same for the same seed.
pub fn uniform(shape: &[usize], width: f32, seed: u64) -> TensorData {
    let mut rng = StdRng::seed_from_u64(seed);
    let count = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|_| rng.random_range(-width..width)).collect();
    TensorData::new(numbers, shape.to_vec())
}

/// The numbers as a safetensors file.
///
/// # Panics
///
/// If they are neither in single nor in double precision.
pub fn to_file(numbers: &Numbers) -> Vec<u8> {
    let view = |(name, data): (&String, &TensorData)| {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            other => panic!("`{name}` is in single or double precision, not {other:?}"),
        };
        (name.clone(), dtype, data.shape().to_vec(), data.as_bytes().to_vec())
    };
    let parts: Vec<_> = numbers.iter().map(view).collect();
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.expect("as many bytes as the shape says"))
    });
    safetensors::serialize(views, None).expect("names are different")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_different_and_found_by_their_families() {
        let names: Vec<String> = all().iter().map(|case| case.name()).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(names.iter().any(|name| is_wanted(name, "layer/lstm")));
        assert!(is_wanted("layer/lstm/a", "layer/lstm") && is_wanted("layer", "layer"));
        assert!(!is_wanted("layer/lstm_b", "layer/lstm") && !is_wanted("layer", "layer/lstm"));
    }
}
