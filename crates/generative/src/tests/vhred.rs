//! VHRED: its latent variable, where it comes from, and what is measured.

use burn::{module::Param, prelude::*, tensor::DType};
use recurrent_cells::CellKind;
use recurrent_seq2seq::search::{Limits, greedy};
use recurrent_testkit::{assert_close, check_gradients, drawn};
use recurrent_training::{Learn, Moment};
use rstest::rstest;

use super::hred::{config as hred_config, dialogues, model as hred_model};
use crate::{
    Annealing, BagOfWords, ContextBias, DialogueBatch, DialogueModel, DialogueOrder, Dialogues,
    FreeBits, HredConfig, KlTerm, Latent, MadeFrom, TurnParts, Vhred, VhredConfig,
};

const AT: Moment = Moment { seed: 1, epoch: 1, step: 3 };

fn config() -> VhredConfig {
    VhredConfig { hred: hred_config(), d_latent: 2, ..VhredConfig::default() }
}

fn model(config: &VhredConfig) -> Vhred {
    drawn(config.init(9, &Device::flex().autodiff()), DType::F64)
}

fn batch() -> DialogueBatch {
    DialogueBatch::whole(dialogues())
}

/// VH-9, X-1: with the same noise, gradients are those of finite differences, with every trick.
#[rstest]
#[case(config())]
#[case(VhredConfig { made_from: MadeFrom::Latent, ..config() })]
#[case(VhredConfig {
    hred: HredConfig { bias: ContextBias::Selective, word_dropout: 0.5, ..hred_config() },
    kl: KlTerm { annealing: Annealing::Linear { steps: 6.0 }, ..KlTerm::default() },
    bag_of_words: BagOfWords::Told { weight: 0.7, d_hidden: 4 },
    ..config()
})]
#[case(VhredConfig {
    hred: HredConfig { cell: CellKind::Lstm, ..hred_config() },
    kl: KlTerm { free_bits: Some(FreeBits { nats: 0.2, groups: 2 }), ..KlTerm::default() },
    ..config()
})]
fn gradients_match_finite_differences(#[case] config: VhredConfig) {
    check_gradients(&model(&config), 1e-6, |model| model.learn(&batch(), None, &AT).0.sum);
}

/// VH-2: a model that has taken over a trained one makes nothing of its latent variable yet, and finds
/// every turn as likely.
#[rstest]
#[case(ContextBias::First, CellKind::Gru)]
#[case(ContextBias::All, CellKind::Gru)]
#[case(ContextBias::Selective, CellKind::Gru)]
#[case(ContextBias::Selective, CellKind::Lstm)]
fn vh_2_it_begins_as_the_model_it_was_made_of(#[case] bias: ContextBias, #[case] cell: CellKind) {
    let hred = HredConfig { bias, cell, ..hred_config() };
    let trained = hred_model(&hred);
    let vhred = model(&VhredConfig { hred, ..config() }).with_hred(&trained).valid();
    let expected = trained.valid().nll(&batch(), None).0;
    for latent in [Latent::Posterior, Latent::Prior, Latent::Zero] {
        let nll = vhred.nll_with(latent, &batch(), None, &mut AT.rng()).0;
        assert_close(&nll, expected.to_data(), 1e-10);
    }
}

/// VH-3: what is written does not hang on the posterior, only on the context and the draw.
#[test]
fn vh_3_replies_come_from_the_prior() {
    let mut model = model(&config()).valid();
    let state = model.hear(&[vec![4, 5]], model.start(1));
    let context = model.hred.vector(&state);
    let reply = |model: &Vhred, seed: u64| {
        let mut rng = Moment { seed, ..AT }.rng();
        let generator = model.generator(&context, &mut rng);
        let found = greedy(&generator, &Limits::at_most(vec![8])).unwrap();
        (found[0].tokens.clone(), found[0].log_prob)
    };
    let (first, other) = (reply(&model, 1), reply(&model, 2));
    assert_eq!(first, reply(&model, 1));
    assert_ne!(first.1, other.1, "another draw is another reply, or another chance of it");
    let noise = |w: &Param<Tensor<2>>| Param::from_tensor(w.val() * -3.0);
    model.posterior.mean.w = model.posterior.mean.w.as_ref().map(noise);
    model.posterior.variance.w = model.posterior.variance.w.as_ref().map(noise);
    assert_eq!(first, reply(&model, 1));
}

