//! Gradients against central differences, in double precision.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId},
    prelude::*,
    tensor::{DType, TensorData},
};

const STEP: f64 = 1e-5;

/// How far a central difference may be off by rounding and by its third derivative, for a loss of 1.
const NOISE: f64 = 1e-9;

/// Checks the gradient of every parameter of `module` against central differences of `loss`:
/// `|analytic − numeric| ≤ tolerance · |numeric| + 1e-9 · max(1, |loss|)` for every single element.
///
/// `module` must be on an autodiff device and in double precision, see [`in_f64`](crate::in_f64).
/// `loss` must give the same number for the same module.
///
/// # Panics
///
/// If a gradient is missing or off, or there is no parameter at all.
#[track_caller]
pub fn check_gradients<M: Module>(module: &M, tolerance: f64, loss: impl Fn(&M) -> Tensor<1>) {
    let value = loss(module);
    let noise = NOISE * value.clone().into_scalar::<f64>().abs().max(1.0);
    let gradients = value.backward();
    let mut seen = Seen { gradients: &gradients, parameters: Vec::new() };
    module.visit(&mut seen);
    assert!(!seen.parameters.is_empty(), "the module has no parameters");

    for (id, name, value, gradient) in seen.parameters {
        let analytic = gradient.unwrap_or_else(|| panic!("`{name}` gets no gradient"));
        for (n, analytic) in analytic.iter::<f64>().enumerate() {
            let at = |shift: f64| {
                let mut data = value.clone();
                data.as_mut_slice::<f64>().expect("double precision")[n] += shift;
                let moved = module.clone().map(&mut Replace { id, data: &data });
                loss(&moved).into_scalar::<f64>()
            };
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (analytic - numeric).abs() <= tolerance * numeric.abs() + noise,
                "`{name}` element {n}: gradient {analytic}, by differences {numeric}"
            );
        }
    }
}

/// Checks the gradient of `loss` with respect to `input` against central differences, as
/// [`check_gradients`] does for parameters.
///
/// # Panics
///
/// If the gradient is missing or off.
#[track_caller]
pub fn check_input_gradient<const D: usize>(
    input: Tensor<D>,
    tolerance: f64,
    loss: impl Fn(Tensor<D>) -> Tensor<1>,
) {
    let input = input.detach().require_grad();
    let value = loss(input.clone());
    let noise = NOISE * value.clone().into_scalar::<f64>().abs().max(1.0);
    let gradients = value.backward();
    let analytic = input.grad(&gradients).expect("the input gets a gradient").into_data();
    for (n, analytic) in analytic.iter::<f64>().enumerate() {
        let at = |shift: f64| {
            let mut data = input.to_data();
            data.as_mut_slice::<f64>().expect("double precision")[n] += shift;
            let moved = Tensor::from_data(data, (&input.device(), DType::F64));
            loss(moved).into_scalar::<f64>()
        };
        let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        assert!(
            (analytic - numeric).abs() <= tolerance * numeric.abs() + noise,
            "element {n}: gradient {analytic}, by differences {numeric}"
        );
    }
}

/// Every element of the gradient of every parameter that has one, in their order.
pub fn all_gradients<M: Module>(module: &M, gradients: &burn::tensor::Gradients) -> Vec<f64> {
    let mut seen = Seen { gradients, parameters: Vec::new() };
    module.visit(&mut seen);
    let gradients = seen.parameters.into_iter().filter_map(|(.., gradient)| gradient);
    gradients.flat_map(|gradient| gradient.iter::<f64>().collect::<Vec<f64>>()).collect()
}

struct Seen<'a> {
    gradients: &'a burn::tensor::Gradients,
    parameters: Vec<(ParamId, String, TensorData, Option<TensorData>)>,
}

impl ModuleVisitor for Seen<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).map(Tensor::into_data);
        let name = format!("parameter {} {}", self.parameters.len(), param.shape());
        self.parameters.push((param.id, name, param.val().into_data(), gradient));
    }
}

struct Replace<'a> {
    id: ParamId,
    data: &'a TensorData,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        let (id, value, mapper) = param.consume();
        let value = Tensor::from_data(self.data.clone(), (&value.device(), DType::F64));
        Param::from_mapped_value(id, value.require_grad(), mapper)
    }
}
