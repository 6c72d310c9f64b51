//! A recurrent language model: how likely a text is, token by token.
//!
//! ```text
//! e_t = dropout(E[y_{t−1}])                                  y_0 = <s>
//! h_t = layers(e_t, h_{t−1})                                 [B, H], dropout between the layers
//! p_t = softmax(dropout(h_t) · W_o + b_o)                    [B, V];  W_o its own, or Eᵀ
//! nll = Σ_t −log p_t(y_t)                                    y_{n+1} = </s>
//! ```
//!
//! It learns from sentences, which have nothing to do with each other, or from a running text that
//! is cut into chunks: a chunk starts from the states in which the one before it ended, and gradients
//! stop at the cut (truncated back-propagation through time).
//!
//! Sources: Mikolov et al. (2010), Recurrent Neural Network Based Language Model; for where dropout
//! acts, Zaremba, Sutskever & Vinyals (2014), Recurrent Neural Network Regularization; for the
//! truncation, Williams & Peng (1990), An Efficient Gradient-Based Algorithm for On-Line Training of
//! Recurrent Network Trajectories.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
    tensor::activation::log_softmax,
};
use recurrent_cells::{AnyCell, Cell, CellKind, Layer, Stack, State, Stream};
use recurrent_text::{BOS, SPECIALS};
use recurrent_training::{Batches, Carried, Learn, Loss, Moment, Past};
use serde::{Deserialize, Serialize};

use crate::{
    CrossEntropy, Embedding, EmbeddingConfig, EmbeddingScale, OutOfRange, Output, Padded,
    config::{at_least_one, cell_fits, share},
    rows::index,
    search::{Generator, Predicted, Scores},
};

/// Sizes and kinds of a [`LanguageModel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// Features of a token's vector, `d`.
    pub d_embedding: usize,
    /// Features of the state of a layer, `H`.
    pub d_hidden: usize,
    /// Layers, at least 1.
    pub layers: usize,
    /// The cell of all layers.
    pub cell: CellKind,
    /// Share of the values dropped while learning, in `[0, 1)`: of the vectors of tokens, between
    /// layers, and of the topmost output.
    pub dropout: f64,
    /// Which weights make logits.
    pub output: OutputWeights,
    /// What the vectors of an embedding that is the output layer as well are multiplied by as they are
    /// read.
    pub embedding_scale: EmbeddingScale,
    /// What is minimised.
    pub loss: CrossEntropy,
}

/// Which weights make logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputWeights {
    /// Weights of their own.
    #[default]
    Own,
    /// Those of the embedding, which must be as wide as the state.
    Embedding,
}

/// A model of the next token.
#[derive(Module, Debug)]
pub struct LanguageModel<C: Cell> {
    /// `E`.
    pub embedding: Embedding,
    /// The layers, bottom first.
    pub stack: Stack<C>,
    /// From topmost outputs to logits.
    pub output: Output,
    /// Dropout on the vectors of tokens and on the topmost output.
    pub dropout: Dropout,
    /// What is minimised.
    #[module(skip)]
    pub loss: CrossEntropy,
}

/// What a language model learns from in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextBatch {
    /// What is read.
    pub inputs: Padded,
    /// What comes next at every step.
    pub targets: Padded,
    /// What is before the first step: nothing, so that it starts from the model's own states, or the
    /// batch before it, row by row, so that it starts from the states in which that one ended.
    pub past: Past,
}

/// A running text as batches for truncated back-propagation, in the order they are to be learned
/// from: all but the first carry on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningText(pub Vec<TextBatch>);

/// The states of all layers, bottom first, between two chunks of a running text.
#[derive(Clone, Debug)]
pub struct CarriedStates<S>(pub Vec<S>);

impl Default for LanguageModelConfig {
    fn default() -> Self {
        Self {
            d_embedding: 128,
            d_hidden: 256,
            layers: 1,
            cell: CellKind::Lstm,
            dropout: 0.0,
            output: OutputWeights::Own,
            embedding_scale: EmbeddingScale::Plain,
            loss: CrossEntropy::default(),
        }
    }
}

