//! What holds for every cell, and what holds for one. Names and doc lines carry the acceptance
//! identifiers they check (SK, LK, BI, LS, GR, X).

mod bidirectional;
mod golden;
mod gradients;
mod gru;
mod leaky;
mod lstm;
mod sequences;
mod skip;
mod stacks;
mod states;
mod wrappers;

use burn::{module::Param, prelude::*, tensor::DType};
use recurrent_testkit::{drawn, random};

use crate::*;

/// Something that is checked for cells of every kind.
trait ForEveryCell {
    fn check<C: Cell>(&mut self, name: &str, cell: C);
}

/// Every cell of this crate with `I = 3` and `H = 4`, with weights that depend on nothing but the
/// cell, on `device` and in `dtype`.
fn every_cell(device: &Device, dtype: DType, checks: &mut impl ForEveryCell) {
    let rnn = |activation| RnnConfig::new(3, 4).with_activation(activation).init(device);
    checks.check("rnn tanh", drawn(rnn(Activation::Tanh), dtype));
    checks.check("rnn relu", drawn(rnn(Activation::Relu), dtype));
    let leaky = |leak, average| {
        drawn(LeakyConfig::new(3, 4, leak).with_average(average).init(device), dtype)
    };
    let spectrum = LeakRate::Spectrum { longest: 8.0 };
    checks.check("leaky, average of the output", leaky(spectrum.clone(), Average::Output));
    checks.check("leaky, average of the sum", leaky(spectrum, Average::Sum));
    let learned = LeakRate::Learned { longest: 8.0 };
    checks.check("leaky, learned", leaky(learned, Average::Output));
    let skip = |delays: &[usize]| SkipConfig::new(3, 4, delays.to_vec()).init(device);
    checks.check("skip {1, 2}", drawn(skip(&[1, 2]), dtype));
    checks.check("skip {3}", drawn(skip(&[3]), dtype));
    checks.check("carousel", drawn(CarouselConfig::new(3, 4).init(device), dtype));
    let original = OriginalLstmConfig::new(3, 4);
    checks.check("original lstm", drawn(original.init(device), dtype));
    let logistic = original.with_squash(Squash::Logistic);
    checks.check("original lstm, logistic", drawn(logistic.init(device), dtype));
    let lstm = drawn(LstmConfig::new(3, 4).init(device), dtype);
    checks.check("lstm", lstm.clone());
    checks.check("peephole lstm", drawn(PeepholeLstmConfig::new(3, 4).init(device), dtype));
    checks.check("coupled lstm", drawn(CoupledLstmConfig::new(3, 4).init(device), dtype));
    checks.check("gnmt lstm", drawn(GnmtLstmConfig::new(3, 4).init(device), dtype));
    checks.check("gnmt lstm, clipped", clipped_lstm(device, dtype));
    checks.check("layer-norm lstm", drawn(LayerNormLstmConfig::new(3, 4).init(device), dtype));
    checks.check("projected lstm", drawn(ProjectedLstmConfig::new(3, 6, 4).init(device), dtype));
    for (reset, update) in [
        (Reset::AfterProduct, Update::Keeps),
        (Reset::AfterProduct, Update::Writes),
        (Reset::BeforeProduct, Update::Keeps),
        (Reset::BeforeProduct, Update::Writes),
    ] {
        let gru = GruConfig::new(3, 4).with_reset(reset).with_update(update);
        checks.check(&format!("gru {reset:?} {update:?}"), drawn(gru.init(device), dtype));
    }
    let start = drawn(LearnedStart::new(LstmConfig::new(3, 4).init(device)), dtype);
    checks.check("learned start", start);
    let delays = vec![1, 3];
    for kind in [CellKind::Gru, CellKind::PeepholeLstm, CellKind::Skip { delays }] {
        let name = format!("any cell, {kind:?}");
        checks.check(&name, drawn(kind.init(3, 4, device), dtype));
    }
}

/// GNMT's LSTM with a bound that clips some cells of the tests and leaves others alone.
fn clipped_lstm(device: &Device, dtype: DType) -> GnmtLstmCell {
    drawn(GnmtLstmConfig::new(3, 4).with_clip(Some(0.5)).init(device), dtype)
}

/// A parameter with the given values, in double precision.
fn param<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(value.cast(DType::F64))
}

/// Row-major numbers in double precision.
fn f64s<const D: usize>(data: impl Into<TensorData>, device: &Device) -> Tensor<D> {
    Tensor::from_data(data, (device, DType::F64))
}

/// `[B, T, 3]` inputs in double precision.
fn inputs(batch: usize, steps: usize, device: &Device) -> Tensor<3> {
    random([batch, steps, 3], 11, DType::F64, device)
}

/// A state that is not zero, with every part different.
fn busy_state<C: Cell>(cell: &C, batch: usize) -> C::State {
    let mut seed = 100;
    cell.initial_state(batch).map(&mut |_, part| {
        seed += 1;
        random(part.dims(), seed, part.dtype(), &part.device())
    })
}

/// The parts of a state, in order.
fn parts<S: State>(state: &S) -> Vec<Tensor<2>> {
    state.parts().into_iter().map(|(_, value)| value).collect()
}

#[track_caller]
fn assert_states_close<S: State>(actual: &S, expected: &S, tolerance: f64) {
    let (actual, expected) = (parts(actual), parts(expected));
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        recurrent_testkit::assert_close(actual, expected.into_data(), tolerance);
    }
}
