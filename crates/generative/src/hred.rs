//! The hierarchical recurrent encoder–decoder (HRED): a reply from the whole conversation so far.
//!
//! ```text
//! u_m = encoder(U_m)                         turn_encoder.rs
//! c_m = context(u_m, c_{m−1})                context.rs
//! U_m ~ decoder(c_{m−1})                     turn_decoder.rs
//! nll = −Σ_m Σ_n ln P(w_{m,n} | w_{m,<n}, U_{<m})
//! ```
//!
//! A sequence-to-sequence model knows of the last turn alone; what was said before is gone.
//!
//! Sources: Sordoni et al. (2015), A Hierarchical Recurrent Encoder–Decoder for Generative
//! Context-Aware Query Suggestion; Serban et al. (2016), Building End-To-End Dialogue Systems Using
//! Generative Hierarchical Neural Network Models.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
    tensor::activation::log_softmax,
};
use rand::{Rng, RngExt};
use recurrent_cells::{AnyState, CellKind, State};
use recurrent_seq2seq::{
    CrossEntropy, Embedding, EmbeddingConfig, EmbeddingScale, EncoderConfig, Output, OutputWeights,
    Padded,
    search::{Generator, Predicted, Scores},
};
use recurrent_text::{BOS, SPECIALS, UNK};
use recurrent_training::{Carried, Learn, Loss, Moment, OutOfRange, Past};
use serde::{Deserialize, Serialize};

use crate::{
    Context, ContextBias, ContextInput, ContextKind, DialogueBatch, Summary, Turn, TurnDecoder,
    TurnEncoder,
    dialogues::{chosen, places},
    sizes::{at_least_one, share},
    turn_decoder::DecoderSizes,
};

/// Sizes and kinds of a [`Hred`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HredConfig {
    /// Features of a token's vector, `d`, at least 1.
    pub d_embedding: usize,
    /// The cell of encoder, context and decoder: "gru", "original_gru" or "lstm".
    pub cell: CellKind,
    /// What reads turns.
    pub encoder: EncoderConfig,
    /// What stands for a turn that was read.
    pub summary: Summary,
    /// What a reply looks back on.
    pub context: ContextKind,
    /// What is done to the vector of a turn before the context takes it in.
    pub context_input: ContextInput,
    /// Features of the decoder's state, at least 1.
    pub d_decoder: usize,
    /// How the decoder uses the context.
    pub bias: ContextBias,
    /// Features of what logits are made of, at least 1.
    pub d_readout: usize,
    /// Which weights make logits.
    pub output: OutputWeights,
    /// What the vectors of an embedding that is the output layer as well are multiplied by as they are
    /// read.
    pub embedding_scale: EmbeddingScale,
    /// Share of the values dropped while learning, in `[0, 1)`: of the vectors of tokens, between
    /// layers, and of what logits are made of.
    pub dropout: f64,
    /// Share of the tokens that the decoder reads as `<unk>` while learning, in `[0, 1]`.
    pub word_dropout: f64,
    /// What is minimised.
    pub loss: CrossEntropy,
}

/// A model of conversations.
#[derive(Module, Debug)]
pub struct Hred {
    /// `E`, of what is read and of what is written.
    pub embedding: Embedding,
    /// From turns to vectors.
    pub encoder: TurnEncoder,
    /// From vectors of turns to those of conversations.
    pub context: Context,
    /// From there to the next turn.
    pub decoder: TurnDecoder,
    /// From readouts to logits.
    pub output: Output,
    /// Dropout on the vectors of tokens and on the readout.
    pub dropout: Dropout,
    /// What it is.
    #[module(skip)]
    pub config: HredConfig,
}

/// What conversations were about, row by row, between two chunks of them.
#[derive(Clone, Debug)]
pub struct CarriedContext(pub AnyState);

impl Default for HredConfig {
    fn default() -> Self {
        Self {
            d_embedding: 128,
            cell: CellKind::Gru,
            encoder: EncoderConfig {
                d_hidden: 256,
                reading: recurrent_seq2seq::Reading::Forward,
                ..EncoderConfig::default()
            },
            summary: Summary::Last,
            context: ContextKind::Rnn { d_hidden: 256 },
            context_input: ContextInput::Plain,
            d_decoder: 256,
            bias: ContextBias::All,
            d_readout: 128,
            output: OutputWeights::Own,
            embedding_scale: EmbeddingScale::Plain,
            dropout: 0.0,
            word_dropout: 0.0,
            loss: CrossEntropy::default(),
        }
    }
}

