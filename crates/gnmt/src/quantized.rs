//! A GNMT with weights of eight bits, for writing on the CPU.
//!
//! ```text
//! s_i = max_j |W_ij|          WQ_ij = round(W_ij / s_i · 127)           per row, embeddings included
//! ```
//!
//! All products with weights are products of integers; gates, softmax and everything that is added up
//! are in single precision. A weight takes a byte instead of four. It runs outside of Burn's tensors, on plain numbers, and
//! it cannot learn.
//!
//! The paper bounds states and sums while a model learns and then gives them fixed ranges. Here every row
//! of activations brings its own scale, so that a model which was trained without bounds is quantised as
//! well.
//!
//! Source: Wu et al. (2016), section 6.

use std::sync::Arc;

use burn::{
    module::Param,
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_cells::{AnyCell, Bidirectional};
use recurrent_kernels::{
    Gates, additive_scores,
    int8::{Int8Error, Int8Matrix, QuantizedRows},
    lstm_step,
};
use recurrent_seq2seq::{
    Translator,
    search::{Generator, Predicted, Scores},
};
use recurrent_text::EOS;
use thiserror::Error;

use crate::{FirstLayer, Gnmt, GnmtConfig, Query, Residual, Start};

/// Why a model cannot be quantised, or put together of its parts.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum QuantizeError {
    /// A weight is no finite number, or a matrix does not fit its parts.
    #[error("`{name}`: {reason}")]
    Matrix {
        /// Which matrix.
        name: String,
        /// What is wrong with it.
        reason: Int8Error,
    },
    /// A part is missing.
    #[error("`{name}` is missing")]
    Missing {
        /// Which part.
        name: String,
    },
    /// A part is of another shape than the model has.
    #[error("`{name}` is {found:?}, but {expected:?} in the model")]
    Shape {
        /// Which part.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the model has.
        expected: Vec<usize>,
    },
    /// A part that the model does not have.
    #[error("`{name}` is no part of the model")]
    Unknown {
        /// Which part.
        name: String,
    },
}

/// A GNMT with weights of eight bits, as a [`Translator`].
#[derive(Clone, Debug)]
pub struct QuantizedGnmt {
    config: GnmtConfig,
    /// None if it is that of the target.
    source_embedding: Option<Int8Matrix>,
    target_embedding: Int8Matrix,
    both: [QuantizedLstm; 2],
    encoder: Vec<QuantizedLstm>,
    first: QuantizedLstm,
    decoder: Vec<QuantizedLstm>,
    attention: QuantizedAttention,
    /// None if it is the embedding of the target.
    output: Option<Int8Matrix>,
    output_bias: Vec<f32>,
}

/// One layer.
#[derive(Clone, Debug)]
struct QuantizedLstm {
    /// `W_x`, `[4H, I]`.
    w_x: Int8Matrix,
    /// `W_h`, `[4H, H]`.
    w_h: Int8Matrix,
    /// `b`, `[4H]`.
    b: Vec<f32>,
    gates: Gates,
}

/// How the source is looked at.
#[derive(Clone, Debug)]
struct QuantizedAttention {
    /// `W_q`, `[A, H]`.
    w_q: Int8Matrix,
    /// `W_m`, `[A, H]`.
    w_m: Int8Matrix,
    /// `b`, `[A]`.
    b: Vec<f32>,
    /// `g · v / ‖v‖`, `[A]`.
    v: Vec<f32>,
}

/// A part of a model, as it is kept in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A matrix and its scales.
    Matrix {
        /// `WQ`, `[N, K]`, row by row.
        values: Vec<i8>,
        /// `s`, `[N]`.
        scales: Vec<f32>,
        /// `[N, K]`.
        shape: [usize; 2],
    },
    /// Numbers that stay as they are.
    Vector(Vec<f32>),
}

fn numbers<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    let data = param.val().into_data().convert_dtype(DType::F32);
    data.try_to_vec().expect("it has been converted")
}

/// `W`, `[in, out]`, as `[out, in]`.
fn linear(name: &str, w: &Param<Tensor<2>>) -> Result<Int8Matrix, QuantizeError> {
    let [inputs, outputs] = w.dims();
    Int8Matrix::quantize_transposed(&numbers(w), outputs, inputs).map_err(named(name))
}

/// `E`, `[V, H]`.
fn table(name: &str, e: &Param<Tensor<2>>) -> Result<Int8Matrix, QuantizeError> {
    let [rows, columns] = e.dims();
    Int8Matrix::quantize(&numbers(e), rows, columns).map_err(named(name))
}

