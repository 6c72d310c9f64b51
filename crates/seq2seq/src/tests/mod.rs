//! What holds for every sequence-to-sequence model, and what holds for one. Names and doc lines
//! carry the acceptance identifiers they check (S2, AT, X).

mod decoding;
pub(crate) mod heads;
mod laws;
mod learning;
mod scheduled_sampling;

use burn::{
    prelude::*,
    tensor::{DType, activation::log_softmax},
};
use recurrent_attention::AttentionConfig;
use recurrent_cells::{AnyCell, CellKind};
use recurrent_testkit::drawn;

use crate::*;

/// Ids of the source, and of the target.
const VOCABULARY: [usize; 2] = [9, 8];

/// One small config of every decoder, with cells, bridges, ways of reading and layers of every kind
/// spread over them.
fn every_config() -> Vec<(&'static str, Seq2SeqConfig)> {
    let attention = AttentionConfig::Additive { d_attention: 5 };
    let bahdanau = |readout| DecoderKind::Bahdanau { attention, d_readout: 3, readout };
    let luong = |attention, feeding| DecoderKind::Luong { attention, d_readout: 4, feeding };
    let thought = |context| DecoderKind::Thought { context };
    let skip = CellKind::Skip { delays: vec![1, 3] };
    vec![
        (
            "thought",
            config(CellKind::Lstm, Reading::Backward, BridgeKind::Pass, thought(Context::Start)),
        ),
        (
            "thought at every step",
            config(CellKind::Gru, Reading::Both, BridgeKind::Dense, thought(Context::EveryStep)),
        ),
        (
            "bahdanau",
            config(CellKind::Gru, Reading::Both, BridgeKind::Backward, bahdanau(Readout::Current)),
        ),
        (
            "bahdanau, previous",
            config(skip, Reading::Forward, BridgeKind::Dense, bahdanau(Readout::Previous)),
        ),
        (
            "luong",
            config(
                CellKind::Lstm,
                Reading::Both,
                BridgeKind::Dense,
                luong(AttentionConfig::General, Feeding::None),
            ),
        ),
        (
            "bahdanau, normalised",
            config(
                CellKind::LayerNormLstm,
                Reading::Forward,
                BridgeKind::Pass,
                bahdanau(Readout::Current),
            ),
        ),
        (
            "luong, feeding",
            config(
                CellKind::PeepholeLstm,
                Reading::Forward,
                BridgeKind::Zero,
                luong(AttentionConfig::Dot, Feeding::Input),
            ),
        ),
    ]
}

fn config(
    cell: CellKind,
    reading: Reading,
    bridge: BridgeKind,
    kind: DecoderKind,
) -> Seq2SeqConfig {
    Seq2SeqConfig {
        d_embedding: 3,
        cell,
        bridge,
        encoder: EncoderConfig { layers: 2, d_hidden: 4, reading },
        decoder: DecoderConfig { layers: 2, d_hidden: 4, kind },
        ..Seq2SeqConfig::default()
    }
}

/// Every model, in double precision, with weights that depend on nothing but its shapes.
fn every_model(device: &Device) -> Vec<(&'static str, Seq2Seq<AnyCell>)> {
    let draw = |config: Seq2SeqConfig| drawn(config.init(VOCABULARY, device), DType::F64);
    every_config().into_iter().map(|(name, config)| (name, draw(config))).collect()
}

fn sources() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6, 7], vec![8], vec![5, 5]]
}

fn targets() -> Vec<Vec<u32>> {
    vec![vec![4, 7], vec![5, 4, 6], vec![]]
}

fn batch() -> PairBatch {
    PairBatch::new(&sources(), &targets())
}

pub(crate) fn moment() -> recurrent_training::Moment {
    recurrent_training::Moment { seed: 1, epoch: 1, step: 0 }
}

/// Fails unless the last dimension of `logits` is close to even: `−log p`, averaged over everything
/// that could come next and not over what did, is `ln V` where all is as likely, and above it
/// elsewhere. So it does not depend on which tokens a batch has.
pub(crate) fn assert_knows_nothing<const D: usize>(name: &str, logits: Tensor<D>) {
    let uniform = (logits.dims()[D - 1] as f64).ln();
    let log_p = log_softmax(logits.cast(DType::F64), D - 1);
    let nll = -log_p.mean().into_scalar::<f64>();
    assert!(nll >= uniform - 1e-6 && nll < 1.05 * uniform, "{name}: {nll} for {uniform}");
}