impl HredConfig {
    /// Checks every value, and that they fit together, for a vocabulary of the given size.
    ///
    /// # Errors
    ///
    /// Names the first field that does not fit.
    pub fn validate(&self, vocabulary: usize) -> Result<(), OutOfRange> {
        at_least_one("d_embedding", self.d_embedding)?;
        cell_fits(&self.cell)?;
        at_least_one("encoder.layers", self.encoder.layers)?;
        at_least_one("encoder.d_hidden", self.encoder.d_hidden)?;
        if let ContextKind::Rnn { d_hidden } = self.context {
            at_least_one("context.rnn.d_hidden", d_hidden)?;
        }
        at_least_one("d_decoder", self.d_decoder)?;
        at_least_one("d_readout", self.d_readout)?;
        output_fits(self.output, self.embedding_scale, [self.d_embedding, self.d_readout])?;
        share("dropout", self.dropout)?;
        word_dropout_fits(self.word_dropout)?;
        share("loss.label_smoothing", self.loss.label_smoothing)?;
        let range = format!("at least {}, the special tokens", SPECIALS.len());
        OutOfRange::check("vocabulary", vocabulary, |v| *v >= SPECIALS.len(), &range)
    }

    /// Draws a model for a vocabulary of the given size.
    ///
    /// # Panics
    ///
    /// If [`validate`](Self::validate) would refuse.
    pub fn init(&self, vocabulary: usize, device: &Device) -> Hred {
        self.init_with(vocabulary, |d_context| d_context, device)
    }

    /// Draws a model whose turns are made from `d_made_from(s)` features where the context has `s`.
    pub(crate) fn init_with(
        &self,
        vocabulary: usize,
        d_made_from: impl FnOnce(usize) -> usize,
        device: &Device,
    ) -> Hred {
        if let Err(error) = self.validate(vocabulary) {
            panic!("{error}");
        }
        let (d, r) = (self.d_embedding, self.d_readout);
        let (embedding, output) =
            tables(self.output, self.embedding_scale, [d, r], vocabulary, device);
        let how = (self.summary, self.dropout);
        let encoder = TurnEncoder::new(&self.encoder, &self.cell, d, how, device);
        let d_turn = encoder.d_output();
        let context = Context::new(self.context, self.context_input, &self.cell, d_turn, device);
        let sizes = DecoderSizes {
            d_embedding: d,
            d_context: d_made_from(context.d_output()),
            d_hidden: self.d_decoder,
            d_readout: r,
        };
        Hred {
            embedding: embedding.init(device),
            encoder,
            context,
            decoder: TurnDecoder::new(&self.cell, self.bias, sizes, device),
            output,
            dropout: DropoutConfig::new(self.dropout).init(),
            config: self.clone(),
        }
    }
}

/// The cells that a decoder of turns can have.
pub(crate) fn cell_fits(cell: &CellKind) -> Result<(), OutOfRange> {
    let name = format!("{cell:?}").to_lowercase();
    let known = matches!(cell, CellKind::Gru | CellKind::OriginalGru | CellKind::Lstm);
    OutOfRange::check("cell", name, |_| known, "\"gru\", \"original_gru\" or \"lstm\"")
}

/// Whether an output layer can be made of readouts, for vectors of tokens and readouts of the given
/// widths.
pub(crate) fn output_fits(
    output: OutputWeights,
    scale: EmbeddingScale,
    [d, r]: [usize; 2],
) -> Result<(), OutOfRange> {
    match output {
        OutputWeights::Own => scale.must_be_plain(),
        OutputWeights::Embedding => {
            let range = format!("d_embedding = {d} for an output that is the embedding");
            OutOfRange::check("d_readout", r, |r| *r == d, &range)
        }
    }
}

pub(crate) fn word_dropout_fits(word_dropout: f64) -> Result<(), OutOfRange> {
    let holds = |share: &f64| (0.0..=1.0).contains(share);
    OutOfRange::check("word_dropout", word_dropout, holds, "in [0, 1]")
}

/// What reads tokens, to be drawn, and what writes them, for vectors of tokens and readouts of the given
/// widths.
pub(crate) fn tables(
    output: OutputWeights,
    scale: EmbeddingScale,
    [d, r]: [usize; 2],
    vocabulary: usize,
    device: &Device,
) -> (EmbeddingConfig, Output) {
    match output {
        OutputWeights::Own => {
            (EmbeddingConfig::new(vocabulary, d), Output::new(r, vocabulary, device))
        }
        OutputWeights::Embedding => {
            let table = EmbeddingConfig::tied(vocabulary, d).with_scale(scale);
            (table, Output::tied(vocabulary, device))
        }
    }
}

