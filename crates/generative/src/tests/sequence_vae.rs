//! The variational autoencoder of texts.

use burn::{prelude::*, tensor::DType};
use recurrent_cells::CellKind;
use recurrent_seq2seq::{
    EncoderConfig, Reading, TextBatch,
    search::{Limits, forced, greedy},
};
use recurrent_testkit::{assert_close, check_gradients, drawn, redrawn};
use recurrent_training::{
    Decay, InOrder, Learn, Moment, Schedule, TrainConfig, Training, Warmup, validation_loss,
};
use rstest::rstest;

use crate::{
    Annealing, BagOfWords, ContextBias, FreeBits, KlTerm, SequenceVae, SequenceVaeConfig, Summary,
    TextParts,
};

const AT: Moment = Moment { seed: 1, epoch: 1, step: 3 };

fn config() -> SequenceVaeConfig {
    SequenceVaeConfig {
        d_embedding: 3,
        encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Forward },
        d_latent: 2,
        d_decoder: 4,
        d_readout: 3,
        ..SequenceVaeConfig::default()
    }
}

fn model(config: &SequenceVaeConfig) -> SequenceVae {
    drawn(config.init(9, &Device::flex().autodiff()), DType::F64)
}

fn texts() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6], vec![7], vec![8, 8]]
}

/// X-1, VA-3: with the same noise, gradients are those of finite differences.
#[rstest]
#[case(config())]
#[case(SequenceVaeConfig {
    cell: CellKind::Lstm,
    bias: ContextBias::Selective,
    summary: Summary::Pooled,
    encoder: EncoderConfig { layers: 2, d_hidden: 2, reading: Reading::Both },
    ..config()
})]
#[case(SequenceVaeConfig {
    word_dropout: 0.5,
    kl: KlTerm {
        annealing: Annealing::Linear { steps: 6.0 },
        free_bits: Some(FreeBits { nats: 0.01, groups: 2 }),
        ..KlTerm::default()
    },
    bag_of_words: BagOfWords::Told { weight: 0.7, d_hidden: 4 },
    ..config()
})]
fn gradients_match_finite_differences(#[case] config: SequenceVaeConfig) {
    let batch = TextBatch::sentences(&texts());
    check_gradients(&model(&config), 1e-6, |model| model.learn(&batch, None, &AT).0.sum);
}

/// The bound is the sum of its parts, padding or not; and what is written token by token is as likely as
/// what is forced.
#[test]
fn the_bound_is_that_of_single_texts_and_of_single_steps() {
    let model = model(&config()).valid();
    let batch = TextBatch::sentences(&texts());
    let TextParts { reconstruction, kl, posterior } = model.parts(&batch, &mut AT.rng());
    let whole = model.learn(&batch, None, &AT).0;
    assert_close(&(reconstruction.clone().sum() + kl.sum()), whole.nll.to_data(), 1e-10);
    assert_eq!(whole.items, 3 + 1 + 2 + 3);
    let z = posterior.sample(&mut AT.rng());
    let written = forced(&model.generator(z.clone()), &texts()).unwrap();
    let nats: Vec<f64> = written.iter().map(|written| -written.log_prob).collect();
    assert_close(&reconstruction, nats.as_slice(), 1e-10);
    for (row, text) in texts().iter().enumerate() {
        let alone = model.encode(&TextBatch::sentences(std::slice::from_ref(text)).targets);
        assert_close(&alone.mean, posterior.mean.clone().narrow(0, row, 1).to_data(), 1e-12);
    }
}

