//! The parameters of any module as a safetensors file, under their paths in the module.
//!
//! Numbers keep their dtype and their bits, whatever they are. An autodiff device, gradients and
//! parameter ids are not part of the file.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    prelude::*,
    tensor::{DType, TensorData},
};
use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};
use thiserror::Error;

// Bytes go from file to tensor as they are, and the format is little-endian.
#[cfg(target_endian = "big")]
compile_error!("weights are read and written on little-endian machines");

/// What a file says about one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its path in the module, `encoder.layers.0.w_h`.
    pub name: String,
    /// Its type as safetensors names it, `F32`.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// How many numbers it has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A tensor as safetensors writes it.
pub(crate) struct Bytes {
    /// Its type.
    pub(crate) dtype: Dtype,
    /// Its shape.
    pub(crate) shape: Vec<usize>,
    /// Its numbers, in little-endian order.
    pub(crate) data: Vec<u8>,
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The content of a safetensors file with all parameters of `module`. Equal parameters give equal
/// bytes.
///
/// # Errors
///
/// If a parameter is of another type than F64, F32, F16 or BF16.
pub fn to_bytes<M: Module>(module: &M) -> Result<Vec<u8>, WeightsError> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    let mut views = Vec::with_capacity(collect.tensors.len());
    for (name, data) in &collect.tensors {
        let dtype = file_dtype(name, data.dtype())?;
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes());
        views.push((name, view.map_err(|reason| WeightsError::Damaged(reason.to_string()))?));
    }
    let header = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(header));
    bytes.map_err(|reason| WeightsError::Damaged(reason.to_string()))
}

/// `module` with the parameters of a safetensors file, on its own device.
///
/// # Errors
///
/// If the bytes are no safetensors file, or its tensors are not exactly the parameters of `module`.
pub fn from_bytes<M: Module>(module: M, bytes: &[u8]) -> Result<M, WeightsError> {
    let file = parsed(bytes)?;
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    check(&shapes.shapes, &file)?;
    let mut load = Load { path: Path::default(), file: &file, unsupported: None };
    let module = module.map(&mut load);
    match load.unsupported {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// What is in a safetensors file, sorted by name.
///
/// # Errors
///
/// If the bytes are no safetensors file.
pub fn list(bytes: &[u8]) -> Result<Vec<Parameter>, WeightsError> {
    let file = parsed(bytes)?;
    let parameters = file.iter().map(|(name, view)| Parameter {
        name: name.to_owned(),
        dtype: view.dtype().to_string(),
        shape: view.shape().to_vec(),
    });
    let mut parameters: Vec<_> = parameters.collect();
    parameters.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(parameters)
}

/// Why a file and a module do not belong together.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The bytes are cut short or something else altogether.
    #[error("not a safetensors file: {0}")]
    Damaged(String),
    /// Parameters of the module and tensors of the file have different names.
    #[error("{}", mismatch(missing, unknown))]
    Names {
        /// What the module has and the file has not.
        missing: Vec<String>,
        /// What the file has and the module has not.
        unknown: Vec<String>,
    },
    /// A parameter has another shape in the file.
    #[error("`{name}` is {file:?} in the file, but {module:?} in the model")]
    Shape {
        /// Which parameter.
        name: String,
        /// Its shape in the file.
        file: Vec<usize>,
        /// Its shape in the module.
        module: Vec<usize>,
    },
    /// A parameter is of a type that no weight has.
    #[error("`{name}` is {dtype}, but weights are F64, F32, F16 or BF16")]
    Dtype {
        /// Which parameter.
        name: String,
        /// Its type.
        dtype: String,
    },
}

/// The first few of `names`, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 5;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len() {
        count if count > MOST => format!("{} and {} more", shown.join(", "), count - MOST),
        _ => shown.join(", "),
    }
}

fn mismatch(missing: &[String], unknown: &[String]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("the model has {}, the file has not", listed(missing)));
    }
    if !unknown.is_empty() {
        parts.push(format!("the file has {}, the model has not", listed(unknown)));
    }
    parts.join("; ")
}

fn parsed(bytes: &[u8]) -> Result<SafeTensors<'_>, WeightsError> {
    SafeTensors::deserialize(bytes).map_err(|reason| WeightsError::Damaged(reason.to_string()))
}

fn check(
    module: &BTreeMap<String, Vec<usize>>,
    file: &SafeTensors<'_>,
) -> Result<(), WeightsError> {
    let in_file: BTreeMap<&str, _> = file.iter().collect();
    let names = module.keys().filter(|name| !in_file.contains_key(name.as_str()));
    let missing: Vec<_> = names.cloned().collect();
    let names = in_file.keys().filter(|name| !module.contains_key(**name));
    let unknown: Vec<_> = names.map(|&name| name.to_owned()).collect();
    if !missing.is_empty() || !unknown.is_empty() {
        return Err(WeightsError::Names { missing, unknown });
    }
    for (name, shape) in module {
        let view = &in_file[name.as_str()];
        if view.shape() != shape {
            let (name, file) = (name.clone(), view.shape().to_vec());
            return Err(WeightsError::Shape { name, file, module: shape.clone() });
        }
    }
    Ok(())
}

