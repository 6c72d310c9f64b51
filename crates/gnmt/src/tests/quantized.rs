//! Weights of eight bits.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use recurrent_seq2seq::{
    Translator,
    search::{Beam, Generator, Limits, beam, forced, greedy},
};
use recurrent_testkit::{moved, redrawn};
use recurrent_training::Learn;

use super::*;

/// Every wiring in single precision, and the same with eight bits.
fn every_pair() -> Vec<(&'static str, Gnmt, QuantizedGnmt)> {
    let configs = every_config().into_iter();
    configs
        .map(|(name, config)| {
            let model = moved(model_of(&config, &Device::flex()), DType::F32, &Device::flex());
            let quantized = QuantizedGnmt::new(&config, &model).unwrap();
            (name, model, quantized)
        })
        .collect()
}

/// Every wiring computes with eight bits what it computes with floats, as far as eight bits go; a batch
/// gives what each gives alone, and rows move with all that belongs to them.
#[test]
fn every_wiring_is_that_of_the_floats() {
    for (name, model, quantized) in every_pair() {
        let generator = quantized.generator(&sources());
        assert_eq!(generator.source_lengths().unwrap(), [5, 2, 3]);
        let found = forced(&generator, &targets()).unwrap();
        let expected = forced(&model.generator(&sources()), &targets()).unwrap();
        for (row, (a, b)) in found.iter().zip(&expected).enumerate() {
            for (a, b) in a.token_log_probs.iter().zip(&b.token_log_probs) {
                assert!((a - b).abs() < 0.02, "{name}, row {row}: {a} for {b}");
            }
            for (a, b) in a.weights.concat().iter().zip(b.weights.concat()) {
                assert!((a - b).abs() < 0.02, "{name}, row {row}: {a} for {b}");
            }
            let (source, target) = (&sources()[row], &targets()[row]);
            let alone =
                forced(&quantized.generator(&[source]), std::slice::from_ref(target)).unwrap();
            assert_eq!(alone[0].token_log_probs, a.token_log_probs, "{name}");
        }

        let first = generator.step(&[4, 5, 6], generator.start());
        let moved = generator.reorder(first.state.clone(), &[2, 0, 0, 1]);
        let after = generator.step(&[7, 7, 5, 4], moved).scores.log_probs().into_data();
        let row = |row: usize, id: u32| {
            let alone = generator.reorder(first.state.clone(), &[row]);
            generator.step(&[id], alone).scores.log_probs()
        };
        let alone = Tensor::cat(vec![row(2, 7), row(0, 7), row(0, 5), row(1, 4)], 0);
        after.assert_eq(&alone.into_data(), true);
        let limits = Limits::twice(&[4, 1, 2]);
        let one = beam(&generator, &Beam::new(1), &limits).unwrap();
        for (one, greedy) in one.iter().zip(greedy(&generator, &limits).unwrap()) {
            assert_eq!(one[0].tokens, greedy.tokens, "{name}");
        }
    }
}

