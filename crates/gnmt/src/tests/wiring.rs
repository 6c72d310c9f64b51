//! Which part sees which, by probes.

use recurrent_cells::{AnyCell, Lengths, State};
use recurrent_seq2seq::{DecoderState, Source};
use recurrent_testkit::{assert_close, largest_difference};

use super::*;

fn base() -> GnmtConfig {
    GnmtConfig { layers: 4, d_hidden: 3, ..GnmtConfig::default() }
}

/// The cell with all weights and biases zero.
fn silenced(cell: &AnyCell) -> AnyCell {
    struct Zero;
    impl burn::module::ModuleMapper for Zero {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            param.map(|value| value.zeros_like())
        }
    }
    cell.clone().map(&mut Zero)
}

fn read(model: &Gnmt, x: Tensor<3>) -> Tensor<3> {
    let [batch, steps, _] = x.dims();
    model.encoder.forward(x, &Lengths::full(batch, steps)).outputs
}

/// GN-1 (a): parameters as the paper's sizes give them, and as models have them.
#[test]
fn gn_1_parameters_are_counted() {
    let paper = GnmtConfig::paper(1);
    let count = paper.parameters([32_000, 32_000]);
    assert_eq!(
        (count.encoder, count.decoder, count.attention),
        (79_728_640, 96_501_760, 2_099_201)
    );
    assert_eq!(count.output, 32_800_000);
    assert_eq!(count.total(), 276_665_601);
    let shared = GnmtConfig { tie: Tie::Embeddings, ..paper };
    assert_eq!(shared.parameters([32_000, 32_000]).total(), 243_897_601);

    let small = |d_hidden, v| {
        let config = GnmtConfig { layers: 8, d_hidden, ..GnmtConfig::default() };
        config.init([v, v], &Device::flex()).num_params()
    };
    assert_eq!(small(8, 20), 11_781);
    assert_eq!(small(64, 500), 765_301);
    for (name, config) in every_config() {
        let drawn = config.init(VOCABULARY, &Device::flex()).num_params();
        assert_eq!(config.parameters(VOCABULARY).total(), drawn, "{name}");
    }
}

/// A table that is only read has numbers of size 1, one that is the output layer as well rows of length 1.
#[test]
fn tables_are_as_large_as_their_use_wants() {
    let device = Device::flex();
    let (v, h) = (600, 64);
    let size = |table: &recurrent_seq2seq::Embedding| {
        let mean = table.e.val().powi_scalar(2).mean().into_scalar::<f64>();
        mean.sqrt()
    };
    for (tie, source, target) in [
        (Tie::None, Some(1.0), 1.0),
        (Tie::Output, Some(1.0), 1.0 / 8.0),
        (Tie::Embeddings, None, 1.0),
        (Tie::All, None, 1.0 / 8.0),
    ] {
        let config = GnmtConfig { layers: 2, d_hidden: h, tie, ..GnmtConfig::default() };
        let config = GnmtConfig { initial: crate::Initial::Glorot, ..config };
        let model = config.init([v, v], &device);
        let near = |size: f64, expected: f64| (size / expected - 1.0).abs() < 0.02;
        assert_eq!(model.source_embedding.is_some(), source.is_some(), "{tie:?}");
        let target_is = size(&model.target_embedding);
        assert!(near(target_is, target), "{tie:?}: target {target_is}");
        if let (Some(table), Some(expected)) = (&model.source_embedding, source) {
            assert!(near(size(table), expected), "{tie:?}: source {}", size(table));
        }
    }
}

/// GN-1 (b): a layer without weights is the identity where there is a way around it, and puts out
/// nothing where there is none.
#[test]
fn gn_1_a_silent_layer_is_the_identity_from_the_third_on() {
    let device = Device::flex();
    let x = random([2, 4, 3], 7, DType::F64, &device);
    for silent in 1..3 {
        let mut model = model_of(&base(), &device);
        model.encoder.upper[silent] = silenced(&model.encoder.upper[silent]);
        let mut without = model.clone();
        without.encoder.upper.remove(silent);
        assert_close(&read(&model, x.clone()), read(&without, x.clone()).to_data(), 1e-15);
    }
    let mut model = model_of(&GnmtConfig { layers: 2, ..base() }, &device);
    model.encoder.upper[0] = silenced(&model.encoder.upper[0]);
    assert_close(&read(&model, x).abs().max(), [0.0], 0.0);
}

/// What the decoder makes of a source: its state after three steps, and its weights.
fn written(model: &Gnmt, source: &Source) -> (DecoderState<recurrent_cells::AnyState>, Tensor<3>) {
    let (_, start) = model.encode(&batch().source);
    let y = random([3, 3, 3], 5, DType::F64, &model.device());
    let (decoded, state) = model.decoder.forward(y, start, source, &Lengths::full(3, 3));
    (state, decoded.weights.expect("GNMT looks at its source"))
}

