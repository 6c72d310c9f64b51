use burn::tensor::DType;
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_testkit::{assert_close, check_gradients, drawn};
use rstest::rstest;

use super::*;
use crate::{
    Padded, Reading, Series,
    tests::{
        assert_knows_nothing,
        heads::{assert_batch_is, assert_saves, trained},
        moment,
    },
};

fn config(input: InputConfig, reading: Reading, pooling: Pooling) -> ManyToOneConfig {
    ManyToOneConfig {
        input,
        encoder: EncoderConfig { layers: 2, d_hidden: 3, reading },
        cell: CellKind::Gru,
        pooling,
        ..Default::default()
    }
}

fn ids() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6, 6], vec![6], vec![5, 4]]
}

/// A classifier of ids into 4 classes, in double precision, with weights of its own.
fn classifier(reading: Reading, pooling: Pooling, device: &Device) -> ManyToOne<AnyCell> {
    let config = config(InputConfig::Ids { d_embedding: 3 }, reading, pooling);
    drawn(config.init(7, 4, device), DType::F64)
}

/// From vectors of 2 to 3 values.
fn regression(pooling: Pooling, device: &Device) -> ManyToOne<AnyCell> {
    let config = config(InputConfig::Series, Reading::Both, pooling);
    let config = ManyToOneConfig { answer: Answer::Values, ..config };
    drawn(config.init(2, 3, device), DType::F64)
}

fn classes(ids: &[Vec<u32>], classes: &[u32]) -> AnsweredBatch {
    let sequences = Padded::new(ids).into();
    AnsweredBatch { sequences, answers: Answers::Classes(classes.to_vec()) }
}

/// Series of 3 and 1 steps, padded with `padding`, and their answers.
fn values(padding: f32) -> AnsweredBatch {
    let [a, b] = [vec![0.3, -0.2, 0.8, 0.1, -0.5, 0.4], vec![-0.7, 0.2]];
    let numbers = [a, b, vec![padding; 4]].concat();
    let sequences = Series::padded(numbers, 2, vec![3, 1]).into();
    AnsweredBatch { sequences, answers: Answers::Values(vec![0.1, 0.2, 0.3, -0.4, -0.5, -0.6]) }
}

/// loss, gradients and predictions of a padded batch are those of its sequences.
#[rstest]
#[case(Reading::Both, Pooling::Last)]
#[case(Reading::Forward, Pooling::Mean)]
#[case(Reading::Backward, Pooling::Max)]
fn x_2_a_padded_batch_is_its_sequences(#[case] reading: Reading, #[case] pooling: Pooling) {
    let model = classifier(reading, pooling, &Device::flex().autodiff());
    let singles: Vec<_> = ids()
        .iter()
        .zip([3, 0, 1])
        .map(|(ids, class)| classes(std::slice::from_ref(ids), &[class]))
        .collect();
    assert_batch_is(&model, &classes(&ids(), &[3, 0, 1]), &singles);

    let model = model.valid();
    let alone = singles.iter().map(|single| model.predict(&single.sequences)).collect();
    let together = model.predict(&Padded::to_steps(&ids(), 6).into());
    assert_close(&together, Tensor::cat(alone, 0).to_data(), 1e-12);
    assert_close(&together.sum_dim(1), [[1.0]; 3], 1e-12);
}

/// X-2 for vectors: what stands in the padding, NaN included, is not read.
#[rstest]
#[case(Pooling::Last)]
#[case(Pooling::Mean)]
#[case(Pooling::Max)]
fn x_2_padding_is_not_read(#[case] pooling: Pooling) {
    let model = regression(pooling, &Device::flex().autodiff());
    let single = |numbers: &[f32], answers: &[f32]| AnsweredBatch {
        sequences: Series::new(&[numbers], 2).into(),
        answers: Answers::Values(answers.to_vec()),
    };
    let singles = [
        single(&[0.3, -0.2, 0.8, 0.1, -0.5, 0.4], &[0.1, 0.2, 0.3]),
        single(&[-0.7, 0.2], &[-0.4, -0.5, -0.6]),
    ];
    assert_batch_is(&model, &values(0.0), &singles);
    assert_batch_is(&model, &values(f32::NAN), &singles);
}