fn named(name: &str) -> impl Fn(Int8Error) -> QuantizeError {
    let name = name.to_owned();
    move |reason| QuantizeError::Matrix { name: name.clone(), reason }
}

impl QuantizedLstm {
    fn new(name: &str, cell: &AnyCell) -> Result<Self, QuantizeError> {
        let (w_x, w_h, b, gates) = match cell {
            AnyCell::Lstm(cell) => (&cell.w_x, &cell.w_h, &cell.b, Gates::Forget),
            AnyCell::GnmtLstm(cell) => {
                (&cell.w_x, &cell.w_h, &cell.b, Gates::Gnmt { clip: cell.clip })
            }
            other => panic!("GNMT has LSTMs, got {other:?}"),
        };
        Ok(Self {
            w_x: linear(&format!("{name}.w_x"), w_x)?,
            w_h: linear(&format!("{name}.w_h"), w_h)?,
            b: numbers(b),
            gates,
        })
    }
}

impl QuantizedGnmt {
    /// `model` with its weights rounded. `config` is what it was drawn from.
    ///
    /// # Errors
    ///
    /// If a weight is not finite.
    pub fn new(config: &GnmtConfig, model: &Gnmt) -> Result<Self, QuantizeError> {
        let layers = |name: &str, cells: &[AnyCell]| -> Result<Vec<_>, QuantizeError> {
            let layer = |(n, cell)| QuantizedLstm::new(&format!("{name}.{n}"), cell);
            cells.iter().enumerate().map(layer).collect()
        };
        let Bidirectional { forward, backward, .. } = &model.encoder.both;
        let attention = &model.decoder.attention;
        let v = numbers(&attention.v);
        let norm = v.iter().map(|v| v * v).sum::<f32>().sqrt();
        let g = numbers(&attention.g)[0];
        let source = model.source_embedding.as_ref();
        let output = model.output.w_o.as_ref();
        Ok(Self {
            config: config.clone(),
            source_embedding: source.map(|table_of| table("source", &table_of.e)).transpose()?,
            target_embedding: table("target", &model.target_embedding.e)?,
            both: [
                QuantizedLstm::new("encoder.forward", forward)?,
                QuantizedLstm::new("encoder.backward", backward)?,
            ],
            encoder: layers("encoder", &model.encoder.upper)?,
            first: QuantizedLstm::new("decoder.first", &model.decoder.first)?,
            decoder: layers("decoder", &model.decoder.upper)?,
            attention: QuantizedAttention {
                w_q: linear("attention.w_q", &attention.w_q)?,
                w_m: linear("attention.w_m", &attention.w_m)?,
                b: numbers(&attention.b),
                v: v.iter().map(|v| g * v / norm).collect(),
            },
            output: output.map(|w_o| linear("output", w_o)).transpose()?,
            output_bias: numbers(&model.output.b_o),
        })
    }

    /// All parts with their names, to be kept in a file.
    pub fn parts(&self) -> Vec<(String, Part)> {
        let mut parts = Vec::new();
        let mut matrix = |name: &str, matrix: &Int8Matrix| {
            let (values, scales) = (matrix.values(), matrix.scales().to_vec());
            let shape = [matrix.outputs(), matrix.inputs()];
            parts.push((name.to_owned(), Part::Matrix { values, scales, shape }));
        };
        self.matrices().into_iter().for_each(|(name, of)| matrix(&name, of));
        let vectors = self.vectors().into_iter();
        parts.extend(vectors.map(|(name, of)| (name, Part::Vector(of.clone()))));
        parts
    }

    fn layers(&self) -> Vec<(String, &QuantizedLstm)> {
        let numbered = |name: &'static str, layers: &'_ [QuantizedLstm]| -> Vec<String> {
            (0..layers.len()).map(|n| format!("{name}.{n}")).collect()
        };
        let names = ["encoder.forward", "encoder.backward"].map(str::to_owned).into_iter();
        let names = names
            .chain(numbered("encoder", &self.encoder))
            .chain(["decoder.first".to_owned()])
            .chain(numbered("decoder", &self.decoder));
        let layers =
            self.both.iter().chain(&self.encoder).chain([&self.first]).chain(&self.decoder);
        names.zip(layers).collect()
    }