impl LanguageModelConfig {
    /// Checks every value, and that they fit together, for a vocabulary of the given size.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        at_least_one("d_embedding", self.d_embedding)?;
        at_least_one("d_hidden", self.d_hidden)?;
        at_least_one("layers", self.layers)?;
        cell_fits(&self.cell)?;
        share("dropout", self.dropout)?;
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        if self.output == OutputWeights::Own {
            self.embedding_scale.must_be_plain()?;
        }
        if self.output == OutputWeights::Embedding && self.d_hidden != self.d_embedding {
            let range =
                format!("d_embedding = {} for an output that is the embedding", self.d_embedding);
            return Err(OutOfRange::new("d_hidden", self.d_hidden, range));
        }
        let specials = SPECIALS.len();
        if vocabulary < specials {
            let range = format!("at least {specials}, the special tokens");
            return Err(OutOfRange::new("vocabulary", vocabulary, range));
        }
        Ok(())
    }

    /// Draws a model for a vocabulary of the given size.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, vocabulary: usize, device: &Device) -> LanguageModel<AnyCell> {
        if let Err(error) = self.validate(vocabulary) {
            panic!("{error}");
        }
        let (d, h) = (self.d_embedding, self.d_hidden);
        let layer = |n| self.cell.init(if n == 0 { d } else { h }, h, device);
        let layers = (0..self.layers).map(layer).collect();
        let embedding = match self.output {
            OutputWeights::Own => EmbeddingConfig::new(vocabulary, d),
            OutputWeights::Embedding => {
                EmbeddingConfig::tied(vocabulary, d).with_scale(self.embedding_scale)
            }
        };
        LanguageModel {
            embedding: embedding.init(device),
            stack: Stack::new(layers).with_dropout(self.dropout),
            output: match self.output {
                OutputWeights::Own => Output::new(h, vocabulary, device),
                OutputWeights::Embedding => Output::tied(vocabulary, device),
            },
            dropout: DropoutConfig::new(self.dropout).init(),
            loss: self.loss,
        }
    }
}

impl TextBatch {
    /// Sentences, ids without special ones: `<s> y_1 … y_n` is read, `y_1 … y_n </s>` comes next.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn sentences<R: AsRef<[u32]>>(sentences: &[R]) -> Self {
        Self {
            inputs: Padded::begun(sentences),
            targets: Padded::ended(sentences),
            past: Past::None,
        }
    }
}

impl RunningText {
    /// Cuts `text` into `rows` parts that are read side by side, `steps` tokens at a time. Every
    /// token of it comes next exactly once: the first of a part is read off the end of the part
    /// before, that of the text off `<s>`. Only the last batch is shorter.
    ///
    /// # Panics
    ///
    /// If `rows` or `steps` is 0, or the text has fewer than `rows` tokens.
    pub fn new(text: &[u32], rows: usize, steps: usize) -> Self {
        assert!(rows > 0 && steps > 0, "a chunk has rows and steps, got {rows} and {steps}");
        let tokens = text.len();
        assert!(tokens >= rows, "{tokens} tokens cannot be cut into {rows} parts");
        let read = [&[BOS], text].concat();
        let parts: Vec<_> = (0..rows).map(|n| n * tokens / rows..(n + 1) * tokens / rows).collect();
        let longest = tokens.div_ceil(rows);
        let chunk = |begin: usize| {
            let cut = |ids: &[u32]| {
                let part = parts.iter().map(|part| {
                    let (from, to) = (part.start + begin, part.start + begin + steps);
                    ids[from.min(part.end)..to.min(part.end)].to_vec()
                });
                Padded::new(&part.collect::<Vec<_>>())
            };
            let past = if begin == 0 { Past::None } else { Past::Carried };
            TextBatch { inputs: cut(&read), targets: cut(text), past }
        };
        Self((0..longest).step_by(steps).map(chunk).collect())
    }
}

impl<C: Cell> LanguageModel<C> {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.embedding.e.val().device()
    }

    /// Ids, `V`.
    pub fn vocabulary(&self) -> usize {
        self.embedding.vocabulary()
    }

    /// The logits of what comes after every token of `inputs`, `[B, T, V]`, and the states of all
    /// layers behind them; from `start` or from the model's own.
    ///
    /// # Panics
    ///
    /// If `start` is not of as many layers and rows.
    pub fn forward(
        &self,
        inputs: &Padded,
        start: Option<Vec<C::State>>,
    ) -> (Tensor<3>, Vec<C::State>) {
        let (y, last) = self.read(inputs, start);
        (self.logits(y), last)
    }

    /// The topmost outputs, `[B, T, H]`, and the states of all layers behind them.
    fn read(&self, inputs: &Padded, start: Option<Vec<C::State>>) -> (Tensor<3>, Vec<C::State>) {
        let read = self.dropout.forward(self.embedding.forward(inputs.tensor(&self.device())));
        self.stack.forward(read, start, &inputs.lengths())
    }

    fn logits(&self, y: Tensor<3>) -> Tensor<3> {
        self.output.forward(self.dropout.forward(y), &self.embedding)
    }

    /// The negative log-likelihood of every sentence in nats, `[B]`, with that of its `</s>`: over
    /// one token more than the sentence has. Sentences are ids without special ones. Meant for a
    /// model from [`valid`](Module::valid), which drops nothing.
    ///
    /// # Panics
    ///
    /// If there is no sentence.
    pub fn nll<R: AsRef<[u32]>>(&self, sentences: &[R]) -> Tensor<1> {
        let TextBatch { inputs, targets, .. } = TextBatch::sentences(sentences);
        let device = self.device();
        let log_p = log_softmax(self.forward(&inputs, None).0, 2);
        let ids = targets.tensor(&device).unsqueeze_dim(2);
        let chosen: Tensor<2> = log_p.gather(2, ids).squeeze_dim(2);
        let chosen = match targets.pad_mask(&device) {
            None => chosen,
            Some(mask) => chosen.mask_fill(mask, 0.0),
        };
        chosen.sum_dim(1).squeeze_dim::<1>(1).neg()
    }

    /// The model as something search can write `texts` texts with, each from `<s>`. Meant for a model
    /// from [`valid`](Module::valid).
    pub fn generator(&self, texts: usize) -> LanguageModelGenerator<'_, C> {
        LanguageModelGenerator { model: self, texts, prompt: Vec::new() }
    }
}