/// Of four texts whose words can be told from the code alone, all are written again, and draws from the
/// prior are among them: with words dropped, the code is used.
#[test]
fn texts_are_written_again_from_their_codes() {
    let config = SequenceVaeConfig {
        d_embedding: 8,
        encoder: EncoderConfig { layers: 1, d_hidden: 16, reading: Reading::Forward },
        d_latent: 4,
        d_decoder: 16,
        d_readout: 8,
        word_dropout: 0.5,
        kl: KlTerm { annealing: Annealing::Linear { steps: 200.0 }, ..KlTerm::default() },
        ..SequenceVaeConfig::default()
    };
    let text = |n: u32| (0..5).map(|m| 4 + 5 * n + m).collect::<Vec<u32>>();
    let texts: Vec<Vec<u32>> = (0..4).map(text).collect();
    let batch = TextBatch::sentences(&texts.iter().cycle().take(32).collect::<Vec<_>>());
    let settings = TrainConfig {
        epochs: 2,
        learning_rate: 1e-2,
        schedule: Schedule { warmup: Warmup::None, decay: Decay::Linear },
        ..TrainConfig::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let (folder, measured) = (folder.path().to_owned(), InOrder(vec![batch.clone()]));
    let validate =
        move |model: &SequenceVae, at: &Moment| Ok(validation_loss(model, &measured, at).scores());
    let fresh = redrawn(config.init(24, &Device::flex().autodiff()), 1);
    let batches = InOrder(vec![batch.clone(); 250]);
    let model = Training::new(fresh, batches, validate, settings, folder).run().unwrap().model;

    let codes = model.encode(&TextBatch::sentences(&texts).targets).mean;
    let write = |z: Tensor<2>| -> Vec<Vec<u32>> {
        let limits = Limits::at_most(vec![8; z.dims()[0]]);
        let found = greedy(&model.generator(z), &limits).unwrap();
        found.into_iter().map(|found| found.tokens).collect()
    };
    assert_eq!(write(codes), texts);
    let new = write(model.draw(40, &mut AT.rng()));
    let known = new.iter().filter(|text| texts.contains(text)).count();
    assert!(known > 20, "{new:?}");
    let measured = model.measure(&InOrder(vec![batch]), &mut AT.rng());
    let told = measured.latents.unwrap().report().mutual_information;
    // Which of four: at most ln 4 = 1.39 nats.
    assert!(told > 1.0 && told < 1.4, "{told}");
}

/// What is measured of all batches is the sum over single texts.
#[test]
fn what_is_measured_is_that_of_single_texts() {
    let model = model(&config()).valid();
    let one = |text: &Vec<u32>| TextBatch::sentences(std::slice::from_ref(text));
    let all = InOrder(vec![TextBatch::sentences(&texts()[..2]), one(&texts()[2])]);
    let measured = model.measure(&all, &mut AT.rng());
    assert_eq!((measured.texts, measured.tokens), (3, 3 + 1 + 2 + 3));
    let kl = |text| model.encode(&one(text).targets).kl_from_standard().sum().into_scalar::<f64>();
    let by_hand: f64 = texts().iter().map(kl).sum();
    assert!((measured.kl - by_hand).abs() < 1e-10 && by_hand > 0.0);
    assert!((measured.kl_a_text() * 3.0 - measured.kl).abs() < 1e-12);
    let nll = measured.reconstruction + measured.kl;
    assert!((measured.nll() * 9.0 - nll).abs() < 1e-12);
    assert_eq!(measured.latents.unwrap().report().kl_by_dimension.len(), 2);
}

/// VH-8: one draw is the bound, and more are a tighter one, in expectation.
#[test]
fn more_draws_are_a_tighter_bound() {
    let model = model(&config()).valid();
    let batches = InOrder(vec![TextBatch::sentences(&vec![vec![4, 5]; 2000])]);
    let mut rng = AT.rng();
    let nll = model.measure(&batches, &mut rng).nll();
    let [one, ten] = [1, 10].map(|samples| model.measure_importance(&batches, samples, &mut rng));
    assert!((one - nll).abs() < 0.02, "{one} {nll}");
    assert!(ten < one - 0.01, "{ten} {one}");
}

/// Words are told from the code in no order, and cost nothing where they weigh nothing.
#[test]
fn words_are_told_in_no_order() {
    let told = BagOfWords::Told { weight: 1.0, d_hidden: 4 };
    let model = model(&SequenceVaeConfig { bag_of_words: told, ..config() }).valid();
    let teller = model.words.as_ref().unwrap();
    let z = Tensor::<2>::from_data([[0.3, -1.0]], (&Device::flex(), DType::F64));
    let nll = |text: &[u32]| {
        let ended = TextBatch::sentences(&[text]).targets;
        teller.nll(z.clone(), &ended).into_scalar::<f64>()
    };
    assert!((nll(&[4, 5, 6]) - nll(&[6, 4, 5])).abs() < 1e-12);
    let [end, four, five] = [&[][..], &[4], &[5]].map(nll);
    assert!((nll(&[4, 4, 5]) - (2.0 * (four - end) + five)).abs() < 1e-10);
    let batch = TextBatch::sentences(&texts());
    let with = |bag_of_words| {
        let mut model = model.clone();
        model.config.bag_of_words = bag_of_words;
        let loss = model.learn(&batch, None, &AT).0;
        [loss.sum, loss.nll].map(|x| x.into_scalar::<f64>())
    };
    let ([sum, nll], [plain, same]) = (with(told), with(BagOfWords::None));
    // It is no part of what is measured.
    assert!(sum > plain + 1.0 && nll == same, "{sum} {plain} {nll} {same}");
}

/// The ends are the means of the posteriors, and the places between lie on a line.
#[test]
fn codes_between_two_texts_lie_on_a_line() {
    let model = model(&config()).valid();
    let codes = model.between([&[4, 5, 6], &[7]], 5);
    let means = model.encode(&TextBatch::sentences(&texts()).targets).mean;
    let row = |x: &Tensor<2>, n| x.clone().narrow(0, n, 1);
    for (n, text) in [(0, 0), (4, 1)] {
        assert_close(&row(&codes, n), row(&means, text).to_data(), 1e-12);
    }
    for n in 0..3 {
        let middle = (row(&codes, n) + row(&codes, n + 2)) / 2.0;
        assert_close(&row(&codes, n + 1), middle.to_data(), 1e-12);
    }
}

#[rstest]
#[case(
    SequenceVaeConfig { bag_of_words: BagOfWords::Told { weight: 1.0, d_hidden: 0 }, ..config() },
    "`bag_of_words.told.d_hidden` must be at least 1, got 0"
)]
#[case(SequenceVaeConfig { d_latent: 0, ..config() }, "`d_latent` must be at least 1, got 0")]
#[case(SequenceVaeConfig { word_dropout: -0.1, ..config() }, "`word_dropout` must be in [0, 1], got -0.1")]
#[case(
    SequenceVaeConfig { cell: CellKind::Skip { delays: vec![1] }, ..config() },
    "`cell` must be \"gru\", \"original_gru\" or \"lstm\", got skip { delays: [1] }"
)]
fn what_does_not_fit_is_named(#[case] config: SequenceVaeConfig, #[case] message: &str) {
    assert_eq!(config.validate().unwrap_err().to_string(), message);
}
