//! Padding, gradients, and the agreement of training with decoding.

use burn::tensor::activation::log_softmax;
use recurrent_seq2seq::{
    Translator,
    search::{Beam, Generator, Limits, beam, forced, greedy},
};
use recurrent_testkit::{all_gradients, assert_close, check_gradients, moved};
use recurrent_text::EOS;
use recurrent_training::Learn;

use super::*;

fn padded(batch: &PairBatch, source: usize, target: usize) -> PairBatch {
    PairBatch {
        source: batch.source.with_padding(source),
        begun: batch.begun.with_padding(target),
        ended: batch.ended.with_padding(target),
    }
}

/// The whole sequence at once is the steps as they are decoded: what training learns is what search
/// reads. Log-probabilities to 1e-10, from the states on.
#[test]
fn all_steps_at_once_are_one_after_the_other() {
    let device = Device::flex();
    let targets = [vec![4, 7, 5], vec![5, 4, 6], vec![6, 6, 6]];
    let batch = PairBatch::new(&sources(), &targets);
    for (name, model) in every_model(&device) {
        let (logits, weights) = model.forced(&batch);
        let log_p = log_softmax(logits, 2);
        let generator = model.generator(&sources());
        let mut state = generator.start();
        for t in 0..4 {
            let read: Vec<u32> = targets
                .iter()
                .map(|row| if t == 0 { recurrent_text::BOS } else { row[t - 1] })
                .collect();
            let step = generator.step(&read, state);
            println!("{name}, step {t}");
            let at_once = log_p.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
            assert_close(&step.scores.log_probs(), at_once.to_data(), 1e-10);
            let at_once = weights.clone().expect("weights").narrow(1, t, 1).squeeze_dim::<2>(1);
            assert_close(&step.weights.expect("weights"), at_once.to_data(), 1e-10);
            state = step.state;
        }
    }
}

/// What search says of given outputs is what the teacher-forced pass says.
#[test]
fn given_outputs_are_scored_as_they_were_learned() {
    for (name, model) in every_model(&Device::flex()) {
        let log_p = log_softmax(model.forced(&batch()).0, 2);
        let found = forced(&model.generator(&sources()), &targets()).unwrap();
        for (row, (hypothesis, target)) in found.iter().zip(targets()).enumerate() {
            for (t, id) in [target, vec![EOS]].concat().iter().enumerate() {
                let at = log_p.clone().slice(s![row, t, *id as usize]).into_scalar::<f64>();
                assert!((at - hypothesis.token_log_probs[t]).abs() < 1e-6, "{name}");
            }
        }
    }
}

/// padding of both sides changes neither the loss nor any gradient, and a batch is the sum of
/// its pairs.
#[test]
fn x_2_a_padded_batch_is_its_pairs() {
    for (name, model) in every_model(&Device::flex().autodiff()) {
        let loss = |batch: &PairBatch| model.learn(batch, None, &moment()).0.sum;
        let whole = loss(&batch());
        let wider = loss(&padded(&batch(), 3, 2));
        let singles = sources().into_iter().zip(targets());
        let single = |(source, target)| loss(&PairBatch::new(&[source], &[target]));
        let single = singles.map(single).reduce(|a, b| a + b).unwrap();
        println!("{name}");
        for other in [wider, single] {
            assert_close(&other, whole.to_data(), 1e-12);
            let expected = all_gradients(&model, &loss(&batch()).backward());
            let found = all_gradients(&model, &other.backward());
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-11, "{name}: {found} and {expected}");
            }
        }
    }
}

/// X-1, GN-7: every parameter of every wiring, by finite differences, the bounds of a training that
/// is under way included.
#[test]
fn x_1_gradients_match_finite_differences() {
    let at = Moment { step: 4, ..moment() };
    for (name, model) in every_model(&Device::flex().autodiff()) {
        println!("{name}");
        check_gradients(&model, 1e-6, |model| model.learn(&batch(), None, &at).0.sum);
    }
}