fn file_dtype(name: &str, dtype: DType) -> Result<Dtype, WeightsError> {
    match dtype {
        DType::F64 => Ok(Dtype::F64),
        DType::F32 => Ok(Dtype::F32),
        DType::F16 => Ok(Dtype::F16),
        DType::BF16 => Ok(Dtype::BF16),
        other => Err(WeightsError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") }),
    }
}

fn tensor_data(name: &str, view: &TensorView<'_>) -> Result<TensorData, WeightsError> {
    let dtype = match view.dtype() {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => {
            return Err(WeightsError::Dtype { name: name.to_owned(), dtype: other.to_string() });
        }
    };
    Ok(TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype))
}

/// Where in the module a walk is.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Collect {
    path: Path,
    tensors: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.insert(self.path.name(), param.transform_for_save().val().to_data());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.tensors.insert(self.path.name(), param.val().to_data());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.tensors.insert(self.path.name(), param.val().to_data());
    }
}

#[derive(Default)]
struct Shapes {
    path: Path,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.shapes.insert(self.path.name(), param.transform_for_save().val().dims().to_vec());
    }
}

struct Load<'a> {
    path: Path,
    file: &'a SafeTensors<'a>,
    unsupported: Option<WeightsError>,
}

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let view = self.file.tensor(&name).expect("names were compared before");
        match tensor_data(&name, &view) {
            Ok(data) => {
                let (id, device, dtype) = (param.id, param.lazy_device(), data.dtype());
                param.transform_for_load(Tensor::from_data(data, (&device, dtype)), id)
            }
            Err(error) => {
                self.unsupported = Some(error);
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        layers: Vec<Linear>,
        scale: Option<Param<Tensor<1>>>,
        shift: Option<Param<Tensor<1>>>,
    }

    fn two(width: usize, device: &Device) -> Two {
        let layer = |input| LinearConfig::new(input, width).init(device);
        let scale = Param::from_tensor(Tensor::ones([width], device));
        Two { layers: vec![layer(3), layer(width)], scale: Some(scale), shift: None }
    }

    fn names(bytes: &[u8]) -> Vec<String> {
        list(bytes).unwrap().into_iter().map(|parameter| parameter.name).collect()
    }

    #[test]
    fn every_bit_comes_back() {
        let device = Device::flex();
        // Not a number with a payload, a signalling one, the smallest number, minus zero.
        let bits = [0x7FC0_1234_u32, 0xFF80_0001, 0x0000_0001, 0x8000_0000];
        let odd = TensorData::new(bits.map(f32::from_bits).to_vec(), [4]);
        let odd = Param::from_tensor(Tensor::from_data(odd, &device));
        let module = Two { scale: Some(odd), ..two(4, &device) };
        let bytes = to_bytes(&module).unwrap();
        let expected = ["layers.0.bias", "layers.0.weight", "layers.1.bias", "layers.1.weight"];
        assert_eq!(names(&bytes)[..4], expected);
        let loaded = from_bytes(two(4, &device), &bytes).unwrap();
        assert_eq!(to_bytes(&loaded).unwrap(), bytes);
        let scale = loaded.scale.unwrap().val().to_data();
        let back: Vec<u32> =
            scale.as_bytes().chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(back, bits);
    }

    #[test]
    fn the_dtype_of_the_file_is_kept_and_gradients_too() {
        let device = Device::flex();
        let wide = recurrent_testkit::in_f64(two(2, &device));
        let bytes = to_bytes(&wide).unwrap();
        assert_eq!(list(&bytes).unwrap()[0].dtype, "F64");
        let loaded = from_bytes(two(2, &device.clone().autodiff()), &bytes).unwrap();
        assert_eq!(to_bytes(&loaded).unwrap(), bytes);
        let weight = loaded.layers[0].weight.val();
        assert!(weight.is_require_grad() && weight.device().is_autodiff());
        assert_eq!(weight.dtype(), DType::F64);
    }

    #[test]
    fn other_names_are_listed_on_both_sides() {
        let device = Device::flex();
        let bytes = to_bytes(&two(2, &device)).unwrap();
        let shift = Some(Param::from_tensor(Tensor::ones([2], &device)));
        let other = Two { scale: None, shift, ..two(2, &device) };
        let error = from_bytes(other, &bytes).unwrap_err().to_string();
        let expected =
            "the model has `shift`, the file has not; the file has `scale`, the model has not";
        assert_eq!(error, expected);
    }

    #[test]
    fn another_shape_is_named() {
        let device = Device::flex();
        let bytes = to_bytes(&two(2, &device)).unwrap();
        let error = from_bytes(two(5, &device), &bytes).unwrap_err().to_string();
        assert_eq!(error, "`layers.0.bias` is [2] in the file, but [5] in the model");
    }

    #[test]
    fn a_cut_file_is_refused() {
        let device = Device::flex();
        let bytes = to_bytes(&two(2, &device)).unwrap();
        for length in [0, 5, 60, bytes.len() - 1] {
            let error = from_bytes(two(2, &device), &bytes[..length]).unwrap_err();
            assert!(matches!(error, WeightsError::Damaged(_)), "{error}");
        }
    }

    #[test]
    fn counts_are_refused() {
        #[derive(Module, Debug)]
        struct Counter {
            steps: Param<Tensor<1, Int>>,
        }
        let steps = Tensor::<1, Int>::zeros([1], &Device::flex());
        let counter = Counter { steps: Param::initialized(burn::module::ParamId::new(), steps) };
        let error = to_bytes(&counter).unwrap_err().to_string();
        assert!(error.contains("`steps` is"), "{error}");
    }
}
