//! The weights of whole models under the keys that a model in PyTorch would have. `docs/pytorch.md`
//! lists them.
//!
//! Which parameter has which key is said once, in [`Keyed`]; reading and writing are two kinds of
//! [`Weights`] that go through it.

use std::collections::BTreeSet;

use burn::{
    module::{Module, ModuleMapper, Param},
    prelude::*,
    tensor::{DType, TensorData},
};
use recurrent_attention::Attention;
use recurrent_cells::{
    Activation, AnyCell, Bidirectional, Cell, GruCell, LstmCell, RnnCell, Stack,
};
use recurrent_pytorch::{PytorchCell, PytorchError, PytorchLayer, StateDict, add_to, load};
use recurrent_seq2seq::{Decoder, LanguageModel, Reader, Seq2Seq};
use thiserror::Error;

/// Why weights cannot go from one side to the other.
#[derive(Debug, Error)]
pub enum ConvertError {
    /// The file is none, a key of it is missing, or a recurrent module is not as it should be.
    #[error(transparent)]
    Pytorch(Box<PytorchError>),
    /// A parameter has another shape than in the model.
    #[error("`{key}` is {file:?} in the file, but {model:?} in the model")]
    Shape {
        /// The key.
        key: String,
        /// Its shape in the file.
        file: Vec<usize>,
        /// The shape it should have.
        model: Vec<usize>,
    },
    /// A recurrent module has other sizes than in the model.
    #[error("`{key}` has {file} in the file, but {model} in the model")]
    Layers {
        /// Where the module is.
        key: String,
        /// What the file has.
        file: String,
        /// What the model has.
        model: String,
    },
    /// Keys that belong to nothing.
    #[error("the file has {}, the model has not", listed(keys))]
    Unknown {
        /// The keys.
        keys: Vec<String>,
    },
    /// Parameters of different types.
    #[error("`{key}` is {dtype:?} in the file, but others are {expected:?}")]
    Dtype {
        /// The key.
        key: String,
        /// Its type.
        dtype: DType,
        /// The type of the first parameter.
        expected: DType,
    },
    /// Two parameters that are one in the model.
    #[error("`{key}` and `{other}` differ in the file, but are one in the model")]
    Tied {
        /// The key.
        key: String,
        /// The key of what it should be equal to.
        other: String,
    },
    /// A cell that PyTorch does not have.
    #[error(
        "PyTorch has no module for {cell}; `rnn`, `relu_rnn`, `lstm` and `gru` can be converted"
    )]
    Cell {
        /// What the cell is.
        cell: &'static str,
    },
}

impl From<PytorchError> for ConvertError {
    fn from(error: PytorchError) -> Self {
        Self::Pytorch(Box::new(error))
    }
}

fn listed(keys: &[String]) -> String {
    const MOST: usize = 5;
    let shown: Vec<String> = keys.iter().take(MOST).map(|key| format!("`{key}`")).collect();
    match keys.len() {
        count if count > MOST => format!("{} and {} more", shown.join(", "), count - MOST),
        _ => shown.join(", "),
    }
}

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
    /// If PyTorch has no module for the model's cell.
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