/// every parameter, for every way to pool and to answer.
#[rstest]
#[case(Reading::Both, Pooling::Last)]
#[case(Reading::Forward, Pooling::Mean)]
#[case(Reading::Both, Pooling::Max)]
fn x_1_gradients_match_finite_differences(#[case] reading: Reading, #[case] pooling: Pooling) {
    let device = Device::flex().autodiff();
    let batch = classes(&ids(), &[3, 0, 1]);
    check_gradients(&classifier(reading, pooling, &device), 1e-6, |model| {
        model.learn(&batch, None, &moment()).0.sum
    });
    check_gradients(&regression(pooling, &device), 1e-6, |model| {
        model.learn(&values(0.0), None, &moment()).0.sum
    });
}

/// Pooling by the formulas of the header, out of the outputs of the layers. What a direction ends
/// with is its output at its last real step.
#[test]
fn pooling_by_hand() {
    let device = Device::flex();
    let (sequences, lengths) = (Sequences::from(Padded::new(&ids())), [4, 1, 2]);
    let pooled = |pooling| {
        let model = classifier(Reading::Both, pooling, &device);
        let encoded = model.head.read(&sequences);
        (model.pool(encoded.clone(), &sequences.lengths()), encoded.outputs)
    };
    let (last, outputs) = pooled(Pooling::Last);
    let (mean, max) = (pooled(Pooling::Mean).0, pooled(Pooling::Max).0);
    for (row, n) in lengths.into_iter().enumerate() {
        let steps = outputs.clone().slice(s![row, 0..n, ..]);
        let there = steps.clone().slice(s![.., -1, 0..3]);
        let back = steps.clone().slice(s![.., 0, 3..6]);
        let expected = Tensor::cat(vec![there, back], 2).reshape([1, 6]);
        assert_close(&last.clone().narrow(0, row, 1), expected.to_data(), 1e-14);
        let expected = steps.clone().mean_dim(1).reshape([1, 6]);
        assert_close(&mean.clone().narrow(0, row, 1), expected.to_data(), 1e-14);
        let expected = steps.max_dim(1).reshape([1, 6]);
        assert_close(&max.clone().narrow(0, row, 1), expected.to_data(), 0.0);
    }
}

/// The squared error by hand: `1/K Σ_k (o_k − y_k)²`, summed over sequences.
#[test]
fn the_squared_error_by_hand() {
    let model = regression(Pooling::Mean, &Device::flex());
    let found: Vec<f64> = model.predict(&values(0.0).sequences).to_data().iter::<f64>().collect();
    let answers = [0.1_f32, 0.2, 0.3, -0.4, -0.5, -0.6];
    let squares = found.iter().zip(answers).map(|(o, y)| (o - f64::from(y)).powi(2));
    let (loss, ()) = model.learn(&values(0.0), None, &moment());
    assert_close(&loss.sum, [squares.sum::<f64>() / 3.0], 1e-12);
    assert_eq!((loss.weight, loss.items), (2.0, 2));
}

/// a sequence without a step has an answer and harms no other, in values and in gradients.
#[rstest]
#[case(Pooling::Last)]
#[case(Pooling::Mean)]
#[case(Pooling::Max)]
fn x_7_an_empty_sequence_has_an_answer(#[case] pooling: Pooling) {
    let model = classifier(Reading::Both, pooling, &Device::flex().autodiff());
    let nothing = Tensor::<2>::zeros([1, 6], (&model.head.device(), DType::F64));
    let expected = softmax(model.head.scores(nothing), 1);
    let batch = classes(&[vec![], vec![4, 5]], &[1, 2]);
    let found = model.predict(&batch.sequences).narrow(0, 0, 1);
    assert_close(&found, expected.to_data(), 1e-12);
    let gradients =
        crate::tests::heads::gradients(&model, &model.learn(&batch, None, &moment()).0.sum);
    assert!(gradients.to_data().iter::<f64>().all(f64::is_finite));
}