/// `begun` with a share of its tokens, all but `<s>`, in the place of which `<unk>` is read.
pub(crate) fn with_words_dropped(begun: &Padded, share: f64, rng: &mut impl Rng) -> Padded {
    if share == 0.0 {
        return begun.clone();
    }
    let mut word = |id: u32| if id != BOS && rng.random::<f64>() < share { UNK } else { id };
    let rows = begun.rows().map(|row| row.into_iter().map(&mut word).collect());
    Padded::to_steps(&rows.collect::<Vec<Vec<u32>>>(), begun.steps())
}

/// `Σ_n −ln softmax(logits)_{w_n}` of every row, `[R, N, V]` to `[R]`.
pub(crate) fn nll_of_readouts(logits: Tensor<3>, ended: &Padded) -> Tensor<1> {
    let device = logits.device();
    let ids = ended.tensor(&device).unsqueeze_dim(2);
    let chosen: Tensor<2> = log_softmax(logits, 2).gather(2, ids).squeeze_dim(2);
    let chosen = match ended.pad_mask(&device) {
        None => chosen,
        Some(mask) => chosen.mask_fill(mask, 0.0),
    };
    chosen.sum_dim(1).squeeze_dim::<1>(1).neg()
}

impl Hred {
    /// Where the model is.
    pub fn device(&self) -> Device {
        self.embedding.e.val().device()
    }

    /// Ids, `V`.
    pub fn vocabulary(&self) -> usize {
        self.embedding.vocabulary()
    }

    /// What `batch` conversations are about before they begin.
    pub fn start(&self, batch: usize) -> AnyState {
        self.context.start(batch, &self.embedding.e.val())
    }

    /// The vector of a state of conversations, `[B, s]`.
    pub fn vector(&self, state: &AnyState) -> Tensor<2> {
        self.context.vector(state)
    }

    /// Takes in one turn of each conversation: as long as there is memory for a turn, it does not matter
    /// how many came before.
    ///
    /// # Panics
    ///
    /// If there are not as many turns as rows.
    pub fn hear(&self, turns: &[Turn], state: AnyState) -> AnyState {
        let batch = DialogueBatch::whole(turns.iter().map(|turn| vec![turn.clone()]).collect());
        let u = batch.nested(self.read(&batch));
        self.context.forward(u, state, &batch.lengths()).1
    }

    /// The vectors of all turns of a batch, `[R, q]`.
    pub(crate) fn read(&self, batch: &DialogueBatch) -> Tensor<2> {
        let read = |turns: &[&Turn]| {
            let turns = Padded::ended(turns);
            let x = self.embedding.forward(turns.tensor(&self.device()));
            self.encoder.forward(self.dropout.forward(x), &turns.lengths())
        };
        match self.device().is_autodiff() {
            true => read(&batch.turns()),
            false => batch.by_length(|_, turns| read(turns)),
        }
    }

    /// What was said before each turn, `[R, s]`, given the vectors of all turns, `[R, q]`; and what the
    /// conversations were about in the end.
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    pub(crate) fn contexts(
        &self,
        batch: &DialogueBatch,
        u: Tensor<2>,
        carried: Option<CarriedContext>,
    ) -> (Tensor<2>, AnyState) {
        let start = match batch.past {
            Past::None => self.start(batch.size()),
            Past::Carried => carried.expect("a batch that goes on needs the contexts before it").0,
        };
        let before = self.vector(&start);
        let (behind, last) = self.context.forward(batch.nested(u), start, &batch.lengths());
        (batch.before(before, behind), last)
    }

    /// What logits are made of at every step of turns that read `begun`, `[R, N]`, and are made from `c`.
    pub(crate) fn readouts(&self, begun: &Padded, c: &Tensor<2>) -> Tensor<3> {
        let e = self.embedding.forward(begun.tensor(&self.device()));
        let readouts = self.decoder.sequence(self.dropout.forward(e), c, &begun.lengths());
        self.dropout.forward(readouts)
    }

    /// What the decoder reads while it learns: now and then `<unk>` in the place of a token.
    pub(crate) fn begun(&self, batch: &DialogueBatch, rng: &mut impl Rng) -> Padded {
        match self.device().is_autodiff() {
            true => with_words_dropped(&batch.begun(), self.config.word_dropout, rng),
            false => batch.begun(),
        }
    }

