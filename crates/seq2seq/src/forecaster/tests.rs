use recurrent_cells::Lengths;
use recurrent_testkit::{assert_close, check_gradients, drawn};
use rstest::rstest;

use super::*;
use crate::tests::{
    heads::{assert_batch_is, assert_saves, trained},
    moment,
};

fn config(cell: CellKind, says: Says) -> ForecasterConfig {
    ForecasterConfig { d_hidden: 3, layers: 2, cell, says, ..Default::default() }
}

/// In double precision, with weights of its own.
fn model(cell: CellKind, says: Says, device: &Device) -> Forecaster<AnyCell> {
    drawn(config(cell, says).init([2, 2], device), DType::F64)
}

fn numbers(count: usize, from: usize) -> Vec<f32> {
    (from..from + count).map(|n| (n as f32 * 12.9898).sin()).collect()
}

fn batch() -> WindowBatch {
    let rows = |from: usize| Series::new(&[numbers(10, from), numbers(10, from + 20)], 2);
    WindowBatch { u: rows(0), d: rows(2), lead_in: 2 }
}

/// The loss is the mean over columns of the squared errors of the steps behind the lead-in, and X-1 for every
/// parameter.
#[rstest]
fn x_1_the_loss_and_its_gradients(
    #[values(CellKind::Gru, CellKind::Skip { delays: vec![1, 2] })] cell: CellKind,
    #[values(Says::Value, Says::Change)] says: Says,
) {
    let model = model(cell, says, &Device::flex().autodiff());
    let batch = batch();
    let y: Vec<f64> = model.forward(&batch.u, None).0.into_data().iter::<f64>().collect();
    let d: Vec<f64> =
        batch.d.tensor(&model.device(), DType::F64).into_data().iter::<f64>().collect();
    let squares = y.iter().zip(&d).map(|(y, d)| (y - d) * (y - d));
    // [2, 5, 2]: of the five steps of a window three have a loss.
    let sum: f64 =
        squares.enumerate().filter(|(n, _)| n / 2 % 5 >= 2).map(|(_, square)| square / 2.0).sum();
    let loss = model.learn(&batch, None, &moment()).0;
    assert_eq!((loss.weight, loss.items), (6.0, 6));
    assert_close(&loss.sum, [sum], 1e-12);
    assert_close(&loss.nll, [sum], 1e-12);
    check_gradients(&model, 1e-6, |model| model.learn(&batch, None, &moment()).0.sum);
}

/// windows have nothing to do with each other.
#[test]
fn x_2_a_batch_is_its_windows() {
    let model = model(CellKind::Lstm, Says::Change, &Device::flex().autodiff());
    let rows = |from: usize| Series::new(&[numbers(10, from)], 2);
    let single = |n: usize| WindowBatch { u: rows(20 * n), d: rows(20 * n + 2), lead_in: 2 };
    assert_batch_is(&model, &batch(), &[single(0), single(1)]);
}

/// What is said step by step, and in two parts, is what is said at once.
#[rstest]
fn steps_are_the_whole_series(#[values(Says::Value, Says::Change)] says: Says) {
    let model = model(CellKind::Skip { delays: vec![1, 3] }, says, &Device::flex());
    let (u, device) = (batch().u, Device::flex());
    let (whole, _) = model.forward(&u, None);
    let rows = u.tensor(&device, DType::F64);
    let mut state = model.start(2);
    for t in 0..5 {
        let (y, next) = model.step(rows.clone().slice(s![.., t..t + 1, ..]).squeeze_dim(1), state);
        state = next;
        let there: Tensor<2> = whole.clone().slice(s![.., t..t + 1, ..]).squeeze_dim(1);
        assert_close(&y, there.to_data(), 1e-12);
    }
    let part = |from: usize, to: usize| {
        let cut = |n: usize| numbers(10, 20 * n)[2 * from..2 * to].to_vec();
        Series::new(&[cut(0), cut(1)], 2)
    };
    let (first, state) = model.forward(&part(0, 2), None);
    let (second, _) = model.forward(&part(2, 5), Some(state));
    assert_close(&Tensor::cat(vec![first, second], 1), whole.to_data(), 1e-12);
    assert_eq!(u.lengths(), Lengths::full(2, 5));
}

