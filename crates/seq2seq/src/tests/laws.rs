//! Padding, order, gradients and the agreement of training with decoding.

use burn::{module::Param, tensor::activation::log_softmax};
use recurrent_cells::{Layer, Lengths, State};
use recurrent_testkit::{all_gradients, assert_close, check_gradients, moved, random};
use recurrent_training::Learn;

use super::*;
use crate::{
    EmbeddingScale,
    search::{Generator, Limits, forced, greedy},
};

fn padded(batch: &PairBatch, source: usize, target: usize) -> PairBatch {
    PairBatch {
        source: batch.source.with_padding(source),
        begun: batch.begun.with_padding(target),
        ended: batch.ended.with_padding(target),
    }
}

/// S2-1: more padding of the source changes neither the state a decoder starts from nor a logit.
#[test]
fn s2_1_padding_of_the_source_is_not_read() {
    for (name, model) in every_model(&Device::flex()) {
        let (batch, wider) = (batch(), padded(&batch(), 2, 0));
        let (thought, more) = (model.encode(&batch.source).1, model.encode(&wider.source).1);
        for ((_, a), (_, b)) in thought.parts().iter().zip(more.parts()) {
            assert_close(&b, a.to_data(), 1e-12);
        }
        println!("{name}");
        assert_close(&model.forced(&wider).0, model.forced(&batch).0.to_data(), 1e-12);
    }
}

/// S2-2: what the step-wise generator says of given outputs is what the teacher-forced pass says,
/// token by token and with the same weights.
#[test]
fn s2_2_steps_add_up_to_the_forced_pass() {
    for (name, model) in every_model(&Device::flex()) {
        let (logits, weights) = model.forced(&batch());
        let log_p = log_softmax(logits, 2);
        let found = forced(&model.generator(&sources()), &targets()).unwrap();
        for (row, (hypothesis, target)) in found.iter().zip(targets()).enumerate() {
            let ended = [target, vec![recurrent_text::EOS]].concat();
            for (t, id) in ended.iter().enumerate() {
                let at = log_p.clone().slice(s![row, t, *id as usize]).into_scalar::<f64>();
                let step = hypothesis.token_log_probs[t];
                assert!((at - step).abs() < 1e-10, "{name}: {at} and {step}");
                let Some(weights) = &weights else { continue };
                let seen = weights.clone().slice(s![row, t, ..]).to_data();
                // Search keeps them in single precision.
                for (a, b) in seen.iter::<f64>().zip(&hypothesis.weights[t]) {
                    assert!((a - f64::from(*b)).abs() < 1e-6, "{name}");
                }
            }
        }
    }
}

/// All steps at once are the steps one after the other.
#[test]
fn all_steps_at_once_are_one_after_the_other() {
    for (name, model) in every_model(&Device::flex()) {
        let targets = [vec![4, 7, 5], vec![5, 4, 6], vec![6, 6, 6]];
        let batch = PairBatch::new(&sources(), &targets.map(|row| row.to_vec()));
        let (source, start) = model.encode(&batch.source);
        let y = model.target_embedding.forward(batch.begun.tensor(&model.device()));
        let at_once =
            model.decoder.sequence(y.clone(), start.clone(), &source, &batch.begun.lengths());
        let stepped = model.decoder.step_by_step(y, start, &source);
        println!("{name}");
        assert_close(&at_once.readout, stepped.readout.to_data(), 1e-12);
        assert_eq!(at_once.weights.is_some(), stepped.weights.is_some());
        if let (Some(a), Some(b)) = (at_once.weights, stepped.weights) {
            assert_close(&a, b.to_data(), 1e-12);
        }
    }
}

/// The gradients too, of every parameter: what is done before the steps or after them is done as they
/// do it.
#[test]
fn gradients_of_all_steps_at_once_are_those_of_the_steps() {
    for (name, model) in every_model(&Device::flex().autodiff()) {
        let gradients = |at_once: bool| {
            let (batch, lengths) = (batch(), batch().begun.lengths());
            let (source, start) = model.encode(&batch.source);
            let y = model.target_embedding.forward(batch.begun.tensor(&model.device()));
            let decoded = if at_once {
                model.decoder.sequence(y, start, &source, &lengths)
            } else {
                model.decoder.step_by_step(y, start, &source)
            };
            let padding = lengths.pad_mask(&model.device()).unsqueeze_dim::<3>(2);
            let weights = decoded.weights.unwrap_or_else(|| decoded.readout.clone());
            let [readout, weights] = [decoded.readout, weights].map(|part| {
                let mask = padding.clone().expand(part.dims());
                part.sin().mask_fill(mask, 0.0).sum()
            });
            all_gradients(&model, &(readout + weights).backward())
        };
        println!("{name}");
        let (at_once, stepped) = (gradients(true), gradients(false));
        assert_eq!(at_once.len(), stepped.len());
        for (a, b) in at_once.iter().zip(stepped) {
            assert!((a - b).abs() < 1e-10, "{name}: {a} and {b}");
        }
    }
}

