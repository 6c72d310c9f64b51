use burn::tensor::DType;
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_testkit::{assert_close, check_gradients, drawn};
use rstest::rstest;

use super::*;
use crate::{
    Reading, Series,
    tests::{
        assert_knows_nothing,
        heads::{assert_batch_is, assert_saves, trained},
        moment,
    },
};

fn config(input: InputConfig, reading: Reading) -> TaggerConfig {
    TaggerConfig {
        input,
        encoder: EncoderConfig { layers: 2, d_hidden: 3, reading },
        cell: CellKind::Skip { delays: vec![1, 2] },
        ..Default::default()
    }
}

/// Of ids, in double precision, with weights of its own.
fn tagger(reading: Reading, device: &Device) -> Tagger<AnyCell> {
    let config = config(InputConfig::Ids { d_embedding: 3 }, reading);
    drawn(config.init(7, 3, device), DType::F64)
}

fn ids() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6, 6], vec![], vec![5, 4]]
}

fn labels() -> Vec<Vec<u32>> {
    vec![vec![0, 2, 1, 0], vec![], vec![2, 0]]
}

fn tagged(ids: &[Vec<u32>], labels: &[Vec<u32>]) -> TaggedBatch {
    TaggedBatch { sequences: Padded::new(ids).into(), labels: Padded::new(labels) }
}

/// X-2, S2-6: loss, gradients and labels of a padded batch are those of its sequences, and label 0 is
/// not taken for padding.
#[rstest]
#[case(Reading::Forward)]
#[case(Reading::Both)]
fn x_2_a_padded_batch_is_its_sequences(#[case] reading: Reading) {
    let model = tagger(reading, &Device::flex().autodiff());
    let rows = [0, 2];
    let single = |row: &usize| tagged(&[ids()[*row].clone()], &[labels()[*row].clone()]);
    let singles: Vec<_> = rows.iter().map(single).collect();
    let batch = tagged(&ids(), &labels());
    assert_batch_is(&model, &batch, &singles);
    let loss = model.learn(&batch, None, &moment()).0;
    assert_eq!((loss.weight, loss.items), (6.0, 6));

    let found = model.predict(&batch.sequences);
    assert_eq!(found[1], [0; 0]);
    for (row, single) in rows.into_iter().zip(&singles) {
        assert_eq!(model.predict(&single.sequences), [found[row].clone()]);
        let n = ids()[row].len();
        let together = model.probabilities(&batch.sequences).slice(s![row, 0..n, ..]);
        let alone = model.probabilities(&single.sequences);
        assert_close(&together, alone.to_data(), 1e-12);
    }
}

/// X-2 for vectors: NaN in the padding changes nothing. X-1: every parameter.
#[test]
fn x_1_x_2_vectors() {
    let config = config(InputConfig::Series, Reading::Both);
    let model = drawn(config.init(2, 3, &Device::flex().autodiff()), DType::F64);
    let batch = |padding: f32| {
        let numbers = vec![0.3, -0.2, 0.8, 0.1, -0.7, 0.2, padding, padding];
        let sequences = Series::padded(numbers, 2, vec![2, 1]).into();
        TaggedBatch { sequences, labels: Padded::new(&[vec![0, 2], vec![1]]) }
    };
    assert_batch_is(&model, &batch(f32::NAN), &[batch(0.0)]);
    check_gradients(&model, 1e-6, |model| model.learn(&batch(f32::NAN), None, &moment()).0.sum);
}

/// X-1 for ids.
#[test]
fn x_1_gradients_match_finite_differences() {
    let model = tagger(Reading::Both, &Device::flex().autodiff());
    let batch = tagged(&ids(), &labels());
    check_gradients(&model, 1e-6, |model| model.learn(&batch, None, &moment()).0.sum);
}

/// a model as it is drawn finds all labels about as likely.
#[test]
fn x_9_an_untrained_model_knows_nothing() {
    let model = TaggerConfig::default().init(7, 3, &Device::flex());
    let batch = tagged(&ids(), &labels());
    assert_knows_nothing("tagger", model.forward(&batch.sequences));
}

fn wide() -> TaggerConfig {
    TaggerConfig {
        input: InputConfig::Ids { d_embedding: 8 },
        encoder: EncoderConfig { layers: 1, d_hidden: 16, reading: Reading::Both },
        ..Default::default()
    }
}

/// one batch by heart.
#[test]
fn x_10_one_batch_by_heart() {
    let model = drawn(wide().init(7, 3, &Device::flex().autodiff()), DType::F32);
    let batch = tagged(&ids(), &labels());
    let (_, nll) = trained(model, 200, 0.02, || batch.clone());
    assert!(nll < 0.01, "{nll}");
}

///
#[test]
fn x_4_saves_bit_by_bit() {
    let init = || wide().init(7, 3, &Device::flex());
    assert_saves(&drawn(init(), DType::F32), init());
}

/// A label is the symbol before and the symbol after: neither direction is enough.
#[test]
fn learns_the_symbols_around() {
    let around = |ids: &[u32]| -> Vec<u32> {
        let at = |t: Option<usize>| t.and_then(|t| ids.get(t)).map_or(0, |id| id - 3);
        (0..ids.len()).map(|t| 4 * at(t.checked_sub(1)) + at(Some(t + 1))).collect()
    };
    let batch = |rng: &mut ChaCha12Rng, count: usize| {
        let sequence = |_| -> Vec<u32> {
            let length = rng.random_range(1..=10);
            (0..length).map(|_| rng.random_range(4..7)).collect()
        };
        let ids: Vec<_> = (0..count).map(sequence).collect();
        let labels: Vec<_> = ids.iter().map(|ids| around(ids)).collect();
        (labels.clone(), tagged(&ids, &labels))
    };
    let model = drawn(wide().init(7, 16, &Device::flex().autodiff()), DType::F32);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let model = trained(model, 250, 0.02, || batch(&mut rng, 32).1).0.valid();
    let (expected, new) = batch(&mut ChaCha12Rng::seed_from_u64(2), 300);
    let (found, expected) = (model.predict(&new.sequences).concat(), expected.concat());
    let right = found.iter().zip(&expected).filter(|(found, label)| found == label).count();
    let share = right as f64 / expected.len() as f64;
    assert!(share >= 0.99, "{share} right");
}

#[test]
#[should_panic(expected = "a label for each step")]
fn labels_of_other_lengths_are_refused() {
    let model = tagger(Reading::Both, &Device::flex());
    let _ = model.learn(&tagged(&ids(), &[vec![0], vec![], vec![1]]), None, &moment());
}