/// Says that nothing changes, and its weights are zero: what it says is what it hears.
#[test]
fn a_change_of_nothing_is_what_was_heard() {
    let mut model = model(CellKind::Gru, Says::Change, &Device::flex());
    model.w_o = model.w_o.map(|w| w.zeros_like());
    model.b_o = model.b_o.map(|b| b.zeros_like());
    let u = batch().u;
    let heard = u.tensor(&model.device(), DType::F64);
    assert_close(&model.forward(&u, None).0, heard.to_data(), 0.0);
}

/// Every step behind the first lead-in has a loss once an epoch, but for fewer than a stride at either end;
/// another epoch cuts elsewhere.
#[test]
fn an_epoch_has_every_step_once() {
    let windows = Windows { steps: 7, lead_in: 2, batch: 3 };
    let u: Vec<f32> = (0_u8..50).map(f32::from).collect();
    let d: Vec<f32> = (0_u8..100).map(f32::from).collect();
    let batches = WindowBatches::new(u, d, [1, 2], windows);
    let mut firsts = Vec::new();
    for epoch in 1..9 {
        let mut seen = Vec::new();
        for plan in batches.epoch(1, epoch) {
            assert!(plan.len() <= 3);
            let batch = batches.batch(&plan);
            let values: Vec<f32> =
                batch.u.tensor(&Device::flex(), DType::F32).into_data().iter::<f32>().collect();
            let targets: Vec<f32> =
                batch.d.tensor(&Device::flex(), DType::F32).into_data().iter::<f32>().collect();
            for (n, step) in values.iter().enumerate() {
                assert_eq!(targets[2 * n], 2.0 * step, "the target of the same step");
                if n % 7 >= 2 {
                    seen.push(*step as usize);
                }
            }
        }
        seen.sort_unstable();
        let (first, last) = (seen[0], *seen.last().unwrap());
        assert_eq!(seen, (first..=last).collect::<Vec<_>>());
        assert!((2..7).contains(&first) && last >= 45, "{first} {last}");
        firsts.push(first);
        assert_eq!(batches.epoch(1, epoch), batches.epoch(1, epoch));
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() > 1, "epochs cut at different places");
}

/// a sine is foretold from two numbers of it.
#[test]
fn x_10_a_sine_is_learned() {
    let sine = |n: usize| (n as f32 * 0.3).sin();
    let config = ForecasterConfig { d_hidden: 16, cell: CellKind::Gru, ..Default::default() };
    let model = drawn(config.init([1, 1], &Device::flex().autodiff()), DType::F32);
    let rows = |from: usize| Series::new(&[(from..from + 60).map(sine).collect::<Vec<_>>()], 1);
    let batch = WindowBatch { u: rows(0), d: rows(1), lead_in: 10 };
    let (_, error) = trained(model, 300, 0.02, || batch.clone());
    assert!(error < 1e-3, "{error}");
}

///
#[test]
fn x_4_saves_bit_by_bit() {
    let init = || config(CellKind::Lstm, Says::Value).init([2, 2], &Device::flex());
    assert_saves(&drawn(init(), DType::F32), init());
}

#[test]
fn what_cannot_be_is_named() {
    let refused = |config: ForecasterConfig| config.validate([2, 1]).unwrap_err().to_string();
    let config = ForecasterConfig::default;
    let change = ForecasterConfig { says: Says::Change, ..config() };
    assert_eq!(
        refused(change),
        "`says` must be \"value\" for a model that says other columns than it hears, got change"
    );
    assert!(refused(ForecasterConfig { layers: 0, ..config() }).contains("`layers`"));
    assert!(refused(ForecasterConfig { dropout: 1.0, ..config() }).contains("`dropout`"));
    let windows = Windows { steps: 20, lead_in: 20, batch: 1 };
    assert!(windows.validate().unwrap_err().to_string().contains("above the 20 of `lead_in`"));
}