    /// The loss of turns made from `c`, `[R, s]`.
    pub(crate) fn loss(&self, batch: &DialogueBatch, begun: &Padded, c: &Tensor<2>) -> Loss {
        let readouts = self.readouts(begun, c);
        self.config.loss.of_readouts(readouts, &self.output, &self.embedding, &batch.ended())
    }

    /// The negative log-likelihood of each turn, with its `</s>`, made from `c`, `[R, s]`: `[R]`.
    pub(crate) fn nll_from(&self, batch: &DialogueBatch, c: &Tensor<2>) -> Tensor<1> {
        batch.by_length(|rows, turns| {
            let readouts = self.readouts(&Padded::begun(turns), &chosen(c.clone(), rows));
            let logits = self.output.forward(readouts, &self.embedding);
            nll_of_readouts(logits, &Padded::ended(turns))
        })
    }

    /// The negative log-likelihood of each turn of a batch, in nats, with its `</s>`: `[R]`, one
    /// conversation after the other; and what the conversations were about in the end. Meant for a model
    /// from [`valid`](Module::valid).
    ///
    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    pub fn nll(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
    ) -> (Tensor<1>, CarriedContext) {
        let (before, last) = self.contexts(batch, self.read(batch), carried);
        (self.nll_from(batch, &before), CarriedContext(last))
    }

    /// The model as something search can write turns with, one for each row of `c`, `[R, s]`: the vector
    /// of a context, and of whatever else a turn is made from. Meant for a model from
    /// [`valid`](Module::valid).
    pub fn generator(&self, c: Tensor<2>) -> TurnGenerator<'_> {
        TurnGenerator::new(&self.embedding, &self.decoder, (&self.output, &self.dropout), c)
    }
}

impl Carried for CarriedContext {
    fn detach(self) -> Self {
        Self(self.0.detach())
    }
}

impl Learn for Hred {
    type Batch = DialogueBatch;
    type Carried = CarriedContext;

    /// # Panics
    ///
    /// If a batch goes on and nothing is carried.
    fn learn(
        &self,
        batch: &DialogueBatch,
        carried: Option<CarriedContext>,
        at: &Moment,
    ) -> (Loss, CarriedContext) {
        let (before, last) = self.contexts(batch, self.read(batch), carried);
        let begun = self.begun(batch, &mut at.rng());
        (self.loss(batch, &begun, &before), CarriedContext(last))
    }
}

/// A decoder that knows what its turns are made from, as a [`Generator`].
#[derive(Clone, Debug)]
pub struct TurnGenerator<'m> {
    embedding: &'m Embedding,
    decoder: &'m TurnDecoder,
    output: &'m Output,
    dropout: &'m Dropout,
    c: Tensor<2>,
}

impl<'m> TurnGenerator<'m> {
    /// One turn for each row of `c`, `[R, s]`.
    pub(crate) fn new(
        embedding: &'m Embedding,
        decoder: &'m TurnDecoder,
        (output, dropout): (&'m Output, &'m Dropout),
        c: Tensor<2>,
    ) -> Self {
        Self { embedding, decoder, output, dropout, c }
    }
}

impl Generator for TurnGenerator<'_> {
    /// What a row is made from moves with it.
    type State = (Tensor<2>, AnyState);

    fn sources(&self) -> usize {
        self.c.dims()[0]
    }

    fn vocabulary(&self) -> usize {
        self.embedding.vocabulary()
    }

    fn start(&self) -> Self::State {
        (self.c.clone(), self.decoder.begin(&self.c))
    }

    fn step(&self, last: &[u32], (c, state): Self::State) -> Predicted<Self::State> {
        let last: Vec<[u32; 1]> = last.iter().map(|id| [*id]).collect();
        let ids = Padded::new(&last).tensor(&self.c.device());
        let e = self.dropout.forward(self.embedding.forward(ids)).squeeze_dim(1);
        let (readout, state) = self.decoder.step(e, &c, state);
        let readout = self.dropout.forward(readout).unsqueeze_dim(1);
        let logits = self.output.forward(readout, self.embedding);
        let scores = Scores::Logits(logits.squeeze_dim(1));
        Predicted { scores, weights: None, state: (c, state) }
    }

    fn reorder(&self, (c, state): Self::State, rows: &[usize]) -> Self::State {
        let index = places(rows, &self.c.device());
        (c.select(0, index.clone()), state.select(index))
    }
}