/// GN-6: a beam of one is greedy, a batch gives what each source gives alone, and no output is longer
/// than twice its source.
#[test]
fn gn_6_a_beam_of_one_is_greedy_and_a_batch_is_each() {
    let lengths: Vec<usize> = sources().iter().map(Vec::len).collect();
    for (name, model) in every_model(&Device::flex()) {
        let generator = model.generator(&sources());
        let together = greedy(&generator, &Limits::twice(&lengths)).unwrap();
        let settings = Beam { length_penalty: 0.6, coverage_penalty: 0.2, ..Beam::new(1) };
        let one = beam(&generator, &settings, &Limits::twice(&lengths)).unwrap();
        let wide = beam(&generator, &Beam::new(4), &Limits::twice(&lengths)).unwrap();
        for (row, (source, found)) in sources().iter().zip(&together).enumerate() {
            assert_eq!(one[row][0].tokens, found.tokens, "{name}");
            let limits = Limits::twice(&[source.len()]);
            let generator = model.generator(&[source]);
            let alone = greedy(&generator, &limits).unwrap();
            assert_eq!(alone[0].tokens, found.tokens, "{name}");
            assert!((alone[0].log_prob - found.log_prob).abs() < 1e-9, "{name}");
            let alone = beam(&generator, &Beam::new(4), &limits).unwrap();
            assert_eq!(alone[0][0].tokens, wide[row][0].tokens, "{name}");
            for found in wide[row].iter().chain([found]) {
                assert!(found.tokens.len() <= 2 * source.len(), "{name}");
            }
        }
    }
}

/// A reorder moves all that belongs to a row.
#[test]
fn a_reorder_moves_everything_of_a_row() {
    for (name, model) in every_model(&Device::flex()) {
        let generator = model.generator(&sources());
        let first = generator.step(&[4, 5, 6], generator.start());
        let moved = generator.reorder(first.state.clone(), &[2, 0, 0, 1]);
        let after = generator.step(&[7, 7, 5, 4], moved).scores.log_probs();
        let row = |row: usize, id: u32| {
            let alone = generator.reorder(first.state.clone(), &[row]);
            generator.step(&[id], alone).scores.log_probs()
        };
        let alone = Tensor::cat(vec![row(2, 7), row(0, 7), row(0, 5), row(1, 4)], 0);
        println!("{name}");
        assert_close(&after, alone.to_data(), 1e-12);
    }
}

/// outside of training there is no chance in it, dropout or not.
#[test]
fn x_5_no_chance_outside_of_training() {
    for (name, config) in every_config() {
        let with = GnmtConfig { dropout: 0.5, ..config.clone() };
        let [with, without] = [with, config].map(|config| model_of(&config, &Device::flex()));
        println!("{name}");
        assert_close(&with.forced(&batch()).0, without.forced(&batch()).0.to_data(), 0.0);
    }
}

/// Loss and gradients in `f32` on `device` are those of `f64` on `flex`.
fn check_backend(device: &Device) {
    for (name, expected) in every_model(&Device::flex().autodiff()) {
        let model = moved(expected.clone(), DType::F32, &device.clone().autodiff());
        for (a, b) in learned(&model).iter().zip(learned(&expected)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} for {b}");
        }
        let written = |model: Gnmt| {
            let found = greedy(&model.valid().generator(&sources()), &Limits::twice(&[4, 1, 2]));
            found.expect("numbers").into_iter().map(|found| found.tokens).collect::<Vec<_>>()
        };
        assert_eq!(written(model), written(expected), "{name}");
    }
}

/// The loss of the batch and its gradient by the embedding of the targets.
fn learned(model: &Gnmt) -> Vec<f64> {
    let (loss, ()) = model.learn(&batch(), None, &moment());
    let e = model.target_embedding.e.val();
    let gradient = e.grad(&loss.sum.backward()).expect("the embedding gets a gradient");
    let mut numbers: Vec<f64> = loss.sum.into_data().iter().collect();
    numbers.extend(gradient.into_data().iter::<f64>());
    numbers
}

#[test]
fn every_model_on_flex_in_f32() {
    check_backend(&Device::flex());
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn every_model_on_ndarray() {
    check_backend(&Device::ndarray());
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn every_model_on_wgpu() {
    check_backend(&Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
}