/// S2-5: a decoder that is given the thought vector at the start sees nothing else of the source.
#[test]
fn s2_5_a_thought_vector_is_all_there_is() {
    let device = Device::flex();
    let (_, model) = every_model(&device).swap_remove(0);
    let (_, start) = model.encode(&batch().source);
    let y = random([3, 2, 3], 1, DType::F64, &device);
    let run = |seed: u64| {
        let outputs = random([3, 5, 4], seed, DType::F64, &device);
        let source = model.decoder.source(outputs, None, || unreachable!("it is not asked for"));
        model.decoder.sequence(y.clone(), start.clone(), &source, &Lengths::full(3, 2)).readout
    };
    assert_close(&run(2), run(3).to_data(), 0.0);
}

/// S2-6, X-2: padding of both sides changes neither the loss nor any gradient, and a batch is the
/// sum of its pairs.
#[test]
fn s2_6_x_2_a_padded_batch_is_its_pairs() {
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

/// S2-8: reading backward is reading the reversed source forward, inside its length.
#[test]
fn s2_8_reading_backward_reverses_inside_the_length() {
    let device = Device::flex();
    let cell = || drawn(CellKind::Lstm.init(3, 4, &device), DType::F64);
    let x = random([1, 3, 3], 5, DType::F64, &device);
    let (y, last) = Reader::Backward(cell())
        .forward(Tensor::cat(vec![x.clone(), x.clone()], 1), &Lengths::new([3], 6));
    let (reversed, end) = Layer::forward(&cell(), x.flip([1]), None, &Lengths::full(1, 3));
    assert_close(&y.narrow(1, 0, 3).flip([1]), reversed.to_data(), 1e-12);
    for ((_, a), (_, b)) in last[0].parts().iter().zip(end.parts()) {
        assert_close(a, b.to_data(), 1e-12);
    }
}

/// S2-9, X-9: a model as it is drawn finds all tokens about as likely.
#[test]
fn s2_9_x_9_an_untrained_model_knows_nothing() {
    for (name, config) in every_config() {
        let model = config.init(VOCABULARY, &Device::flex());
        assert_knows_nothing(name, model.forced(&batch()).0);
    }
}

/// every parameter of every model, by finite differences.
#[test]
fn x_1_gradients_match_finite_differences() {
    for (name, model) in every_model(&Device::flex().autodiff()) {
        println!("{name}");
        // The one has a test of its own, the other is the third with a cell that has one.
        if name == "luong, feeding" || name == "bahdanau, normalised" {
            continue;
        }
        check_gradients(&model, 1e-6, |model| model.learn(&batch(), None, &moment()).0.sum);
    }
}

/// X-1 for a model whose zero bridge leaves the encoder to attention alone; and scheduled sampling
/// at a truth of 1 is teacher forcing.
#[test]
fn x_1_without_a_bridge() {
    let (_, model) = every_model(&Device::flex().autodiff()).pop().unwrap();
    check_gradients(&model, 1e-6, |model| model.learn(&batch(), None, &moment()).0.sum);
}

/// A reorder moves all that belongs to a row: what comes next depends on nothing else.
#[test]
fn a_reorder_moves_everything_of_a_row() {
    for (name, model) in every_model(&Device::flex()) {
        let generator = model.generator(&sources());
        let first = generator.step(&[4, 5, 6], generator.start());
        let rows = [2, 0, 0, 1];
        let moved = generator.reorder(first.state.clone(), &rows);
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

/// X-2 for decoding: a batch of sources gives what each gives alone.
#[test]
fn decoding_a_batch_is_decoding_each() {
    for (name, model) in every_model(&Device::flex()) {
        let together = greedy(&model.generator(&sources()), &Limits::twice(&[4, 1, 2])).unwrap();
        for (source, found) in sources().iter().zip(together) {
            let limits = Limits::twice(&[source.len()]);
            let alone = greedy(&model.generator(&[source]), &limits).unwrap();
            assert_eq!(alone[0].tokens, found.tokens, "{name}");
            assert!((alone[0].log_prob - found.log_prob).abs() < 1e-6, "{name}");
        }
    }
}

/// AT-9: a decoder whose context is always `h_T` is an encoder–decoder with a fixed context: a memory
/// of one row is that.
#[test]
fn at_9_a_fixed_context_is_an_encoder_decoder() {
    let device = Device::flex();
    let (_, model) = every_model(&device).swap_remove(2);
    let Decoder::Bahdanau(decoder) = &model.decoder else { panic!("the third has Bahdanau's") };
    let (_, start) = model.encode(&batch().source);
    let h_t = random([3, 1, 8], 9, DType::F64, &device);
    let source = model.decoder.source(h_t.clone(), None, || unreachable!("it is not asked for"));
    let y = random([3, 4, 3], 8, DType::F64, &device);
    let attended = model.decoder.step_by_step(y.clone(), start.clone(), &source).readout;

    let c = h_t.repeat_dim(1, 4);
    let x = Tensor::cat(vec![y.clone(), c.clone()], 2);
    let (s, _) = decoder.rnn.forward(x, start.layers, &Lengths::full(3, 4));
    let part = |x: Tensor<3>, w: &Param<Tensor<2>>| x.matmul(w.val().unsqueeze());
    let t = part(s, &decoder.u_o) + part(y, &decoder.v_o) + part(c, &decoder.c_o);
    let fixed = t.reshape([3, 4, 3, 2]).max_dim(3).squeeze_dim::<3>(3);
    assert_close(&attended, fixed.to_data(), 1e-12);
}

/// Tied matrices are one: a tied output has no weights, shared embeddings no second table.
#[test]
fn tied_matrices_are_one() {
    let (_, config) = every_config().swap_remove(4);
    let config = Seq2SeqConfig { d_embedding: 4, ..config };
    let count = |tie| {
        let config = Seq2SeqConfig { tie, ..config.clone() };
        config.init([8, 8], &Device::flex()).num_params()
    };
    let all = count(Tie::None);
    assert_eq!(count(Tie::Output), all - 8 * 4);
    assert_eq!(count(Tie::Embeddings), all - 8 * 4);
    assert_eq!(count(Tie::All), all - 2 * 8 * 4);
}

/// What does not fit is refused, by name.
#[test]
fn what_does_not_fit_is_refused() {
    let (_, config) = every_config().swap_remove(4);
    let refused = |change: &dyn Fn(&mut Seq2SeqConfig), text: &str| {
        let mut config = config.clone();
        change(&mut config);
        assert_eq!(config.validate(VOCABULARY).unwrap_err().to_string(), text);
    };
    refused(&|c| c.dropout = 1.0, "`dropout` must be in [0, 1), got 1");
    refused(&|c| c.encoder.layers = 0, "`encoder.layers` must be at least 1, got 0");
    refused(
        &|c| c.tie = Tie::All,
        "`tie` must be none or output where source and target have tokens of their own, got All",
    );
    refused(
        &|c| c.embedding_scale = EmbeddingScale::Sqrt,
        "`embedding_scale` must be \"plain\" where no embedding is the output layer, got sqrt",
    );
    refused(
        &|c| c.bridge = BridgeKind::Pass,
        "`bridge` must be zero or dense; pass only with an encoder that reads one way and is as \
         wide as the decoder, got pass",
    );
    refused(
        &|c| c.cell = CellKind::Skip { delays: vec![2, 2] },
        "`cell.skip.delays` must be a list of different delays of at least 1, got [2, 2]",
    );
    config.validate(VOCABULARY).unwrap();
}

/// Loss, gradients and outputs in `f32` on `device` are those of `f64` on `flex`.
fn check_backend(device: &Device) {
    for (name, expected) in every_model(&Device::flex().autodiff()) {
        let model = moved(expected.clone(), DType::F32, &device.clone().autodiff());
        for (a, b) in learned(&model).iter().zip(learned(&expected)) {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}: {a} for {b}");
        }
        let written = |model: Seq2Seq<AnyCell>| {
            let found = greedy(&model.valid().generator(&sources()), &Limits::twice(&[4, 1, 2]));
            found.expect("numbers").into_iter().map(|found| found.tokens).collect::<Vec<_>>()
        };
        assert_eq!(written(model), written(expected), "{name}");
    }
}

/// The loss of the batch and its gradient by the embedding of the targets.
fn learned(model: &Seq2Seq<AnyCell>) -> Vec<f64> {
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