/// VH-5: what is measured depends neither on what the divergence weighs nor on words that are dropped.
#[test]
fn vh_5_the_bound_is_that_of_beta_1() {
    let tricks = VhredConfig {
        hred: HredConfig { word_dropout: 0.9, ..hred_config() },
        kl: KlTerm {
            beta: 0.1,
            annealing: Annealing::Linear { steps: 1e6 },
            free_bits: Some(FreeBits { nats: 9.0, groups: 1 }),
        },
        ..config()
    };
    let bound = |config: &VhredConfig| model(config).valid().learn(&batch(), None, &AT).0.nll;
    assert_close(&bound(&tricks), bound(&config()).to_data(), 1e-12);
    // It is the sum of the two parts.
    let TurnParts { reconstruction, kl, .. } =
        model(&config()).valid().parts(&batch(), None, &mut AT.rng());
    assert_close(&(reconstruction.sum() + kl.sum()), bound(&config()).to_data(), 1e-10);
}

/// VH-1: the variances are `κ · softplus`, and no divergence is below zero.
#[test]
fn vh_1_the_softplus_is_a_variance() {
    let model = model(&config()).valid();
    let x = Tensor::<2>::from_data([[0.5, -1.0, 2.0, 0.1, 0.3]], (&Device::flex(), DType::F64));
    let gaussian = model.prior.forward(x.clone());
    let a = model.prior.hidden.iter().fold(x, |x, layer| layer.forward(x).tanh());
    let sums: Vec<f64> = model.prior.variance.forward(a).into_data().iter().collect();
    let by_hand: Vec<f64> = sums.iter().map(|s| (0.1 * (1.0 + s.exp()).ln()).ln()).collect();
    assert_close(&gaussian.log_variance.squeeze_dim::<1>(0), by_hand.as_slice(), 1e-8);
    let TurnParts { kl, .. } = model.parts(&batch(), None, &mut AT.rng());
    assert!(kl.into_data().iter::<f64>().all(|kl| kl > 0.0));
}

/// VH-7: words in another order are told as well; and each counts as often as it is said.
#[test]
fn vh_7_a_bag_has_no_order() {
    let told = |config: &VhredConfig, turns: Vec<u32>| {
        // The first turn, so that the context is the same; and the latent variable is at one place.
        let mut model = model(config).valid();
        let zero = |w: &Param<Tensor<2>>| Param::from_tensor(w.val().zeros_like());
        model.posterior.hidden[0].w = model.posterior.hidden[0].w.as_ref().map(zero);
        let batch = DialogueBatch::whole(vec![vec![turns]]);
        let with = |config: &VhredConfig| {
            let mut model = model.clone();
            model.config = config.clone();
            model.learn(&batch, None, &AT).0.sum.into_scalar::<f64>()
        };
        let silent = VhredConfig { bag_of_words: BagOfWords::None, ..config.clone() };
        with(config) - with(&silent)
    };
    let config =
        VhredConfig { bag_of_words: BagOfWords::Told { weight: 1.0, d_hidden: 4 }, ..config() };
    let (there, back) = (told(&config, vec![4, 5, 6]), told(&config, vec![6, 4, 5]));
    assert!((there - back).abs() < 1e-10 && there > 0.0, "{there} {back}");
    let [four, five] = [4, 5].map(|id| told(&config, vec![id]));
    let end = told(&config, vec![]);
    let twice = told(&config, vec![4, 4, 5]);
    assert!((twice - (2.0 * (four - end) + (five - end) + end)).abs() < 1e-10);
}