impl Keyed for LanguageModel<AnyCell> {
    fn visit<W: Weights>(&mut self, weights: &mut W) -> Result<(), ConvertError> {
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

/// A cell of PyTorch among all cells.
trait Known: PytorchCell {
    /// It, if it is of this kind.
    fn of(cell: &AnyCell) -> Option<Self>;

    fn any(self) -> AnyCell;
}

macro_rules! known {
    ($cell:ty, $variant:ident) => {
        impl Known for $cell {
            fn of(cell: &AnyCell) -> Option<Self> {
                match cell {
                    AnyCell::$variant(cell) => Some(cell.clone()),
                    _ => None,
                }
            }

            fn any(self) -> AnyCell {
                AnyCell::$variant(self)
            }
        }
    };
}

known!(RnnCell, Rnn);
known!(LstmCell, Lstm);
known!(GruCell, Gru);

/// Runs `$body` for the type of a cell and what PyTorch does not say about it.
macro_rules! with_known {
    ($any:expr, $cell:ident, $choice:ident => $body:expr) => {
        match kind($any)? {
            Kind::Rnn(activation) => {
                type $cell = RnnCell;
                let $choice = activation;
                $body
            }
            Kind::Lstm => {
                type $cell = LstmCell;
                let $choice = ();
                $body
            }
            Kind::Gru => {
                type $cell = GruCell;
                let $choice = ();
                $body
            }
        }
    };
}

enum Kind {
    Rnn(Activation),
    Lstm,
    Gru,
}

fn kind(cell: &AnyCell) -> Result<Kind, ConvertError> {
    let cell = match cell {
        AnyCell::Rnn(cell) => return Ok(Kind::Rnn(cell.activation)),
        AnyCell::Lstm(_) => return Ok(Kind::Lstm),
        AnyCell::Gru(_) => return Ok(Kind::Gru),
        AnyCell::Leaky(_) => "leaky units",
        AnyCell::Skip(_) => "skip connections through time",
        AnyCell::Carousel(_) => "the constant error carousel",
        AnyCell::OriginalLstm(_) => "the LSTM without a forget gate",
        AnyCell::PeepholeLstm(_) => "the LSTM with peepholes",
        AnyCell::CoupledLstm(_) => "the LSTM with coupled gates",
        AnyCell::GnmtLstm(_) => "GNMT's LSTM",
        AnyCell::LayerNormLstm(_) => "the LSTM with layer normalisation",
    };
    Err(ConvertError::Cell { cell })
}

/// All layers are of one kind: a config has one cell.
const ONE_KIND: &str = "the cells of a model are of one kind";

fn typed<C: Known>(cell: &AnyCell) -> C {
    C::of(cell).expect(ONE_KIND)
}

fn typed_both<C: Known>(layer: &Bidirectional<AnyCell>) -> Bidirectional<C> {
    Bidirectional::new(typed(&layer.forward), typed(&layer.backward)).with_merge(layer.merge)
}

/// Puts parameters into a state dict.
struct Writer(StateDict);

impl Writer {
    fn put(&mut self, key: &str, tensor: TensorData) -> Result<(), ConvertError> {
        Ok(self.0.insert(key, tensor)?)
    }
}

impl Weights for Writer {
    fn plain<const D: usize>(
        &mut self,
        key: &str,
        parameter: &mut Param<Tensor<D>>,
    ) -> Result<(), ConvertError> {
        self.put(key, parameter.val().into_data())
    }

    fn linear(&mut self, key: &str, weight: &mut Param<Tensor<2>>) -> Result<(), ConvertError> {
        self.put(key, weight.val().transpose().into_data())
    }

    fn row(&mut self, key: &str, weight: &mut Param<Tensor<1>>) -> Result<(), ConvertError> {
        self.put(key, weight.val().unsqueeze::<2>().into_data())
    }

    fn same(
        &mut self,
        key: &str,
        _: &str,
        parameter: &Param<Tensor<2>>,
    ) -> Result<(), ConvertError> {
        self.put(key, parameter.val().into_data())
    }

    fn one_way(&mut self, key: &str, cells: Vec<&mut AnyCell>) -> Result<(), ConvertError> {
        with_known!(cells[0], C, _choice => {
            let layers = cells.iter().map(|cell| typed::<C>(cell)).collect();
            Ok(add_to(&Stack::new(layers), &mut self.0, key)?)
        })
    }

    fn both_ways(
        &mut self,
        key: &str,
        layers: Vec<&mut Bidirectional<AnyCell>>,
    ) -> Result<(), ConvertError> {
        with_known!(&layers[0].forward, C, _choice => {
            let layers = layers.iter().map(|layer| typed_both::<C>(layer)).collect();
            Ok(add_to(&Stack::new(layers), &mut self.0, key)?)
        })
    }
}

/// Takes parameters from a state dict.
struct Loader<'a> {
    dict: &'a StateDict,
    /// Empty, or with a dot at its end.
    prefix: String,
    used: BTreeSet<String>,
    /// Of the parameters so far.
    dtype: Option<DType>,
}

impl Loader<'_> {
    fn take(&mut self, key: &str) -> Result<TensorData, ConvertError> {
        let key = format!("{}{key}", self.prefix);
        let data = self.dict.get(&key)?;
        let (dtype, expected) = (data.dtype(), *self.dtype.get_or_insert(data.dtype()));
        if dtype != expected {
            return Err(ConvertError::Dtype { key, dtype, expected });
        }
        self.used.insert(key);
        Ok(widened(data))
    }

    /// As [`take`](Self::take), of this shape.
    fn shaped(&mut self, key: &str, model: &[usize]) -> Result<TensorData, ConvertError> {
        let data = self.take(key)?;
        let (key, file) = (format!("{}{key}", self.prefix), data.shape().to_vec());
        match file == model {
            true => Ok(data),
            false => Err(ConvertError::Shape { key, file, model: model.to_vec() }),
        }
    }

    /// The layers of a recurrent module.
    fn layers<L: PytorchLayer>(
        &mut self,
        key: &str,
        choice: <L::Cell as PytorchCell>::Choice,
        model: &Stack<L>,
        device: &Device,
    ) -> Result<Vec<L>, ConvertError> {
        let key = format!("{}{key}", self.prefix);
        let found = load::<L>(self.dict, &key, choice, device)?;
        let (file, model) = (sizes(&found)?, sizes(model)?);
        if file != model {
            return Err(ConvertError::Layers { key, file, model });
        }
        let below = format!("{key}.");
        let names = self.dict.keys().filter_map(|name| name.strip_prefix(&below));
        let names: Vec<&str> = names.filter(|name| !name.contains('.')).collect();
        for name in names {
            // The module itself has been checked; that it fits the others is left.
            self.take(&format!("{}.{name}", &key[self.prefix.len()..]))?;
        }
        Ok(found.map(&mut Widen).layers)
    }