    fn matrices(&self) -> Vec<(String, &Int8Matrix)> {
        let mut matrices = vec![("target".to_owned(), &self.target_embedding)];
        matrices.extend(self.source_embedding.as_ref().map(|of| ("source".to_owned(), of)));
        matrices.extend(self.output.as_ref().map(|of| ("output".to_owned(), of)));
        matrices.push(("attention.w_q".to_owned(), &self.attention.w_q));
        matrices.push(("attention.w_m".to_owned(), &self.attention.w_m));
        for (name, layer) in self.layers() {
            matrices.push((format!("{name}.w_x"), &layer.w_x));
            matrices.push((format!("{name}.w_h"), &layer.w_h));
        }
        matrices
    }

    fn vectors(&self) -> Vec<(String, &Vec<f32>)> {
        let mut vectors = vec![
            ("output.b".to_owned(), &self.output_bias),
            ("attention.b".to_owned(), &self.attention.b),
            ("attention.v".to_owned(), &self.attention.v),
        ];
        vectors
            .extend(self.layers().into_iter().map(|(name, layer)| (format!("{name}.b"), &layer.b)));
        vectors
    }

    /// The model that was taken apart by [`parts`](Self::parts), for vocabularies of the given sizes.
    ///
    /// # Errors
    ///
    /// If a part is missing, unknown, or not as the model has it.
    pub fn from_parts(
        config: &GnmtConfig,
        [v_source, v_target]: [usize; 2],
        parts: Vec<(String, Part)>,
    ) -> Result<Self, QuantizeError> {
        use recurrent_seq2seq::Tie;
        let mut parts = Parts(parts.into_iter().collect());
        let h = config.d_hidden;
        let gates = match config.cell {
            crate::GnmtCell::Lstm => Gates::Forget,
            crate::GnmtCell::GnmtLstm => Gates::Gnmt { clip: config.clip.map(|clip| clip.to) },
        };
        let layer = |parts: &mut Parts, name: &str, d_input: usize| {
            Ok(QuantizedLstm {
                w_x: parts.matrix(&format!("{name}.w_x"), [4 * h, d_input])?,
                w_h: parts.matrix(&format!("{name}.w_h"), [4 * h, h])?,
                b: parts.vector(&format!("{name}.b"), 4 * h)?,
                gates,
            })
        };
        let layers = |parts: &mut Parts, name: &str, d_input: &dyn Fn(usize) -> usize| {
            let each =
                (0..config.layers - 1).map(|n| layer(parts, &format!("{name}.{n}"), d_input(n)));
            each.collect::<Result<Vec<_>, QuantizeError>>()
        };
        let encoder = layers(&mut parts, "encoder", &|n| if n == 0 { 2 * h } else { h })?;
        let decoder = layers(&mut parts, "decoder", &|_| 2 * h)?;
        let d_first = match config.first_layer {
            FirstLayer::Token => h,
            FirstLayer::Context => 2 * h,
        };
        let own_source = matches!(config.tie, Tie::None | Tie::Output);
        let own_output = matches!(config.tie, Tie::None | Tie::Embeddings);
        let model = Self {
            config: config.clone(),
            source_embedding: own_source
                .then(|| parts.matrix("source", [v_source, h]))
                .transpose()?,
            target_embedding: parts.matrix("target", [v_target, h])?,
            both: [
                layer(&mut parts, "encoder.forward", h)?,
                layer(&mut parts, "encoder.backward", h)?,
            ],
            encoder,
            first: layer(&mut parts, "decoder.first", d_first)?,
            decoder,
            attention: QuantizedAttention {
                w_q: parts.matrix("attention.w_q", [h, h])?,
                w_m: parts.matrix("attention.w_m", [h, h])?,
                b: parts.vector("attention.b", h)?,
                v: parts.vector("attention.v", h)?,
            },
            output: own_output.then(|| parts.matrix("output", [v_target, h])).transpose()?,
            output_bias: parts.vector("output.b", v_target)?,
        };
        match parts.0.into_keys().next() {
            None => Ok(model),
            Some(name) => Err(QuantizeError::Unknown { name }),
        }
    }

    fn around(&self, layer: usize, m: &mut [f32], x: &[f32]) {
        if self.config.residual == Residual::None || layer < 3 {
            return;
        }
        let bound = self.config.clip.map_or(f32::INFINITY, |clip| clip.to as f32);
        for (m, x) in m.iter_mut().zip(x) {
            *m = (*m + x).clamp(-bound, bound);
        }
    }

    /// The vector of a token by the target's table, scaled as it is.
    fn target_vector(&self, id: u32, to: &mut [f32]) {
        self.target_embedding.row(id as usize, to);
        let factor = self.config.embedding_scale.factor(self.config.d_hidden) as f32;
        to.iter_mut().for_each(|x| *x *= factor);
    }