/// Which layers' states differ.
fn different<S: State>(a: &DecoderState<S>, b: &DecoderState<S>) -> Vec<bool> {
    let layers = a.layers.iter().zip(&b.layers);
    let differs = |(a, b): (&S, &S)| {
        let parts = a.parts().into_iter().zip(b.parts());
        parts.map(|((_, a), (_, b))| largest_difference(&a, b.to_data())).fold(0.0, f64::max) > 1e-9
    };
    layers.map(differs).collect()
}

/// GN-1 (c): the source reaches all layers of the decoder but the lowest, and that one where it is
/// wired to.
#[test]
fn gn_1_the_source_reaches_the_layers_above_the_first() {
    let device = Device::flex();
    for (first_layer, first_sees) in [(FirstLayer::Token, false), (FirstLayer::Context, true)] {
        let model = model_of(&GnmtConfig { first_layer, ..base() }, &device);
        let (source, _) = model.encode(&batch().source);
        let mut other = source.clone();
        let memory = other.memory.as_mut().expect("a memory");
        memory.values = memory.values.clone() + 0.5;
        let (a, b) = (written(&model, &source).0, written(&model, &other).0);
        assert_eq!(different(&a, &b), [first_sees, true, true, true], "{first_layer:?}");
    }
}

/// GN-1 (d): nothing but the topmost layer of the encoder is looked at, and nothing else of it is
/// handed over unless that is asked for.
#[test]
fn gn_1_only_the_topmost_layer_is_looked_at() {
    let device = Device::flex();
    let model = model_of(&base(), &device);
    let (source, start) = model.encode(&batch().source);
    let x = model.target_embedding.forward(batch().source.tensor(&device));
    let encoded = model.encoder.forward(x, &batch().source.lengths());
    let memory = source.memory.expect("a memory");
    assert_close(&memory.values, encoded.outputs.to_data(), 0.0);
    for (_, part) in start.parts() {
        assert_close(&part.abs().max(), [0.0], 0.0);
    }
    let handed = model_of(&GnmtConfig { start: Start::Encoder, ..base() }, &device);
    let (_, start) = handed.encode(&batch().source);
    for (a, b) in start.layers.iter().zip(&encoded.last) {
        for ((_, a), (_, b)) in a.parts().into_iter().zip(b.parts()) {
            assert_close(&a, b.to_data(), 0.0);
        }
    }
}

/// GN-1 (e): the attention is asked with the lowest layer of the decoder, and with nothing above it.
#[test]
fn gn_1_the_lowest_layer_asks() {
    let device = Device::flex();
    let model = model_of(&base(), &device);
    let (source, _) = model.encode(&batch().source);
    let weights = written(&model, &source).1;
    let mut above = model.clone();
    above.decoder.upper = above.decoder.upper.iter().map(silenced).collect();
    assert_close(&written(&above, &source).1, weights.to_data(), 0.0);
    let mut below = model;
    below.decoder.first = silenced(&below.decoder.first);
    assert!(largest_difference(&written(&below, &source).1, weights.to_data()) > 1e-6);
}

/// GN-2: only the lowest layer of the encoder sees what is to come.
#[test]
fn gn_2_without_its_backward_network_the_encoder_sees_no_future() {
    let device = Device::flex();
    let model = model_of(&base(), &device);
    let x = random([1, 5, 3], 7, DType::F64, &device);
    let other =
        Tensor::cat(vec![x.clone().narrow(1, 0, 3), random([1, 2, 3], 8, DType::F64, &device)], 1);
    let first = |model: &Gnmt, x: &Tensor<3>| read(model, x.clone()).narrow(1, 0, 3);
    assert!(largest_difference(&first(&model, &x), first(&model, &other).to_data()) > 1e-6);
    let mut causal = model;
    causal.encoder.both.backward = silenced(&causal.encoder.both.backward);
    assert_close(&first(&causal, &x), first(&causal, &other).to_data(), 0.0);
}

/// GN-7: everything that is bounded stays within its bound, and a bound that is never reached changes
/// nothing.
#[test]
fn gn_7_bounds() {
    let device = Device::flex();
    let (_, paper) = every_config().pop().expect("configs");
    let clip = Some(Clip { from: 0.1, to: 0.1, steps: 1 });
    let model = model_of(&GnmtConfig { clip, logit_clip: Some(0.01), ..paper.clone() }, &device);
    let x = random([3, 6, 3], 7, DType::F64, &device) * 20.0;
    let encoded = model.encoder.forward(x.clone(), &Lengths::full(3, 6));
    let most = |part: Tensor<1>| part.abs().max().into_scalar::<f64>();
    assert!(most(encoded.outputs.reshape([-1])) <= 0.1);
    for state in &encoded.last {
        let cell = state.parts().swap_remove(1).1;
        assert!(most(cell.reshape([-1])) <= 0.1);
    }
    let free = model_of(&GnmtConfig { clip: None, ..paper.clone() }, &device);
    let free = free.encoder.forward(x, &Lengths::full(3, 6));
    assert!(most(free.outputs.reshape([-1])) > 0.1, "the bound has nothing to do");
    let logits = model.forced(&batch()).0;
    assert!((most(logits.reshape([-1])) - 0.01).abs() < 1e-15);
    // The decoder, step by step: every memory, and what the topmost way around ends in.
    let (source, mut state) = model.encode(&batch().source);
    let mut reached = 0;
    for seed in 0..6 {
        let y = random([3, 1, 3], 90 + seed, DType::F64, &device) * 20.0;
        let (decoded, next) = model.decoder.forward(y, state, &source, &Lengths::full(3, 1));
        assert!(most(decoded.readout.reshape([-1])) <= 0.1);
        for layer in &next.layers {
            let largest = most(layer.parts().swap_remove(1).1.reshape([-1]));
            assert!(largest <= 0.1, "{largest}");
            reached += usize::from(largest == 0.1);
        }
        state = next;
    }
    assert!(reached > 0, "the bound of the decoder has nothing to do");

    let free = GnmtConfig { clip: None, logit_clip: None, ..paper.clone() };
    let wide = GnmtConfig {
        clip: Some(Clip { from: 1e3, to: 1e3, steps: 1 }),
        logit_clip: Some(1e3),
        ..paper
    };
    let [free, wide] = [free, wide].map(|config| model_of(&config, &device).forced(&batch()).0);
    assert_close(&wide, free.to_data(), 1e-12);
}