impl Batches for RunningText {
    type Plan = usize;
    type Batch = TextBatch;

    fn epoch(&self, _seed: u64, _epoch: usize) -> Vec<usize> {
        (0..self.0.len()).collect()
    }

    fn batch(&self, plan: &usize) -> TextBatch {
        self.0[*plan].clone()
    }

    fn past(&self, plan: &usize) -> Past {
        self.0[*plan].past
    }
}

impl<S: State + 'static> Carried for CarriedStates<S> {
    fn detach(self) -> Self {
        Self(self.0.detach())
    }
}

impl<C: Cell + 'static> Learn for LanguageModel<C> {
    type Batch = TextBatch;
    type Carried = CarriedStates<C::State>;

    /// # Panics
    ///
    /// If a batch carries on and there is nothing to carry on from.
    fn learn(
        &self,
        batch: &TextBatch,
        carried: Option<Self::Carried>,
        _: &Moment,
    ) -> (Loss, Self::Carried) {
        let start = match batch.past {
            Past::None => None,
            Past::Carried => {
                Some(carried.expect("a batch that carries on needs the states before it").0)
            }
        };
        let (y, last) = self.read(&batch.inputs, start);
        let readouts = self.dropout.forward(y);
        let loss = self.loss.of_readouts(readouts, &self.output, &self.embedding, &batch.targets);
        (loss, CarriedStates(last))
    }
}

/// A [`LanguageModel`] as a [`Generator`] of texts.
#[derive(Clone, Debug)]
pub struct LanguageModelGenerator<'m, C: Cell> {
    model: &'m LanguageModel<C>,
    texts: usize,
    prompt: Vec<u32>,
}

impl<C: Cell> LanguageModelGenerator<'_, C> {
    /// The same, but every text goes on from `prompt`, ids without special ones. What is written does
    /// not repeat it.
    #[must_use]
    pub fn with_prompt(self, prompt: &[u32]) -> Self {
        Self { prompt: prompt.to_vec(), ..self }
    }
}

impl<C: Cell> Generator for LanguageModelGenerator<'_, C> {
    /// The states of all layers.
    type State = Vec<C::State>;

    fn sources(&self) -> usize {
        self.texts
    }

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    /// Behind all of the prompt but its last token, which the first step reads.
    fn start(&self) -> Self::State {
        let Some((_, read)) = self.prompt.split_last() else {
            return self.model.stack.start(self.texts);
        };
        let (_, state) = self.model.forward(&Padded::begun(&[read]), None);
        self.reorder(state, &vec![0; self.texts])
    }

    /// A row whose last token is `<s>` is at its start, and reads the last token of the prompt.
    fn step(&self, last: &[u32], state: Self::State) -> Predicted<Self::State> {
        let model = self.model;
        let opening = self.prompt.last().copied().unwrap_or(BOS);
        let last: Vec<[u32; 1]> =
            last.iter().map(|id| [if *id == BOS { opening } else { *id }]).collect();
        let ids = Padded::new(&last).tensor(&model.device());
        let x = model.dropout.forward(model.embedding.forward(ids)).squeeze_dim(1);
        let (y, state) = model.stack.stream(x, state);
        let logits = model.logits(y.unsqueeze_dim(1));
        Predicted { scores: Scores::Logits(logits.squeeze_dim(1)), weights: None, state }
    }

    fn reorder(&self, state: Self::State, rows: &[usize]) -> Self::State {
        state.select(index(rows, &self.model.device()))
    }
}

#[cfg(test)]
mod tests;
