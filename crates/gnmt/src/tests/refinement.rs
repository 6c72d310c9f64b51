//! Learning from whole outputs.

use burn::optim::{AdamConfig, GradientsParams};
use recurrent_seq2seq::{
    Translator,
    search::{Ending, forced},
};
use recurrent_testkit::{assert_close, check_gradients, redrawn};
use recurrent_training::Learn;

use super::*;
use crate::refinement::weighted;

fn refinement() -> Refinement {
    Refinement { samples: 4, likelihood: 0.3 }
}

fn refined(device: &Device) -> Gnmt {
    let config = GnmtConfig { layers: 3, d_hidden: 3, ..GnmtConfig::default() };
    model_of(&GnmtConfig { refinement: Some(refinement()), ..config }, device)
}

/// Outputs are weighed against each other: the advantages of a source sum to 0, they are the rewards'
/// distances from their mean, and what is drawn depends on the step.
#[test]
fn rewards_are_weighed_against_their_mean() {
    let model = refined(&Device::flex().autodiff());
    let drawn = refinement().draw(&model, &batch(), &moment());
    assert_eq!((drawn.outputs.len(), drawn.advantages.len()), (4, 4));
    let mut rewards = 0.0;
    for (b, target) in targets().iter().enumerate() {
        let reward = |k: usize| {
            let output = drawn.outputs[k].ended.rows().nth(b).unwrap();
            recurrent_text::gleu(&output[..output.len() - 1], target)
        };
        let of_source: Vec<f64> = (0..4).map(reward).collect();
        let mean = of_source.iter().sum::<f64>() / 4.0;
        rewards += mean / 3.0;
        for (k, reward) in of_source.iter().enumerate() {
            assert!((drawn.advantages[k][b] - (reward - mean) / 4.0).abs() < 1e-12);
        }
    }
    assert!((drawn.reward - rewards).abs() < 1e-12);
    assert!(drawn.advantages.concat().iter().any(|advantage| advantage.abs() > 1e-3));
    let again = refinement().draw(&model, &batch(), &moment());
    assert_eq!(again.outputs, drawn.outputs);
    let later = refinement().draw(&model, &batch(), &Moment { step: 1, ..moment() });
    assert_ne!(later.outputs, drawn.outputs);
}

/// the gradient of what is minimised, with the outputs as they were drawn, by finite differences;
/// and its value from the log-probabilities of the tokens that were drawn, one by one. The `</s>` behind
/// an output that was cut was not.
#[test]
fn x_1_gradients_match_finite_differences() {
    let model = refined(&Device::flex().autodiff());
    let drawn = refinement().draw(&model, &batch(), &moment());
    check_gradients(&model, 1e-6, |model| weighted(model, &drawn));
    let draws = drawn.outputs.iter().zip(&drawn.endings).zip(&drawn.advantages);
    let (mut expected, mut cut, mut written) = (0.0, 0, 0);
    for ((pairs, endings), advantages) in draws {
        let outputs = sources().into_iter().zip(pairs.ended.rows());
        for (((source, mut output), ending), advantage) in outputs.zip(endings).zip(advantages) {
            output.pop();
            let found =
                forced(&model.generator(&[&source]), std::slice::from_ref(&output)).unwrap();
            let log_probs = &found[0].token_log_probs;
            match ending {
                Ending::Cut => {
                    assert_eq!(output.len(), 2 * source.len());
                    cut += 1;
                    expected -= advantage * log_probs[..output.len()].iter().sum::<f64>();
                }
                Ending::Written => {
                    written += 1;
                    expected -= advantage * log_probs.iter().sum::<f64>();
                }
            }
        }
    }
    assert!(cut > 0 && written > 0, "{cut} cut, {written} written");
    assert_close(&weighted(&model, &drawn), [expected], 1e-10);
    let loss = model.learn(&batch(), None, &moment()).0;
    let expected = model.likelihood(&batch()).sum * 0.3 + weighted(&model, &drawn);
    assert_close(&loss.sum, expected.to_data(), 1e-12);
    assert_eq!(loss.weight, 3.0);
}

/// What is drawn and what learns are one model: nothing is dropped.
#[test]
fn nothing_is_dropped_while_it_refines() {
    let loss = |dropout: f64| {
        let mut model = refined(&Device::flex().autodiff());
        model.encoder.dropout.prob = dropout;
        model.decoder.dropout.prob = dropout;
        model.learn(&batch(), None, &moment()).0.sum
    };
    assert_close(&loss(0.5), loss(0.0).to_data(), 0.0);
}

/// A model that has begun to learn by likelihood is rewarded more for its outputs after it has learned
/// from them alone.
#[test]
fn refinement_raises_the_reward() {
    let config =
        GnmtConfig { layers: 2, d_hidden: 16, initial: Initial::Glorot, ..GnmtConfig::default() };
    let mut model = redrawn(config.init(VOCABULARY, &Device::flex().autodiff()), 3000);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let alone = Refinement { samples: 8, likelihood: 0.0 };
    let reward = |model: &Gnmt| {
        let steps = 1000..1020;
        let rewards = steps.map(|step| alone.reward(model, &batch(), &Moment { step, ..moment() }));
        rewards.sum::<f64>() / 20.0
    };
    let mut before = 0.0;
    for step in 0..100 {
        if step == 40 {
            before = reward(&model);
            model.refinement = Some(alone);
        }
        let (loss, ()) = model.learn(&batch(), None, &Moment { step, ..moment() });
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(0.01, model, gradients);
    }
    let after = reward(&model);
    assert!(before < 0.9 && after > before + 0.1, "{before} before, {after} after");
}