/// Every weight is drawn as the configuration says, that of the output layer too; by Glorot, what goes
/// around in a layer is orthogonal, whichever cell it is.
#[test]
fn weights_are_drawn_as_it_is_said() {
    let device = Device::flex();
    let within = |tensor: Tensor<2>| tensor.abs().max().into_scalar::<f32>();
    let paper = GnmtConfig { tie: Tie::None, cell: GnmtCell::GnmtLstm, ..GnmtConfig::default() };
    let uniform = GnmtConfig { initial: Initial::Uniform { within: 0.04 }, ..paper.clone() };
    let model = uniform.init(VOCABULARY, &device);
    let AnyCell::GnmtLstm(cell) = &model.decoder.first else { panic!("the paper's cell") };
    let output = model.output.w_o.as_ref().expect("weights of its own").val();
    for weights in [output, cell.w_x.val(), cell.w_h.val(), model.target_embedding.e.val()] {
        let largest = within(weights);
        assert!(largest <= 0.04 && largest > 0.035, "{largest}");
    }
    let model = GnmtConfig { initial: Initial::Glorot, ..paper }.init(VOCABULARY, &device);
    let AnyCell::GnmtLstm(cell) = &model.decoder.first else { panic!("the paper's cell") };
    let h = model.target_embedding.d_embedding();
    for gate in cell.w_h.val().chunk(4, 1) {
        let product = gate.clone().transpose().matmul(gate);
        assert_close(&product, Tensor::<2>::eye(h, &device).into_data(), 1e-4);
    }
}

/// GN-7: `δ` falls from the first bound to the last and stays there.
#[test]
fn gn_7_the_bound_moves_on_a_line() {
    let clip = Clip::paper(100);
    let bounds = [0, 25, 50, 100, 1000].map(|step| clip.at(step));
    assert_eq!(bounds, [8.0, 6.25, 4.5, 1.0, 1.0]);
    let mut model = model_of(&every_config().pop().expect("configs").1, &Device::flex());
    assert_eq!(model.encoder.bound, Some(0.3));
    model = model.bounded(0.45);
    assert_eq!((model.encoder.bound, model.decoder.bound), (Some(0.45), Some(0.45)));
    for cell in model.decoder.upper.iter().chain(&model.encoder.upper) {
        let AnyCell::GnmtLstm(cell) = cell else { panic!("the paper's cell") };
        assert_eq!(cell.clip, Some(0.45));
    }
}

/// What does not fit is refused, by name.
#[test]
fn what_does_not_fit_is_refused() {
    let refused = |config: GnmtConfig, v: [usize; 2], text: &str| {
        assert_eq!(config.validate(v).unwrap_err().to_string(), text);
    };
    let same = [9, 9];
    refused(GnmtConfig { layers: 1, ..base() }, same, "`layers` must be at least 2, got 1");
    refused(GnmtConfig { dropout: 1.0, ..base() }, same, "`dropout` must be in [0, 1), got 1");
    refused(
        GnmtConfig { clip: Some(Clip::paper(10)), ..base() },
        same,
        "`cell` must be gnmt_lstm where `clip` is set: the usual LSTM has no bound, got lstm",
    );
    refused(
        GnmtConfig { clip: Some(Clip::paper(0)), cell: GnmtCell::GnmtLstm, ..base() },
        same,
        "`clip.steps` must be above 0, got 0",
    );
    refused(
        GnmtConfig { logit_clip: Some(0.0), ..base() },
        same,
        "`logit_clip` must be above 0, got 0",
    );
    refused(
        GnmtConfig { initial: Initial::Uniform { within: -0.1 }, ..base() },
        same,
        "`initial.uniform.within` must be above 0, got -0.1",
    );
    let refinement = Some(Refinement { samples: 1, ..Refinement::default() });
    refused(
        GnmtConfig { refinement, ..base() },
        same,
        "`refinement.samples` must be at least 2, got 1",
    );
    refused(
        base(),
        [9, 8],
        "`tie` must be none or output where source and target have tokens of their own, got embeddings",
    );
}
