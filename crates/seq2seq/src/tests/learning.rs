//! Models that must learn.

use burn::optim::{AdamConfig, GradientsParams};
use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use recurrent_testkit::redrawn;
use recurrent_training::Learn;

use super::*;
use crate::search::{Limits, greedy};

fn seeded(config: &Seq2SeqConfig, v: usize) -> Seq2Seq<AnyCell> {
    redrawn(config.init([v, v], &Device::flex().autodiff()), 3000)
}

/// Adam over `steps` batches, with a rate for each step.
fn trained(
    mut model: Seq2Seq<AnyCell>,
    steps: usize,
    rate: impl Fn(usize) -> f64,
    mut batch: impl FnMut() -> PairBatch,
) -> (Seq2Seq<AnyCell>, f64) {
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let mut last = f64::INFINITY;
    for step in 0..steps {
        let (loss, ()) = model.learn(&batch(), None, &moment());
        last = f64::from(loss.nll.into_scalar::<f32>()) / loss.items as f64;
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(rate(step), model, gradients);
    }
    (model, last)
}

/// every model can learn one batch by heart.
#[test]
fn x_10_one_batch_by_heart() {
    for (name, config) in every_config() {
        let (_, nll) = trained(seeded(&wider(config), 9), 200, |_| 0.01, batch);
        assert!(nll < 0.01, "{name}: {nll}");
    }
}

/// The same kind of model with room to learn.
fn wider(mut config: Seq2SeqConfig) -> Seq2SeqConfig {
    config.d_embedding = 8;
    config.encoder.d_hidden = 16;
    config.decoder.d_hidden = 16;
    match &mut config.decoder.kind {
        DecoderKind::Thought { .. } => {}
        DecoderKind::Bahdanau { d_readout, .. } | DecoderKind::Luong { d_readout, .. } => {
            *d_readout = 16;
        }
    }
    config
}

fn random_word(rng: &mut ChaCha12Rng, longest: usize) -> Vec<u32> {
    let length = rng.random_range(1..=longest);
    (0..length).map(|_| rng.random_range(4..14)).collect()
}

fn sequences(rng: &mut ChaCha12Rng, count: usize) -> Vec<Vec<u32>> {
    (0..count).map(|_| random_word(rng, 8)).collect()
}

fn attentive() -> Seq2SeqConfig {
    Seq2SeqConfig {
        d_embedding: 16,
        cell: CellKind::Gru,
        encoder: EncoderConfig { layers: 1, d_hidden: 32, reading: Reading::Both },
        decoder: DecoderConfig {
            layers: 1,
            d_hidden: 64,
            kind: DecoderKind::Luong {
                attention: AttentionConfig::General,
                d_readout: 64,
                feeding: Feeding::None,
            },
        },
        ..Seq2SeqConfig::default()
    }
}

/// What the model should do to a sequence.
type Task = fn(&[u32]) -> Vec<u32>;

/// The share of new sequences that come out right, and the share of looks that go where `aim` says.
fn learned(task: Task, aim: fn(usize, usize) -> usize) -> (f64, f64) {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let pairs = |sources: Vec<Vec<u32>>| {
        let targets: Vec<Vec<u32>> = sources.iter().map(|source| task(source)).collect();
        PairBatch::new(&sources, &targets)
    };
    // Towards 0, so that what is learned does not hang on the noise of the last steps.
    let rate = |step: usize| 0.005 * (1.0 - step as f64 / 1000.0);
    let (model, _) =
        trained(seeded(&attentive(), 14), 1000, rate, || pairs(sequences(&mut rng, 64)));
    let model = model.valid();
    let sources = sequences(&mut ChaCha12Rng::seed_from_u64(2), 500);
    let lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
    let found = greedy(&model.generator(&sources), &Limits::twice(&lengths)).unwrap();
    let right = sources.iter().zip(&found).filter(|(source, found)| found.tokens == task(source));
    let right = right.count() as f64 / sources.len() as f64;
    let (mut looks, mut aimed) = (0, 0);
    for (source, found) in sources.iter().zip(&found) {
        for (t, row) in found.weights.iter().enumerate().take(source.len()) {
            let most = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            looks += 1;
            aimed += usize::from(most == aim(t, source.len()));
        }
    }
    (right, f64::from(aimed as u32) / f64::from(looks as u32))
}

/// S2-10 and AT-10: sequences up to 8 of 10 symbols come out reversed, and the model looks along
/// the anti-diagonal.
#[test]
fn s2_10_at_10_learns_to_reverse() {
    let (right, aimed) = learned(|x| x.iter().rev().copied().collect(), |t, n| n - 1 - t);
    assert!(right >= 0.95, "{right} right");
    assert!(aimed >= 0.9, "{aimed} aimed");
}

/// AT-10: a model that copies looks along the diagonal.
#[test]
fn at_10_learns_to_copy() {
    let (right, aimed) = learned(<[u32]>::to_vec, |t, _| t);
    assert!(right >= 0.95, "{right} right");
    assert!(aimed >= 0.9, "{aimed} aimed");
}