/// a model as it is drawn finds all classes about as likely.
#[test]
fn x_9_an_untrained_model_knows_nothing() {
    let config = ManyToOneConfig::default();
    let model = config.init(7, 4, &Device::flex());
    let batch = classes(&ids(), &[3, 0, 1]);
    assert_knows_nothing("many to one", model.forward(&batch.sequences));
}

/// one batch by heart, of either kind.
#[test]
fn x_10_one_batch_by_heart() {
    let device = Device::flex().autodiff();
    let wide = |input, answer| ManyToOneConfig {
        input,
        encoder: EncoderConfig { layers: 1, d_hidden: 8, reading: Reading::Both },
        answer,
        ..Default::default()
    };
    let classifier = wide(InputConfig::Ids { d_embedding: 8 }, Answer::Class).init(7, 4, &device);
    let batch = classes(&ids(), &[3, 0, 1]);
    let (_, loss) = trained(drawn(classifier, DType::F32), 200, 0.02, || batch.clone());
    assert!(loss < 0.01, "{loss}");
    let regression = wide(InputConfig::Series, Answer::Values).init(2, 3, &device);
    let (_, loss) = trained(drawn(regression, DType::F32), 200, 0.02, || values(0.0));
    assert!(loss < 0.01, "{loss}");
}

///
#[test]
fn x_4_saves_bit_by_bit() {
    let init = || {
        let ids = InputConfig::Ids { d_embedding: 3 };
        config(ids, Reading::Both, Pooling::Last).init(7, 4, &Device::flex())
    };
    assert_saves(&drawn(init(), DType::F32), init());
}

/// The first of 4 symbols decides, over 1 to 12 steps: an answer to new sequences has to remember it.
#[test]
fn learns_that_the_first_symbol_decides() {
    let config = ManyToOneConfig {
        input: InputConfig::Ids { d_embedding: 8 },
        encoder: EncoderConfig { layers: 1, d_hidden: 24, reading: Reading::Forward },
        ..Default::default()
    };
    let batch = |rng: &mut ChaCha12Rng, count: usize| {
        let sequence = |_| -> Vec<u32> {
            let length = rng.random_range(1..=12);
            (0..length).map(|_| rng.random_range(4..8)).collect()
        };
        let ids: Vec<_> = (0..count).map(sequence).collect();
        let first: Vec<u32> = ids.iter().map(|ids| ids[0] - 4).collect();
        classes(&ids, &first)
    };
    let model = drawn(config.init(8, 4, &Device::flex().autodiff()), DType::F32);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let model = trained(model, 250, 0.01, || batch(&mut rng, 64)).0.valid();
    let new = batch(&mut ChaCha12Rng::seed_from_u64(2), 1000);
    let found = model.predict(&new.sequences).argmax(1).into_data();
    let Answers::Classes(expected) = new.answers else { unreachable!("it is a classifier") };
    let right = found.iter::<u32>().zip(&expected).filter(|(found, class)| found == *class);
    let right = right.count();
    assert!(right >= 990, "{right} of 1000 right");
}

#[test]
#[should_panic(expected = "class Some(4) is not below 4")]
fn an_unknown_class_is_refused() {
    let model = classifier(Reading::Both, Pooling::Last, &Device::flex());
    let _ = model.learn(&classes(&ids(), &[0, 4, 1]), None, &moment());
}

#[test]
#[should_panic(expected = "the head reads ids, got vectors")]
fn vectors_for_a_model_of_ids_are_refused() {
    classifier(Reading::Both, Pooling::Last, &Device::flex()).predict(&values(0.0).sequences);
}

#[test]
#[should_panic(expected = "axis 2 expected 2, got 3")]
fn vectors_of_the_wrong_width_are_refused() {
    let series = Series::new(&[[0.0; 6]], 3);
    regression(Pooling::Last, &Device::flex()).predict(&series.into());
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = config(InputConfig::Ids { d_embedding: 0 }, Reading::Both, Pooling::Last);
    let error = config.validate(7, 4).unwrap_err();
    assert_eq!(error.to_string(), "`input.ids.d_embedding` must be at least 1, got 0");
    let error = ManyToOneConfig::default().validate(7, 0).unwrap_err();
    assert_eq!(error.to_string(), "`the outputs` must be at least 1, got 0");
}
