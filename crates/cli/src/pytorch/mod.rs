//! The weights of whole models under the keys that a model in PyTorch would have. `docs/pytorch.md`
//! lists them.
//!
//! Which parameter has which key is said once, in [`Keyed`]; reading and writing are two kinds of
//! [`Weights`] that go through it.

mod error;
mod known;
mod read;
mod write;

use std::collections::BTreeSet;

use burn::{module::Param, prelude::*};
use recurrent_attention::Attention;
use recurrent_cells::{AnyCell, Bidirectional};
use recurrent_gnmt::Gnmt;
use recurrent_pytorch::StateDict;
use recurrent_seq2seq::{Decoder, Embedding, EmbeddingScale, LanguageModel, Reader, Seq2Seq};

pub use error::ConvertError;

use read::Loader;
use write::Writer;

/// A model whose parameters have keys.
pub trait Keyed: Sized {
    /// Goes through all parameters with their keys.
    ///
    /// # Errors
    ///
    /// Those of `weights`.
    fn visit<W: Weights>(&mut self, weights: &mut W) -> Result<(), ConvertError>;

    /// All weights, under their keys.
    ///
    /// # Errors
    ///
    /// If PyTorch has no module for the model's cell, or for an embedding that is scaled.
    fn to_state_dict(mut self) -> Result<StateDict, ConvertError> {
        let mut writer = Writer(StateDict::new());
        self.visit(&mut writer)?;
        Ok(writer.0)
    }

    /// The model with the weights that `dict` has under `prefix`, in their dtype but at least in
    /// single precision.
    ///
    /// # Errors
    ///
    /// If a key is missing, unknown, or of another shape, type or value than the model has it.
    fn with_state_dict(mut self, dict: &StateDict, prefix: &str) -> Result<Self, ConvertError> {
        let prefix = match prefix {
            "" => String::new(),
            _ if prefix.ends_with('.') => prefix.to_owned(),
            _ => format!("{prefix}."),
        };
        let mut reader = Loader { dict, prefix, used: BTreeSet::new(), dtype: None };
        self.visit(&mut reader)?;
        reader.finish()?;
        Ok(self)
    }
}

/// PyTorch's embeddings are not scaled as they are read.
fn plain(embedding: &Embedding) -> Result<(), ConvertError> {
    match embedding.scale {
        EmbeddingScale::Plain => Ok(()),
        EmbeddingScale::Sqrt => Err(ConvertError::Scaled),
    }
}

impl Keyed for LanguageModel<AnyCell> {
    fn visit<W: Weights>(&mut self, weights: &mut W) -> Result<(), ConvertError> {
        plain(&self.embedding)?;
        weights.plain("embedding.weight", &mut self.embedding.e)?;
        weights.one_way("rnn", self.stack.layers.iter_mut().collect())?;
        match &mut self.output.w_o {
            Some(w_o) => weights.linear("output.weight", w_o)?,
            None => weights.same("output.weight", "embedding.weight", &self.embedding.e)?,
        }
        weights.plain("output.bias", &mut self.output.b_o)
    }
}

impl Keyed for Seq2Seq<AnyCell> {
    fn visit<W: Weights>(&mut self, weights: &mut W) -> Result<(), ConvertError> {
        let (source, target) = ("source_embedding.weight", "target_embedding.weight");
        plain(&self.target_embedding)?;
        weights.plain(target, &mut self.target_embedding.e)?;
        match &mut self.source_embedding {
            Some(embedding) => weights.plain(source, &mut embedding.e)?,
            None => weights.same(source, target, &self.target_embedding.e)?,
        }
        encoder(&mut self.encoder.layers, weights)?;
        for (n, layer) in self.bridge.layers.iter_mut().enumerate() {
            for (part, (w, b)) in layer.w.iter_mut().zip(&mut layer.b).enumerate() {
                let part = ["h", "c"].get(part).copied().unwrap_or("s");
                weights.linear(&format!("bridge.{n}.{part}.weight"), w)?;
                weights.plain(&format!("bridge.{n}.{part}.bias"), b)?;
            }
        }
        decoder(&mut self.decoder, weights)?;
        match &mut self.output.w_o {
            Some(w_o) => weights.linear("output.weight", w_o)?,
            None => weights.same("output.weight", target, &self.target_embedding.e)?,
        }
        weights.plain("output.bias", &mut self.output.b_o)
    }
}

/// The keys of NVIDIA's GNMT v2: a module for each layer, the attention inside that of the lowest layer
/// of the decoder.
impl Keyed for Gnmt {
    fn visit<W: Weights>(&mut self, weights: &mut W) -> Result<(), ConvertError> {
        let (source, target) = ("encoder.embedder.weight", "decoder.embedder.weight");
        plain(&self.target_embedding)?;
        weights.plain(target, &mut self.target_embedding.e)?;
        match &mut self.source_embedding {
            Some(embedding) => weights.plain(source, &mut embedding.e)?,
            None => weights.same(source, target, &self.target_embedding.e)?,
        }
        weights.both_ways("encoder.rnn_layers.0", vec![&mut self.encoder.both])?;
        for (n, cell) in self.encoder.upper.iter_mut().enumerate() {
            weights.one_way(&format!("encoder.rnn_layers.{}", n + 1), vec![cell])?;
        }
        let decoder = &mut self.decoder;
        weights.one_way("decoder.att_rnn.rnn", vec![&mut decoder.first])?;
        let (attention, key) = (&mut decoder.attention, "decoder.att_rnn.attn");
        weights.linear(&format!("{key}.linear_q.weight"), &mut attention.w_q)?;
        weights.linear(&format!("{key}.linear_k.weight"), &mut attention.w_m)?;
        weights.plain(&format!("{key}.linear_att"), &mut attention.v)?;
        weights.plain(&format!("{key}.normalize_scalar"), &mut attention.g)?;
        weights.plain(&format!("{key}.normalize_bias"), &mut attention.b)?;
        for (n, cell) in decoder.upper.iter_mut().enumerate() {
            weights.one_way(&format!("decoder.rnn_layers.{n}"), vec![cell])?;
        }
        let classifier = "decoder.classifier.classifier";
        match &mut self.output.w_o {
            Some(w_o) => weights.linear(&format!("{classifier}.weight"), w_o)?,
            None => {
                weights.same(&format!("{classifier}.weight"), target, &self.target_embedding.e)?;
            }
        }
        weights.plain(&format!("{classifier}.bias"), &mut self.output.b_o)
    }
}

