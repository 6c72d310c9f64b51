//! What holds for every wiring. Names and doc lines carry the acceptance identifiers they check (GN,
//! X).

mod laws;
mod learning;
mod quantized;
mod reference;
mod refinement;
mod wiring;

use burn::{module::Param, prelude::*, tensor::DType};
use recurrent_seq2seq::{CrossEntropy, EmbeddingScale, PairBatch, Tie};
use recurrent_testkit::{drawn, random};
use recurrent_training::Moment;

use crate::*;

/// Ids that source and target share.
const VOCABULARY: [usize; 2] = [9, 9];

/// Every flag that changes what is wired, one by one and together.
fn every_config() -> Vec<(&'static str, GnmtConfig)> {
    let base = GnmtConfig { layers: 4, d_hidden: 3, ..GnmtConfig::default() };
    let clip = Some(Clip { from: 0.5, to: 0.3, steps: 10 });
    let smoothed = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
    vec![
        ("public", base.clone()),
        ("two layers", GnmtConfig { layers: 2, loss: smoothed, ..base.clone() }),
        ("query of the step before", GnmtConfig { query: Query::Previous, ..base.clone() }),
        (
            "context to the first layer",
            GnmtConfig { first_layer: FirstLayer::Context, ..base.clone() },
        ),
        (
            "context to the first layer, query of the step before",
            GnmtConfig {
                first_layer: FirstLayer::Context,
                query: Query::Previous,
                start: Start::Encoder,
                tie: Tie::All,
                embedding_scale: EmbeddingScale::Sqrt,
                ..base.clone()
            },
        ),
        (
            "from the encoder, no way around",
            GnmtConfig { start: Start::Encoder, residual: Residual::None, ..base.clone() },
        ),
        (
            "paper",
            GnmtConfig {
                cell: GnmtCell::GnmtLstm,
                query: Query::Previous,
                clip,
                logit_clip: Some(0.4),
                tie: Tie::None,
                ..base
            },
        ),
    ]
}

/// A model in double precision, with weights that depend on nothing but its shapes.
fn model_of(config: &GnmtConfig, device: &Device) -> Gnmt {
    let mut model = drawn(config.init(VOCABULARY, device), DType::F64);
    let v = random([config.d_hidden], 77, DType::F64, device) * 3.0;
    model.decoder.attention.v = Param::from_tensor(v.detach());
    model
}

/// Every model.
fn every_model(device: &Device) -> Vec<(&'static str, Gnmt)> {
    every_config().into_iter().map(|(name, config)| (name, model_of(&config, device))).collect()
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

fn moment() -> Moment {
    Moment { seed: 1, epoch: 1, step: 0 }
}