/// The divergence by the number of the turn, in chunks as in one piece: of as many turns as there are
/// conversations that get so far, and in the mean over all turns the divergence itself.
#[test]
fn divergences_are_told_apart_by_the_number_of_the_turn() {
    let model = model(&config()).valid();
    let report = |turns| {
        let batches = Dialogues::new(dialogues(), 3, turns, DialogueOrder::Sorted);
        model.measure(&batches, &mut AT.rng()).latents.unwrap().report()
    };
    let (whole, chunks) = (report(9), report(1));
    let counts: Vec<usize> = whole.kl_by_turn.iter().map(|of| of.turns).collect();
    assert_eq!(counts, [3, 2, 1]);
    let all: f64 = whole.kl_by_turn.iter().map(|of| of.kl * of.turns as f64).sum();
    assert!((all / 6.0 - whole.kl).abs() < 1e-10, "{whole:?}");
    for (whole, chunk) in whole.kl_by_turn.iter().zip(&chunks.kl_by_turn) {
        assert!(whole.turns == chunk.turns && (whole.kl - chunk.kl).abs() < 1e-10, "{chunks:?}");
    }
    // The third turn is one alone.
    let TurnParts { kl, .. } = model.parts(&batch(), None, &mut AT.rng());
    let third: f64 = kl.narrow(0, 2, 1).sum().into_scalar();
    assert!((whole.kl_by_turn[2].kl - third).abs() < 1e-10, "{whole:?}");
}

/// VH-8: with more draws the bound is tighter, in expectation; of one draw it is the other bound, within
/// four standard errors.
#[test]
fn vh_8_more_draws_are_a_tighter_bound() {
    let model = model(&config()).valid();
    let batch = DialogueBatch::whole(vec![vec![vec![4, 5]]; 2000]);
    let mut rng = AT.rng();
    let mean_and_variance = |bounds: Tensor<1>| {
        let bounds: Vec<f64> = bounds.into_data().iter().collect();
        let n = bounds.len() as f64;
        let mean = bounds.iter().sum::<f64>() / n;
        (mean, bounds.iter().map(|bound| (bound - mean).powi(2)).sum::<f64>() / (n * n))
    };
    let mut bound = |samples| {
        let (bound, _) = model.importance_weighted(&batch, None, samples, &mut rng);
        mean_and_variance(bound.reshape([-1]))
    };
    let [(one, v1), (ten, v10)] = [1, 10].map(&mut bound);
    let TurnParts { reconstruction, kl, .. } = model.parts(&batch, None, &mut rng);
    let each = reconstruction.reshape([-1]) + kl.sum_dim(1).reshape([-1]);
    let (elbo, v) = mean_and_variance(each.neg());
    assert!((one - elbo).abs() < 4.0 * (v1 + v).sqrt(), "{elbo} {one} {v1} {v}");
    assert!(ten - elbo > 4.0 * (v10 + v).sqrt(), "{elbo} {ten} {v10} {v}");
}

#[rstest]
#[case(VhredConfig { d_latent: 0, ..config() }, "`d_latent` must be at least 1, got 0")]
#[case(VhredConfig { variance_scale: 0.0, ..config() }, "`variance_scale` must be above 0, got 0")]
#[case(
    VhredConfig { bag_of_words: BagOfWords::Told { weight: -1.0, d_hidden: 4 }, ..config() },
    "`bag_of_words.told.weight` must be at least 0, got -1"
)]
#[case(
    VhredConfig { hred: HredConfig { d_decoder: 0, ..hred_config() }, ..config() },
    "`hred.d_decoder` must be at least 1, got 0"
)]
fn what_does_not_fit_is_named(#[case] config: VhredConfig, #[case] message: &str) {
    assert_eq!(config.validate(9).unwrap_err().to_string(), message);
}