    /// Reads sources, `</s>` included.
    fn encode(&self, sources: &[Vec<u32>]) -> Encoded {
        let h = self.config.d_hidden;
        let starts = Starts::of(sources);
        let mut x = vec![0.0; starts.total() * h];
        for (id, to) in sources.iter().flatten().zip(x.chunks_exact_mut(h)) {
            match &self.source_embedding {
                Some(table) => table.row(*id as usize, to),
                None => self.target_vector(*id, to),
            }
        }
        let [there, back] = &self.both;
        let (forward, _) = there.run(&x, &starts, Way::Forward);
        let (backward, end) = back.run(&x, &starts, Way::Backward);
        let mut states = vec![end];
        let beside = forward.chunks_exact(h).zip(backward.chunks_exact(h));
        let mut x: Vec<f32> = beside.flat_map(|(a, b)| [a, b].concat()).collect();
        for (n, layer) in self.encoder.iter().enumerate() {
            let (mut m, end) = layer.run(&x, &starts, Way::Forward);
            self.around(n + 2, &mut m, &x);
            x = m;
            states.push(end);
        }
        let mut keys = vec![0.0; starts.total() * h];
        self.attention.w_m.product(&x, &mut keys, Some(&self.attention.b));
        let memory = Memory { values: x, keys, starts };
        let rows = sources.len();
        let states = match self.config.start {
            Start::Encoder => states,
            Start::Zero => vec![LayerState::nothing(rows, h); self.config.layers],
        };
        Encoded { memory: Arc::new(memory), states }
    }
}

/// Parts that have not been taken yet.
struct Parts(std::collections::BTreeMap<String, Part>);

impl Parts {
    fn take(&mut self, name: &str) -> Result<Part, QuantizeError> {
        self.0.remove(name).ok_or_else(|| QuantizeError::Missing { name: name.to_owned() })
    }

    fn matrix(&mut self, name: &str, expected: [usize; 2]) -> Result<Int8Matrix, QuantizeError> {
        let wrong = |found: Vec<usize>| QuantizeError::Shape {
            name: name.to_owned(),
            found,
            expected: expected.to_vec(),
        };
        match self.take(name)? {
            Part::Vector(found) => Err(wrong(vec![found.len()])),
            Part::Matrix { shape, .. } if shape != expected => Err(wrong(shape.to_vec())),
            Part::Matrix { values, scales, shape: [outputs, inputs] } => {
                Int8Matrix::from_parts(&values, &scales, outputs, inputs).map_err(named(name))
            }
        }
    }

    fn vector(&mut self, name: &str, expected: usize) -> Result<Vec<f32>, QuantizeError> {
        let found = match self.take(name)? {
            Part::Vector(found) if found.len() == expected => return Ok(found),
            Part::Vector(found) => vec![found.len()],
            Part::Matrix { shape, .. } => shape.to_vec(),
        };
        Err(QuantizeError::Shape { name: name.to_owned(), found, expected: vec![expected] })
    }
}

/// Where the tokens of each source begin, all sources one after the other without padding.
#[derive(Clone, Debug)]
struct Starts(Vec<usize>);

impl Starts {
    fn of(sources: &[Vec<u32>]) -> Self {
        let ends = sources.iter().scan(0, |end, source| {
            *end += source.len();
            Some(*end)
        });
        Self([0].into_iter().chain(ends).collect())
    }

    fn total(&self) -> usize {
        *self.0.last().expect("it begins with 0")
    }

    fn length(&self, source: usize) -> usize {
        self.0[source + 1] - self.0[source]
    }

    fn count(&self) -> usize {
        self.0.len() - 1
    }
}

enum Way {
    Forward,
    Backward,
}

/// `h` and `c` of a layer, a row each, `[R, H]`.
#[derive(Clone, Debug)]
struct LayerState {
    h: Vec<f32>,
    c: Vec<f32>,
}

impl LayerState {
    fn nothing(rows: usize, width: usize) -> Self {
        Self { h: vec![0.0; rows * width], c: vec![0.0; rows * width] }
    }

    fn select(&self, rows: &[usize], width: usize) -> Self {
        Self { h: select(&self.h, rows, width), c: select(&self.c, rows, width) }
    }
}

fn select(from: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    rows.iter().flat_map(|row| &from[row * width..][..width]).copied().collect()
}