/// taken apart and put together it is the same model, to the bit.
#[test]
fn x_4_parts_make_the_same_model() {
    for (name, _, quantized) in every_pair() {
        let (_, config) = every_config().into_iter().find(|(other, _)| *other == name).unwrap();
        let parts = quantized.parts();
        let again = QuantizedGnmt::from_parts(&config, VOCABULARY, parts.clone()).unwrap();
        assert_eq!(again.parts(), parts, "{name}");
        // `g` is part of `v` there.
        let count = |(_, part): &(String, Part)| match part {
            Part::Matrix { values, .. } => values.len(),
            Part::Vector(numbers) => numbers.len(),
        };
        let kept: usize = parts.iter().map(count).sum();
        assert_eq!(kept + 1, config.parameters(VOCABULARY).total(), "{name}");
        let score = |model: &QuantizedGnmt| {
            forced(&model.generator(&sources()), &targets()).unwrap()[0].token_log_probs.clone()
        };
        assert_eq!(score(&again), score(&quantized), "{name}");
    }
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let (_, config) = every_config().swap_remove(0);
    let parts = every_pair().swap_remove(0).2.parts();
    let refused = |config: &GnmtConfig, parts: Vec<(String, Part)>| {
        QuantizedGnmt::from_parts(config, VOCABULARY, parts).unwrap_err().to_string()
    };
    let without = |name: &str| parts.iter().filter(|(other, _)| other != name).cloned().collect();
    assert_eq!(refused(&config, without("decoder.1.w_x")), "`decoder.1.w_x` is missing");
    let deeper = GnmtConfig { layers: 5, ..config.clone() };
    assert_eq!(refused(&deeper, parts.clone()), "`encoder.3.w_x` is missing");
    let fed = GnmtConfig { first_layer: FirstLayer::Context, ..config.clone() };
    let shape = "`decoder.first.w_x` is [12, 3], but [12, 6] in the model";
    assert_eq!(refused(&fed, parts.clone()), shape);
    let mut more = parts.clone();
    more.push(("more".to_owned(), Part::Vector(vec![1.0])));
    assert_eq!(refused(&config, more), "`more` is no part of the model");
    let mut wrong: Vec<(String, Part)> = without("attention.v");
    wrong.push(("attention.v".to_owned(), Part::Vector(vec![1.0; 4])));
    assert_eq!(refused(&config, wrong), "`attention.v` is [4], but [3] in the model");

    let mut model = model_of(&config, &Device::flex());
    let e = model.target_embedding.e.val().slice_fill(s![5, 1], f64::NAN);
    model.target_embedding.e = Param::from_tensor(e);
    let said = QuantizedGnmt::new(&config, &model).unwrap_err().to_string();
    assert_eq!(said, "`target`: weight [5, 1] is NaN, expected a finite number");
}

/// GN-8: a model that has learned a task says the same with eight bits at 99 of 100 steps and more.
#[test]
fn gn_8_a_trained_model_says_the_same() {
    let config =
        GnmtConfig { layers: 3, d_hidden: 32, initial: Initial::Glorot, ..GnmtConfig::default() };
    let mut model = redrawn(config.init([14, 14], &Device::flex().autodiff()), 3000);
    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    // Sequences of 2 to 7 symbols, written backward.
    let words = |from: usize| -> Vec<Vec<u32>> {
        let word =
            |n: usize| (0..2 + n % 6).map(move |i| 4 + ((n * 7 + i * (n / 6 + 3)) % 10) as u32);
        (from..from + 64).map(|n| word(n).collect()).collect()
    };
    let pairs = |from: usize| {
        let sources = words(from);
        let back = sources.iter().map(|word| word.iter().rev().copied().collect());
        (sources.clone(), back.collect::<Vec<Vec<u32>>>())
    };
    for step in 0..300 {
        let (sources, targets) = pairs(step * 64);
        let batch = PairBatch::new(&sources, &targets);
        let (loss, ()) = model.learn(&batch, None, &Moment { step, ..moment() });
        let gradients = (loss.sum / loss.weight).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(0.005, model, gradients);
    }
    let model = model.valid();
    let quantized = QuantizedGnmt::new(&config, &model).unwrap();
    let (sources, targets) = pairs(1_000_000);
    let batch = PairBatch::new(&sources, &targets);
    let likeliest = log_softmax(model.forced(&batch).0, 2).argmax(2);
    let likeliest: Vec<i64> = likeliest.into_data().iter::<i64>().collect();
    let steps = batch.begun.steps();
    let generator = quantized.generator(&sources);
    let (mut state, mut same, mut all) = (generator.start(), 0, 0);
    for t in 0..steps {
        let at = |row: &Vec<u32>| row.get(t).copied().unwrap_or(0);
        let read: Vec<u32> = batch.begun.rows().collect::<Vec<_>>().iter().map(at).collect();
        let predicted = generator.step(&read, state);
        let said = predicted.scores.log_probs().argmax(1).into_data();
        for (row, said) in said.iter::<i64>().enumerate() {
            if t <= targets[row].len() {
                all += 1;
                same += usize::from(said == likeliest[row * steps + t]);
            }
        }
        state = predicted.state;
    }
    let right = forced(&model.generator(&sources), &targets).unwrap();
    let nll: f64 = right.iter().map(|found| -found.log_prob).sum::<f64>() / all as f64;
    assert!(nll < 0.5, "it has not learned: {nll}");
    assert!(same * 100 >= all * 99, "{same} of {all}");
}
