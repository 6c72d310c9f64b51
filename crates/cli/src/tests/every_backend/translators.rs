//! Models from sequences to sequences: every decoder, every attention, every wiring of GNMT.

use recurrent_attention::AttentionConfig;
use recurrent_cells::CellKind;
use recurrent_gnmt::{Clip, FirstLayer, GnmtCell, GnmtConfig, Query, Refinement, Residual, Start};
use recurrent_seq2seq::{
    BridgeKind, Context, CrossEntropy, DecoderConfig, DecoderKind, EmbeddingScale, EncoderConfig,
    Feeding, PairBatch, Reading, Readout, Seq2SeqConfig, Teacher, Tie, Translator,
};
use rstest::rstest;

use super::*;

fn sources() -> Vec<Vec<u32>> {
    vec![vec![4, 5, 6, 7], vec![8], vec![5, 5]]
}

fn batch() -> PairBatch {
    PairBatch::new(&sources(), &[vec![4, 7], vec![5, 4, 6], vec![]])
}

fn small(kind: DecoderKind) -> Seq2SeqConfig {
    Seq2SeqConfig {
        d_embedding: 3,
        cell: CellKind::Gru,
        bridge: BridgeKind::Dense,
        encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Forward },
        decoder: DecoderConfig { layers: 1, d_hidden: 4, kind },
        ..Seq2SeqConfig::default()
    }
}

fn holds<M: Learn<Batch = PairBatch> + Translator>(init: impl Fn(&Device) -> M) {
    holds_everywhere(init, &batch(), |model| written(&model.generator(&sources())));
}

/// With every attention.
#[rstest]
fn every_attention(
    #[values(
        AttentionConfig::Additive { d_attention: 5 },
        AttentionConfig::NormedAdditive { d_attention: 5 },
        AttentionConfig::Dot,
        AttentionConfig::General,
        AttentionConfig::Scaled
    )]
    attention: AttentionConfig,
) {
    let luong = small(DecoderKind::Luong { attention, d_readout: 4, feeding: Feeding::None });
    holds(|device| luong.init([9, 8], device));
}

/// Everything else about a model: how it reads, what it is fed, what it is given, what is shared.
#[rstest]
#[case::thought_at_the_start(Seq2SeqConfig {
    cell: CellKind::Lstm,
    bridge: BridgeKind::Pass,
    encoder: EncoderConfig { layers: 2, d_hidden: 4, reading: Reading::Backward },
    ..small(DecoderKind::Thought { context: Context::Start })
})]
#[case::thought_at_every_step(Seq2SeqConfig {
    encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Both },
    ..small(DecoderKind::Thought { context: Context::EveryStep })
})]
#[case::bahdanau(small(DecoderKind::Bahdanau {
    attention: AttentionConfig::NormedAdditive { d_attention: 5 },
    d_readout: 3,
    readout: Readout::Current,
}))]
#[case::bahdanau_reads_the_state_before(Seq2SeqConfig {
    bridge: BridgeKind::Backward,
    encoder: EncoderConfig { layers: 1, d_hidden: 4, reading: Reading::Both },
    ..small(DecoderKind::Bahdanau {
        attention: AttentionConfig::Additive { d_attention: 5 },
        d_readout: 3,
        readout: Readout::Previous,
    })
})]
#[case::luong_is_fed(Seq2SeqConfig {
    cell: CellKind::PeepholeLstm,
    bridge: BridgeKind::Zero,
    ..small(DecoderKind::Luong {
        attention: AttentionConfig::General,
        d_readout: 4,
        feeding: Feeding::Input,
    })
})]
#[case::tied_and_smoothed(Seq2SeqConfig {
    tie: Tie::Output,
    embedding_scale: EmbeddingScale::Sqrt,
    loss: CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() },
    ..small(DecoderKind::Luong {
        attention: AttentionConfig::General,
        d_readout: 3,
        feeding: Feeding::None,
    })
})]
#[case::reads_its_own_tokens(Seq2SeqConfig {
    teacher: Teacher::Linear { steps: 8.0, floor: 0.2 },
    ..small(DecoderKind::Luong {
        attention: AttentionConfig::General,
        d_readout: 4,
        feeding: Feeding::None,
    })
})]
fn seq2seq(#[case] config: Seq2SeqConfig) {
    holds(|device| config.init([9, 8], device));
}

fn gnmt_config() -> GnmtConfig {
    GnmtConfig { layers: 3, d_hidden: 4, ..GnmtConfig::default() }
}

/// GNMT as public versions wire it, as the paper does, and what lies between.
#[rstest]
#[case::public(gnmt_config())]
#[case::context_to_the_first_layer(GnmtConfig {
    first_layer: FirstLayer::Context,
    start: Start::Encoder,
    tie: Tie::All,
    embedding_scale: EmbeddingScale::Sqrt,
    ..gnmt_config()
})]
#[case::paper(GnmtConfig {
    cell: GnmtCell::GnmtLstm,
    query: Query::Previous,
    residual: Residual::None,
    clip: Some(Clip { from: 0.5, to: 0.3, steps: 10 }),
    logit_clip: Some(0.4),
    tie: Tie::None,
    ..gnmt_config()
})]
#[case::refined(GnmtConfig {
    refinement: Some(Refinement { samples: 2, likelihood: 1.0 }),
    ..gnmt_config()
})]
fn gnmt(#[case] config: GnmtConfig) {
    holds(|device| config.init([9, 9], device));
}