impl QuantizedLstm {
    fn width(&self) -> usize {
        self.w_h.inputs()
    }

    /// All sources, without padding: the outputs of every token and the final states.
    fn run(&self, x: &[f32], starts: &Starts, way: Way) -> (Vec<f32>, LayerState) {
        let h = self.width();
        let mut gates = vec![0.0; starts.total() * 4 * h];
        self.w_x.product(x, &mut gates, Some(&self.b));
        let mut state = LayerState::nothing(starts.count(), h);
        let mut outputs = vec![0.0; starts.total() * h];
        let longest = (0..starts.count()).map(|source| starts.length(source)).max().unwrap_or(0);
        for t in 0..longest {
            let running: Vec<usize> =
                (0..starts.count()).filter(|source| t < starts.length(*source)).collect();
            let token = |source: usize| match way {
                Way::Forward => starts.0[source] + t,
                Way::Backward => starts.0[source + 1] - 1 - t,
            };
            let tokens: Vec<usize> = running.iter().map(|source| token(*source)).collect();
            let mut now = state.select(&running, h);
            let mut gates = select(&gates, &tokens, 4 * h);
            self.advance(&mut gates, &mut now);
            for (n, (source, token)) in running.iter().zip(tokens).enumerate() {
                let row = n * h..(n + 1) * h;
                outputs[token * h..][..h].copy_from_slice(&now.h[row.clone()]);
                state.h[source * h..][..h].copy_from_slice(&now.h[row.clone()]);
                state.c[source * h..][..h].copy_from_slice(&now.c[row]);
            }
        }
        (outputs, state)
    }

    /// One step of rows whose input side is in `gates`, `[R, 4H]`.
    fn advance(&self, gates: &mut [f32], state: &mut LayerState) {
        let mut h = QuantizedRows::new();
        h.quantize(&state.h, state.h.len() / self.width(), self.width());
        self.w_h.add_product_of(&h, gates);
        lstm_step(gates, self.gates, self.width(), &mut state.c, &mut state.h);
    }

    /// One step of rows `x`, `[R, I]`.
    fn step(&self, x: &[f32], state: &mut LayerState) {
        let mut gates = vec![0.0; state.h.len() * 4];
        self.w_x.product(x, &mut gates, Some(&self.b));
        self.advance(&mut gates, state);
    }
}

/// What is looked at.
#[derive(Clone, Debug)]
struct Memory {
    /// `xⁿ` of every token, `[·, H]`.
    values: Vec<f32>,
    /// `xⁿ · W_m + b`, `[·, A]`.
    keys: Vec<f32>,
    starts: Starts,
}

struct Encoded {
    memory: Arc<Memory>,
    states: Vec<LayerState>,
}

impl Translator for QuantizedGnmt {
    type Generator<'m> = QuantizedGenerator<'m>;

    fn generator<R: AsRef<[u32]>>(&self, sources: &[R]) -> QuantizedGenerator<'_> {
        assert!(!sources.is_empty(), "there is at least one source");
        let ended: Vec<Vec<u32>> =
            sources.iter().map(|source| [source.as_ref(), &[EOS]].concat()).collect();
        let Encoded { memory, states } = self.encode(&ended);
        QuantizedGenerator { model: self, memory, states }
    }
}

/// A [`QuantizedGnmt`] in front of its encoded sources, as a [`Generator`].
#[derive(Debug)]
pub struct QuantizedGenerator<'m> {
    model: &'m QuantizedGnmt,
    memory: Arc<Memory>,
    states: Vec<LayerState>,
}

/// What one step hands to the next.
#[derive(Clone, Debug)]
pub struct QuantizedState {
    layers: Vec<LayerState>,
    /// The source of each row.
    of: Vec<usize>,
    /// The last context, where the lowest layer reads it.
    fed: Option<Vec<f32>>,
}

impl QuantizedGenerator<'_> {
    /// The context of every row, `[R, H]`, and where it looked, `[R, S]`, 0 beyond its source.
    fn look(&self, queries: &[f32], of: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (attention, h) = (&self.model.attention, self.model.config.d_hidden);
        let starts = &self.memory.starts;
        let longest = (0..starts.count()).map(|source| starts.length(source)).max().unwrap_or(0);
        let mut asked = vec![0.0; queries.len()];
        attention.w_q.product(queries, &mut asked, None);
        let mut context = vec![0.0; queries.len()];
        let mut weights = vec![0.0; of.len() * longest];
        for (row, source) in of.iter().enumerate() {
            let (from, count) = (starts.0[*source], starts.length(*source));
            let weights = &mut weights[row * longest..][..count];
            let keys = &self.memory.keys[from * h..][..count * h];
            additive_scores(&asked[row * h..][..h], keys, &attention.v, weights);
            softmax(weights);
            let context = &mut context[row * h..][..h];
            for (weight, value) in weights.iter().zip(self.memory.values[from * h..].chunks(h)) {
                for (sum, value) in context.iter_mut().zip(value) {
                    *sum += weight * value;
                }
            }
        }
        (context, weights)
    }
}

