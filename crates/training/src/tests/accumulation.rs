use recurrent_testkit::in_f64;
use rstest::rstest;
use tempfile::tempdir;

use super::toy::{Pairs, Toy, alone, config, data};
use crate::{InOrder, Moment, OptimizerConfig, Scores, TrainConfig, Training};

/// Parameters after one epoch of `batches`, from double-precision weights and without dropout.
fn learnt(batches: Vec<Pairs>, config: TrainConfig) -> Vec<f64> {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let validate = |_: &Toy, _: &Moment| Ok(Scores::new().with("nll", 0.0));
    let folder = folder.path().to_path_buf();
    let model = in_f64(Toy::new(0.0));
    let trained = Training::new(model, InOrder(batches), validate, config, folder).run().unwrap();
    let linear = trained.model.linear;
    let (weight, bias) = (linear.weight.val().into_data(), linear.bias.unwrap().val().into_data());
    weight.iter::<f64>().chain(bias.iter::<f64>()).collect()
}

fn joined(batches: &[Pairs]) -> Pairs {
    let x = batches.iter().flat_map(|batch| batch.x.clone()).collect();
    Pairs { x, y: batches.iter().flat_map(|batch| batch.y.clone()).collect() }
}

/// Batches of 4, 4, 1 and 4 examples, learnt from two at a time, are batches of 8 and 5, whatever
/// the optimizer and the clipping.
#[rstest]
fn accumulated_batches_are_one_large_batch(
    #[values(r#""sgd""#, r#""adam""#)] optimizer: &str,
    #[values(None, Some(0.1))] clip_norm: Option<f64>,
    #[values(None, Some(0.05))] clip_value: Option<f64>,
) {
    let text = format!(r#"{{ "optimizer": {optimizer}, "epochs": 1 }}"#);
    let config: TrainConfig = serde_json::from_str(&text).unwrap();
    let config = TrainConfig { clip_norm, clip_value, ..config };
    let mut batches = data(4);
    batches[2].x.truncate(1);
    batches[2].y.truncate(1);

    let large = vec![joined(&batches[..2]), joined(&batches[2..])];
    let small = learnt(batches, TrainConfig { accumulate: 2, ..config.clone() });

    for (small, large) in small.into_iter().zip(learnt(large, config)) {
        assert!((small - large).abs() < 1e-12, "{small} for {large}");
    }
}

/// Five batches, two at a time: the last step has one.
#[test]
fn what_is_left_over_is_a_step_too() {
    let batches = data(5);
    let config = TrainConfig { epochs: 1, optimizer: OptimizerConfig::Sgd {}, ..config(1) };
    let large = vec![joined(&batches[..2]), joined(&batches[2..4]), joined(&batches[4..])];
    let small = learnt(batches, TrainConfig { accumulate: 2, ..config.clone() });
    for (small, large) in small.into_iter().zip(learnt(large, config)) {
        assert!((small - large).abs() < 1e-12, "{small} for {large}");
    }
}

/// X-6, in a training: a threshold that is never reached changes no bit.
#[test]
fn x6_clipping_that_never_happens_changes_nothing() {
    let free = TrainConfig { clip_norm: None, ..config(1) };
    let clipped = TrainConfig { clip_norm: Some(1e6), clip_value: Some(1e6), ..config(1) };
    assert_eq!(learnt(data(4), free), learnt(data(4), clipped));
}

/// The batches of one step draw from different seeds.
#[test]
fn batches_of_a_step_draw_differently() {
    let at = Moment { seed: 1, epoch: 2, step: 3 };
    let mut mixed: Vec<u64> = (0..4).map(|part| at.part(part).mixed()).collect();
    assert_eq!(mixed[0], at.mixed());
    mixed.sort_unstable();
    mixed.dedup();
    assert_eq!(mixed.len(), 4);
}
