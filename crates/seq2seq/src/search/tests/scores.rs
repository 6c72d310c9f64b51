//! What models say is read on the host as it would be computed on the device.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::random;

use super::assert_near;
use crate::search::{Scores, numbers::Kind};

fn logits(seed: u64, dtype: DType) -> Tensor<2> {
    random([3, 40], seed, dtype, &Device::flex()) * 8.0
}

/// All rows, as search reads them.
fn read(scores: Scores) -> Vec<f64> {
    let mut tensors = Vec::new();
    let kind = Kind::split(scores, &mut tensors);
    let numbers = kind.read(&mut tensors.into_iter().map(Tensor::into_data), 40);
    let mut row = Vec::new();
    let mut all = Vec::new();
    for n in 0..3 {
        numbers.row(n, &mut row);
        all.extend_from_slice(&row);
    }
    all
}

fn computed(scores: Scores) -> Vec<f64> {
    scores.log_probs().into_data().iter().collect()
}

#[test]
fn scores_are_read_as_they_are_computed() {
    for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-12)] {
        let one = Scores::Logits(logits(1, dtype));
        let two = Scores::LogProbs(Scores::Logits(logits(2, dtype)).log_probs());
        let three = Scores::Mean(vec![one.clone(), two.clone()]);
        let four = Scores::Mean(vec![three.clone(), one.clone(), two.clone()]);
        for scores in [one, two, three, four] {
            assert_near(&read(scores.clone()), &computed(scores), tolerance);
        }
    }
}

/// Models of an ensemble need not have the same bits.
#[test]
fn models_of_different_bits_have_a_mean() {
    let pair =
        |a, b| Scores::Mean(vec![Scores::Logits(logits(1, a)), Scores::Logits(logits(2, b))]);
    let expected = computed(pair(DType::F64, DType::F64));
    assert_near(&read(pair(DType::F32, DType::F64)), &expected, 1e-5);
    assert_near(&read(pair(DType::F64, DType::F32)), &expected, 1e-5);
}
