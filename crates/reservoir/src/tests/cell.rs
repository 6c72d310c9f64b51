//! A reservoir as a cell.

use burn::{module::Param, prelude::*, tensor::TensorData};
use recurrent_cells::{Layer, Leak, Lengths};
use recurrent_testkit::{assert_close, check_gradients, in_f64};
use rstest::rstest;

use super::{numbers, states};
use crate::{OneOrEach, ReservoirActivation, ReservoirConfig};

/// The states of the cell are those of the reservoir, whatever its weights and rates.
#[rstest]
fn a_cell_has_the_states_of_its_reservoir(
    #[values(0.1, 1.0)] density: f64,
    #[values(OneOrEach::One(1.0), OneOrEach::Each((1..=20).map(|n| f64::from(n) / 20.0).collect()))]
    leak: OneOrEach,
    #[values(ReservoirActivation::Tanh, ReservoirActivation::Identity)]
    activation: ReservoirActivation,
) {
    let config = ReservoirConfig {
        units: 20,
        density,
        leak,
        activation,
        bias_scaling: 0.3,
        ..ReservoirConfig::default()
    };
    let reservoir = config.init(2, 1, 7).unwrap();
    let u = numbers(60, 0);
    let expected = states(&reservoir, &u, &[0.0; 20]);
    let device = Device::flex();
    let cell = in_f64(reservoir.cell(&device).unwrap());
    let x =
        Tensor::<3>::from_data(TensorData::new(u, [1, 30, 2]), (&device, cell.w_x.val().dtype()));
    let (h, _) = cell.forward(x, None, &Lengths::full(1, 30));
    // The weights went through single precision.
    assert_close(&h, TensorData::new(expected, [1, 30, 20]), 1e-5);
}

/// all of its weights learn.
#[test]
fn x_1_a_reservoir_can_be_trained() {
    let leak = OneOrEach::One(0.5);
    let config = ReservoirConfig { units: 5, density: 0.4, leak, ..ReservoirConfig::default() };
    let reservoir = config.init(2, 1, 7).unwrap();
    let device = Device::flex().autodiff();
    let mut cell = reservoir.cell(&device).unwrap();
    // The rate as well, σ(0).
    cell.leak = Leak::Learned(Param::from_tensor(Tensor::zeros([5], &device)));
    let cell = in_f64(cell);
    let u = numbers(12, 3);
    check_gradients(&cell, 1e-6, |cell| {
        let dtype = cell.w_x.val().dtype();
        let x = Tensor::<3>::from_data(TensorData::new(u.clone(), [1, 6, 2]), (&device, dtype));
        let (h, _) = cell.forward(x, None, &Lengths::full(1, 6));
        h.powi_scalar(2).sum()
    });
}

#[test]
fn what_no_cell_does_is_refused() {
    let refused = |config: ReservoirConfig| {
        let reservoir = config.init(1, 1, 1).unwrap();
        reservoir.cell(&Device::flex()).unwrap_err().to_string()
    };
    let fed = ReservoirConfig { feedback_scaling: 0.5, ..ReservoirConfig::default() };
    assert!(refused(fed).contains("`feedback_scaling`"));
    let leak = OneOrEach::One(0.44);
    let kept = ReservoirConfig { leak, keep: Some(0.604), ..ReservoirConfig::default() };
    assert!(refused(kept).contains("`keep` is 0.604, expected 1 − leak"));
}
