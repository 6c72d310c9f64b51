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
    Annealing, ContextBias, FreeBits, KlTerm, Latents, SequenceVae, SequenceVaeConfig, Summary,
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
    let TextParts { kl, posterior, .. } = model.parts(&batch, &mut AT.rng());
    let mut latents = Latents::default();
    latents.add(&posterior, kl, &mut AT.rng());
    let told = latents.report().mutual_information;
    // Which of four: at most ln 4 = 1.39 nats.
    assert!(told > 1.0 && told < 1.4, "{told}");
}

#[rstest]
#[case(SequenceVaeConfig { d_latent: 0, ..config() }, "`d_latent` must be at least 1, got 0")]
#[case(SequenceVaeConfig { word_dropout: -0.1, ..config() }, "`word_dropout` must be in [0, 1], got -0.1")]
#[case(
    SequenceVaeConfig { cell: CellKind::Skip { delays: vec![1] }, ..config() },
    "`cell` must be \"gru\" or \"lstm\", got skip { delays: [1] }"
)]
fn what_does_not_fit_is_named(#[case] config: SequenceVaeConfig, #[case] message: &str) {
    assert_eq!(config.validate().unwrap_err().to_string(), message);
}