    fn finish(self) -> Result<(), ConvertError> {
        let here = self.dict.keys().filter(|key| key.starts_with(&self.prefix));
        let unknown = here.filter(|key| !self.used.contains(*key)).map(str::to_owned);
        let keys: Vec<String> = unknown.collect();
        if keys.is_empty() { Ok(()) } else { Err(ConvertError::Unknown { keys }) }
    }
}

/// "2 layers, 8 to 16 to 16", of one direction.
fn sizes<L: PytorchLayer>(stack: &Stack<L>) -> Result<String, ConvertError> {
    let mut widths = Vec::new();
    for layer in &stack.layers {
        let cell = layer.cells()?[0];
        if widths.is_empty() {
            widths.push(cell.d_input().to_string());
        }
        widths.push(cell.d_hidden().to_string());
    }
    let layers = match stack.layers.len() {
        1 => "1 layer".to_owned(),
        count => format!("{count} layers"),
    };
    Ok(format!("{layers}, {} features", widths.join(" to ")))
}

/// Half precision is for files; models compute in single or double.
fn widened(data: TensorData) -> TensorData {
    match data.dtype() {
        DType::F16 | DType::BF16 => data.convert_dtype(DType::F32),
        _ => data,
    }
}

struct Widen;

impl ModuleMapper for Widen {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.val().dtype() {
            DType::F16 | DType::BF16 => param.map(|value| value.cast(DType::F32).detach()),
            _ => param,
        }
    }
}

fn tensor<const D: usize>(data: TensorData, device: &Device) -> Tensor<D> {
    let dtype = data.dtype();
    Tensor::from_data(data, (device, dtype))
}

fn cell_device(cell: &AnyCell) -> Device {
    match cell {
        AnyCell::Rnn(cell) => cell.w_x.val().device(),
        AnyCell::Lstm(cell) => cell.w_x.val().device(),
        AnyCell::Gru(cell) => cell.w_x.val().device(),
        _ => Device::flex(),
    }
}

impl Weights for Loader<'_> {
    fn plain<const D: usize>(
        &mut self,
        key: &str,
        parameter: &mut Param<Tensor<D>>,
    ) -> Result<(), ConvertError> {
        let data = self.shaped(key, &parameter.dims())?;
        *parameter = Param::from_tensor(tensor(data, &parameter.val().device()));
        Ok(())
    }

    fn linear(&mut self, key: &str, weight: &mut Param<Tensor<2>>) -> Result<(), ConvertError> {
        let ([rows, columns], device) = (weight.dims(), weight.val().device());
        let turned = tensor::<2>(self.shaped(key, &[columns, rows])?, &device).transpose();
        // Laid out anew: a product would gather a view at every step.
        *weight = Param::from_tensor(tensor(turned.into_data(), &device));
        Ok(())
    }

    fn row(&mut self, key: &str, weight: &mut Param<Tensor<1>>) -> Result<(), ConvertError> {
        let ([count], device) = (weight.dims(), weight.val().device());
        let row = tensor::<2>(self.shaped(key, &[1, count])?, &device);
        *weight = Param::from_tensor(row.reshape([count]));
        Ok(())
    }

    /// PyTorch writes a shared parameter under both its names, but some tools under one.
    fn same(
        &mut self,
        key: &str,
        other: &str,
        parameter: &Param<Tensor<2>>,
    ) -> Result<(), ConvertError> {
        let full = format!("{}{key}", self.prefix);
        if !self.dict.keys().any(|key| key == full) {
            return Ok(());
        }
        let data = self.shaped(key, &parameter.dims())?;
        match data.as_bytes() == parameter.val().into_data().as_bytes() {
            true => Ok(()),
            false => {
                Err(ConvertError::Tied { key: full, other: format!("{}{other}", self.prefix) })
            }
        }
    }

    fn one_way(&mut self, key: &str, cells: Vec<&mut AnyCell>) -> Result<(), ConvertError> {
        let device = cell_device(cells[0]);
        with_known!(cells[0], C, choice => {
            let model = Stack::new(cells.iter().map(|cell| typed::<C>(cell)).collect());
            let found = self.layers(key, choice, &model, &device)?;
            for (cell, found) in cells.into_iter().zip(found) {
                *cell = found.any();
            }
            Ok(())
        })
    }

    fn both_ways(
        &mut self,
        key: &str,
        layers: Vec<&mut Bidirectional<AnyCell>>,
    ) -> Result<(), ConvertError> {
        let device = cell_device(&layers[0].forward);
        with_known!(&layers[0].forward, C, choice => {
            let model = Stack::new(layers.iter().map(|layer| typed_both::<C>(layer)).collect());
            let found = self.layers(key, choice, &model, &device)?;
            for (layer, found) in layers.into_iter().zip(found) {
                layer.forward = found.forward.any();
                layer.backward = found.backward.any();
            }
            Ok(())
        })
    }
}
