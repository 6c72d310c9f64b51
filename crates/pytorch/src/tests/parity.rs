//! The function and all its gradients are PyTorch's.

use std::path::{Path, PathBuf};

use burn::{
    module::{Module, ModuleMapper, Param},
    prelude::*,
    tensor::{Gradients, TensorData},
};
use recurrent_cells::{Layer, Lengths};
use recurrent_testkit::{Fixture, assert_close};
use rstest::rstest;

use super::{Check, Chosen, check, packed, unpacked};
use crate::{PytorchLayer, StateDict, load, save};

const TOLERANCE: f64 = 1e-10;

#[rstest]
fn a_module_computes_what_pytorch_computes(
    #[files("fixtures/*.safetensors")]
    #[exclude("nested")]
    path: PathBuf,
) {
    check::<Parity>(&path);
}

/// A module in a model, under a prefix; there are no gradients.
#[rstest]
fn a_module_of_a_model_computes_what_pytorch_computes(
    #[files("fixtures/nested.safetensors")] path: PathBuf,
) {
    check::<Outputs>(&path);
}

/// What went in and what came out.
struct Run<L: PytorchLayer> {
    stack: recurrent_cells::Stack<L>,
    x: Tensor<3>,
    h0: Tensor<3>,
    c0: Option<Tensor<3>>,
    y: Tensor<3>,
    h_n: Tensor<3>,
    c_n: Option<Tensor<3>>,
}

impl<L: PytorchLayer<Cell: Chosen>> Run<L> {
    fn of(path: &Path, fixture: &Fixture) -> Self {
        let device = Device::flex().autodiff();
        let dict = StateDict::read(path).unwrap();
        let choice = L::Cell::choice(fixture);
        let stack = load::<L>(&dict, fixture.text("prefix"), choice, &device).unwrap();
        assert_eq!(stack.layers.len().to_string(), fixture.text("num_layers"));

        let input = |name| fixture.tensor::<3>(name, &device).require_grad();
        let (x, h0) = (input("io.x"), input("io.h0"));
        let c0 = fixture.get("io.c0").map(|_| input("io.c0"));
        let lengths = Lengths::new(fixture.integers("io.lengths"), x.dims()[1]);
        let start = unpacked(&stack, &h0, c0.as_ref());
        let (y, last) = stack.forward(x.clone(), start, &lengths);
        let (h_n, c_n) = packed(last);
        Self { stack, x, h0, c0, y, h_n, c_n }
    }

    fn outputs(&self) -> Vec<(&'static str, &Tensor<3>)> {
        let c_n = self.c_n.as_ref().map(|c_n| ("c_n", c_n));
        [("y", &self.y), ("h_n", &self.h_n)].into_iter().chain(c_n).collect()
    }

    fn inputs(&self) -> Vec<(&'static str, &Tensor<3>)> {
        let c0 = self.c0.as_ref().map(|c0| ("c0", c0));
        [("x", &self.x), ("h0", &self.h0)].into_iter().chain(c0).collect()
    }
}

struct Outputs;

impl Check for Outputs {
    fn run<L: PytorchLayer<Cell: Chosen>>(path: &Path, fixture: &Fixture) {
        for (name, actual) in Run::<L>::of(path, fixture).outputs() {
            assert_close(actual, fixture.data(&format!("io.{name}")), TOLERANCE);
        }
    }
}

struct Parity;

impl Check for Parity {
    fn run<L: PytorchLayer<Cell: Chosen>>(path: &Path, fixture: &Fixture) {
        Outputs::run::<L>(path, fixture);

        let run = Run::<L>::of(path, fixture);
        let weighed = run.outputs().into_iter().map(|(name, output)| {
            let weight = fixture.tensor(&format!("ct.{name}"), &output.device());
            (output.clone() * weight).sum()
        });
        let gradients = weighed.reduce(|a, b| a + b).unwrap().backward();
        for (name, input) in run.inputs() {
            let gradient = input.grad(&gradients).unwrap();
            assert_close(&gradient, fixture.data(&format!("grad.{name}")), TOLERANCE);
        }

        // Gradients have the layout of what they are of, so they go out as parameters do.
        let gradients = save(&run.stack.map(&mut ToGradient(&gradients)), "").unwrap();
        let summed = fixture.text("kind") != "GRU";
        let mut compared = 0;
        for name in fixture.names() {
            let Some(parameter) = name.strip_prefix("grad.").filter(|name| name.contains("_l"))
            else {
                continue;
            };
            // A sum passes its gradient on to both parts of it.
            let ours =
                if summed { parameter.replace("bias_hh", "bias_ih") } else { parameter.to_owned() };
            assert_data_close(gradients.get(&ours).unwrap(), fixture.data(name), name);
            compared += 1;
        }
        let biases = fixture.text("bias") == "true";
        let all = gradients.keys().filter(|key| biases || !key.starts_with("bias")).count();
        assert_eq!(compared, all, "every parameter has been compared");
    }
}

fn assert_data_close(actual: TensorData, expected: TensorData, name: &str) {
    assert_eq!(actual.shape(), expected.shape(), "{name}");
    for (actual, expected) in actual.iter::<f64>().zip(expected.iter::<f64>()) {
        let difference = (actual - expected).abs() / expected.abs().max(1.0);
        assert!(difference <= TOLERANCE, "{name}: {actual}, PyTorch has {expected}");
    }
}

/// Puts its gradient in the place of every parameter.
struct ToGradient<'a>(&'a Gradients);

impl ModuleMapper for ToGradient<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradient = param.val().grad(self.0).expect("every parameter gets a gradient");
        Param::from_tensor(gradient)
    }
}