fn softmax(scores: &mut [f32]) {
    let highest = scores.iter().fold(f32::NEG_INFINITY, |highest, score| highest.max(*score));
    scores.iter_mut().for_each(|score| *score = (*score - highest).exp());
    let total: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= total);
}

/// `[a ; b]` of every row.
fn beside(a: &[f32], b: &[f32], width: usize) -> Vec<f32> {
    let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
    let mut both = Vec::with_capacity(a.len() + b.len());
    rows.for_each(|(a, b)| {
        both.extend_from_slice(a);
        both.extend_from_slice(b);
    });
    both
}

impl Generator for QuantizedGenerator<'_> {
    type State = QuantizedState;

    fn sources(&self) -> usize {
        self.memory.starts.count()
    }

    fn vocabulary(&self) -> usize {
        self.model.target_embedding.outputs()
    }

    fn source_lengths(&self) -> Option<Vec<usize>> {
        let starts = &self.memory.starts;
        Some((0..starts.count()).map(|source| starts.length(source)).collect())
    }

    fn start(&self) -> QuantizedState {
        let config = &self.model.config;
        let feeds = (config.first_layer, config.query) == (FirstLayer::Context, Query::Current);
        QuantizedState {
            layers: self.states.clone(),
            of: (0..self.sources()).collect(),
            fed: feeds.then(|| vec![0.0; self.sources() * config.d_hidden]),
        }
    }

    fn step(&self, last: &[u32], mut state: QuantizedState) -> Predicted<QuantizedState> {
        let (model, config) = (self.model, &self.model.config);
        let h = config.d_hidden;
        let mut y = vec![0.0; last.len() * h];
        for (id, to) in last.iter().zip(y.chunks_exact_mut(h)) {
            model.target_vector(*id, to);
        }
        let QuantizedState { layers, of, fed } = &mut state;
        let (context, weights) = match config.query {
            Query::Previous => {
                let (context, weights) = self.look(&layers[0].h, of);
                if config.first_layer == FirstLayer::Context {
                    y = beside(&y, &context, h);
                }
                model.first.step(&y, &mut layers[0]);
                (context, weights)
            }
            Query::Current => {
                if let Some(fed) = fed {
                    y = beside(&y, fed, h);
                }
                model.first.step(&y, &mut layers[0]);
                self.look(&layers[0].h, of)
            }
        };
        if let Some(fed) = fed {
            fed.clone_from(&context);
        }
        let mut y = layers[0].h.clone();
        for (n, layer) in model.decoder.iter().enumerate() {
            layer.step(&beside(&y, &context, h), &mut layers[n + 1]);
            let mut m = layers[n + 1].h.clone();
            model.around(n + 2, &mut m, &y);
            y = m;
        }
        let output = model.output.as_ref().unwrap_or(&model.target_embedding);
        let mut logits = vec![0.0; last.len() * output.outputs()];
        output.product(&y, &mut logits, Some(&model.output_bias));
        if let Some(gamma) = config.logit_clip {
            let gamma = gamma as f32;
            logits.iter_mut().for_each(|logit| *logit = logit.clamp(-gamma, gamma));
        }
        let device = Device::flex();
        let tensor = |numbers: Vec<f32>| {
            let shape = [last.len(), numbers.len() / last.len()];
            Tensor::from_data(TensorData::new(numbers, shape), (&device, DType::F32))
        };
        let (scores, weights) = (Scores::Logits(tensor(logits)), Some(tensor(weights)));
        Predicted { scores, weights, state }
    }

    fn reorder(&self, state: QuantizedState, rows: &[usize]) -> QuantizedState {
        let h = self.model.config.d_hidden;
        QuantizedState {
            layers: state.layers.iter().map(|layer| layer.select(rows, h)).collect(),
            of: rows.iter().map(|row| state.of[*row]).collect(),
            fed: state.fed.map(|fed| select(&fed, rows, h)),
        }
    }
}