fn encoder<W: Weights>(
    layers: &mut [Reader<AnyCell>],
    weights: &mut W,
) -> Result<(), ConvertError> {
    let (mut one_way, mut both_ways) = (Vec::new(), Vec::new());
    for layer in layers {
        match layer {
            Reader::Forward(cell) | Reader::Backward(cell) => one_way.push(cell),
            Reader::Both(both) => both_ways.push(both),
        }
    }
    match both_ways.is_empty() {
        true => weights.one_way("encoder", one_way),
        false => weights.both_ways("encoder", both_ways),
    }
}

fn decoder<W: Weights>(
    decoder: &mut Decoder<AnyCell>,
    weights: &mut W,
) -> Result<(), ConvertError> {
    let rnn = match decoder {
        Decoder::Thought(decoder) => &mut decoder.rnn,
        Decoder::Bahdanau(decoder) => &mut decoder.rnn,
        Decoder::Luong(decoder) => &mut decoder.rnn,
    };
    weights.one_way("decoder", rnn.layers.iter_mut().collect())?;
    match decoder {
        Decoder::Thought(_) => Ok(()),
        Decoder::Bahdanau(decoder) => {
            attention(&mut decoder.attention, weights)?;
            weights.linear("u_o.weight", &mut decoder.u_o)?;
            weights.linear("v_o.weight", &mut decoder.v_o)?;
            weights.linear("c_o.weight", &mut decoder.c_o)
        }
        Decoder::Luong(decoder) => {
            attention(&mut decoder.attention, weights)?;
            weights.linear("w_c.weight", &mut decoder.w_c)
        }
    }
}

fn attention<W: Weights>(attention: &mut Attention, weights: &mut W) -> Result<(), ConvertError> {
    match attention {
        Attention::Additive(score) => {
            weights.linear("attention.w_q.weight", &mut score.w_q)?;
            weights.linear("attention.w_m.weight", &mut score.w_m)?;
            weights.row("attention.v.weight", &mut score.v)
        }
        Attention::NormedAdditive(score) => {
            weights.linear("attention.w_q.weight", &mut score.w_q)?;
            weights.linear("attention.w_m.weight", &mut score.w_m)?;
            weights.row("attention.v.weight", &mut score.v)?;
            weights.plain("attention.b", &mut score.b)?;
            weights.plain("attention.g", &mut score.g)
        }
        Attention::Dot(_) => Ok(()),
        Attention::General(score) => weights.linear("attention.w.weight", &mut score.w),
        Attention::Scaled(score) => {
            weights.linear("attention.w.weight", &mut score.general.w)?;
            weights.plain("attention.g", &mut score.g)
        }
    }
}
/// What is done with each parameter of a model.
pub trait Weights {
    /// One that is the same on both sides.
    ///
    /// # Errors
    ///
    /// If it is not there, or not as it should be. So for the others.
    fn plain<const D: usize>(
        &mut self,
        key: &str,
        parameter: &mut Param<Tensor<D>>,
    ) -> Result<(), ConvertError>;

    /// The weights of an `nn.Linear`: `[in, out]` here, `[out, in]` there.
    ///
    /// # Errors
    ///
    /// As [`plain`](Self::plain).
    fn linear(&mut self, key: &str, weight: &mut Param<Tensor<2>>) -> Result<(), ConvertError>;

    /// The weights of an `nn.Linear` with one output: `[in]` here, `[1, in]` there.
    ///
    /// # Errors
    ///
    /// As [`plain`](Self::plain).
    fn row(&mut self, key: &str, weight: &mut Param<Tensor<1>>) -> Result<(), ConvertError>;

    /// A second name for a parameter that has been gone through under `other`.
    ///
    /// # Errors
    ///
    /// As [`plain`](Self::plain).
    fn same(
        &mut self,
        key: &str,
        other: &str,
        parameter: &Param<Tensor<2>>,
    ) -> Result<(), ConvertError>;

    /// A recurrent module of these cells, bottom first.
    ///
    /// # Errors
    ///
    /// As [`plain`](Self::plain), or if PyTorch has no such cell.
    fn one_way(&mut self, key: &str, cells: Vec<&mut AnyCell>) -> Result<(), ConvertError>;

    /// A bidirectional recurrent module of these cells, bottom first.
    ///
    /// # Errors
    ///
    /// As [`one_way`](Self::one_way).
    fn both_ways(
        &mut self,
        key: &str,
        layers: Vec<&mut Bidirectional<AnyCell>>,
    ) -> Result<(), ConvertError>;
}
