//! Models that must learn.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use recurrent_testkit::redrawn;
use recurrent_training::Learn;

use super::*;

/// a model as it is drawn finds all tokens about as likely.
#[test]
fn x_9_an_untrained_model_knows_nothing() {
    for (name, config) in every_config() {
        for initial in [Initial::Uniform { within: 0.1 }, Initial::Glorot] {
            let config = GnmtConfig { initial, ..config.clone() };
            let logits = config.init(VOCABULARY, &Device::flex()).forced(&batch()).0;
            let nll = -log_softmax(logits.cast(DType::F64), 2).mean().into_scalar::<f64>();
            let uniform = 9_f64.ln();
            assert!(nll >= uniform - 1e-6 && nll < 1.05 * uniform, "{name}: {nll} for {uniform}");
        }
    }
}

/// every wiring can learn one batch by heart.
#[test]
fn x_10_one_batch_by_heart() {
    for (name, config) in every_config() {
        let config = GnmtConfig {
            d_hidden: 16,
            clip: config.clip.map(|_| Clip::paper(100)),
            logit_clip: config.logit_clip.map(|_| 25.0),
            loss: CrossEntropy::default(),
            ..config
        };
        let mut model = redrawn(config.init(VOCABULARY, &Device::flex().autodiff()), 3000);
        let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
        let mut nll = f64::INFINITY;
        for step in 0..200 {
            let (loss, ()) = model.learn(&batch(), None, &Moment { step, ..moment() });
            nll = f64::from(loss.nll.into_scalar::<f32>()) / loss.items as f64;
            let gradients = (loss.sum / loss.weight).backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            model = optimizer.step(0.01, model, gradients);
        }
        assert!(nll < 0.01, "{name}: {nll}");
    }
}
