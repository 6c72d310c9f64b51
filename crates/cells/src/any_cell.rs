//! Any cell, chosen by a config: what a program needs whose user says which cell it is.

use burn::prelude::*;
use recurrent_kernels::{Activation, Direction, Lengths, Reset};
use serde::{Deserialize, Serialize};

use crate::{
    CarouselCell, CarouselConfig, Cell, CoupledLstmCell, CoupledLstmConfig, GnmtLstmCell,
    GnmtLstmConfig, GruCell, GruConfig, LayerNormLstmCell, LayerNormLstmConfig, LeakRate,
    LeakyCell, LeakyConfig, LstmCell, LstmConfig, LstmState, OriginalLstmCell, OriginalLstmConfig,
    Part, Paths, PeepholeLstmCell, PeepholeLstmConfig, RnnCell, RnnConfig, SkipCell, SkipConfig,
    SkipState, State,
};

/// Which cell. Everything else about it is as its own config has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CellKind {
    /// [`RnnCell`] with tanh.
    Rnn,
    /// [`RnnCell`] with the rectifier.
    ReluRnn,
    /// [`LeakyCell`] with learned leak rates.
    Leaky {
        /// The longest time constant at the start, in steps, above 1.
        longest: f64,
    },
    /// [`SkipCell`].
    Skip {
        /// The delays, in steps: each at least 1, none twice.
        delays: Vec<usize>,
    },
    /// [`CarouselCell`].
    Carousel,
    /// [`OriginalLstmCell`].
    OriginalLstm,
    /// [`LstmCell`].
    Lstm,
    /// [`PeepholeLstmCell`].
    PeepholeLstm,
    /// [`CoupledLstmCell`].
    CoupledLstm,
    /// [`GnmtLstmCell`].
    GnmtLstm,
    /// [`LayerNormLstmCell`].
    LayerNormLstm,
    /// [`GruCell`].
    Gru,
    /// [`GruCell`] as in Cho et al. (2014): the reset gate acts before the product.
    OriginalGru,
}

/// Any cell, as a [`Cell`].
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a model has a few cells, and they stay where they are"
)]
pub enum AnyCell {
    /// A plain recurrent network.
    Rnn(RnnCell),
    /// Leaky units.
    Leaky(LeakyCell),
    /// Skip connections through time.
    Skip(SkipCell),
    /// The constant error carousel.
    Carousel(CarouselCell),
    /// The LSTM of 1997.
    OriginalLstm(OriginalLstmCell),
    /// The LSTM with a forget gate.
    Lstm(LstmCell),
    /// The LSTM with peepholes.
    PeepholeLstm(PeepholeLstmCell),
    /// The LSTM with coupled gates.
    CoupledLstm(CoupledLstmCell),
    /// GNMT's LSTM.
    GnmtLstm(GnmtLstmCell),
    /// The LSTM with layer normalisation.
    LayerNormLstm(LayerNormLstmCell),
    /// The gated recurrent unit.
    Gru(GruCell),
}

/// The state of any cell.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a state is a few handles")]
pub enum AnyState {
    /// Of a cell whose state is its output.
    Hidden(Tensor<2>),
    /// Of a cell with a memory.
    Lstm(LstmState),
    /// Of a cell that looks further back.
    Skip(SkipState),
}

impl CellKind {
    /// Draws the weights of a cell that reads `d_input` features and puts out `d_hidden`.
    ///
    /// # Panics
    ///
    /// If a delay or a time constant is out of its range.
    pub fn init(&self, d_input: usize, d_hidden: usize, device: &Device) -> AnyCell {
        let (i, h) = (d_input, d_hidden);
        match self {
            Self::Rnn => AnyCell::Rnn(RnnConfig::new(i, h).init(device)),
            Self::ReluRnn => {
                AnyCell::Rnn(RnnConfig::new(i, h).with_activation(Activation::Relu).init(device))
            }
            Self::Leaky { longest } => {
                let leak = LeakRate::Learned { longest: *longest };
                AnyCell::Leaky(LeakyConfig::new(i, h, leak).init(device))
            }
            Self::Skip { delays } => {
                AnyCell::Skip(SkipConfig::new(i, h, delays.clone()).init(device))
            }
            Self::Carousel => AnyCell::Carousel(CarouselConfig::new(i, h).init(device)),
            Self::OriginalLstm => AnyCell::OriginalLstm(OriginalLstmConfig::new(i, h).init(device)),
            Self::Lstm => AnyCell::Lstm(LstmConfig::new(i, h).init(device)),
            Self::PeepholeLstm => AnyCell::PeepholeLstm(PeepholeLstmConfig::new(i, h).init(device)),
            Self::CoupledLstm => AnyCell::CoupledLstm(CoupledLstmConfig::new(i, h).init(device)),
            Self::GnmtLstm => AnyCell::GnmtLstm(GnmtLstmConfig::new(i, h).init(device)),
            Self::LayerNormLstm => {
                AnyCell::LayerNormLstm(LayerNormLstmConfig::new(i, h).init(device))
            }
            Self::Gru => AnyCell::Gru(GruConfig::new(i, h).init(device)),
            Self::OriginalGru => {
                let config = GruConfig::new(i, h).with_reset(Reset::BeforeProduct);
                AnyCell::Gru(config.init(device))
            }
        }
    }
}

impl State for AnyState {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        match self {
            Self::Hidden(state) => Self::Hidden(State::map(state, f)),
            Self::Lstm(state) => Self::Lstm(state.map(f)),
            Self::Skip(state) => Self::Skip(state.map(f)),
        }
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        match (self, other) {
            (Self::Hidden(a), Self::Hidden(b)) => Self::Hidden(a.zip(b, f)),
            (Self::Lstm(a), Self::Lstm(b)) => Self::Lstm(a.zip(b, f)),
            (Self::Skip(a), Self::Skip(b)) => Self::Skip(a.zip(b, f)),
            (a, b) => panic!("two states of one cell are of one kind, got {a:?} and {b:?}"),
        }
    }
}

/// The kinds of state, as the cells have them.
trait Kind: State {
    fn into_any(self) -> AnyState;
    fn of(state: AnyState) -> Self;
}

macro_rules! kind {
    ($state:ty, $variant:ident) => {
        impl Kind for $state {
            fn into_any(self) -> AnyState {
                AnyState::$variant(self)
            }

            fn of(state: AnyState) -> Self {
                match state {
                    AnyState::$variant(state) => state,
                    other => panic!(concat!("a ", stringify!($variant), " state, got {:?}"), other),
                }
            }
        }
    };
}

kind!(Tensor<2>, Hidden);
kind!(LstmState, Lstm);
kind!(SkipState, Skip);

/// Runs `$body` with the cell behind any cell.
macro_rules! with_cell {
    ($any:expr, $cell:ident => $body:expr) => {
        match $any {
            AnyCell::Rnn($cell) => $body,
            AnyCell::Leaky($cell) => $body,
            AnyCell::Skip($cell) => $body,
            AnyCell::Carousel($cell) => $body,
            AnyCell::OriginalLstm($cell) => $body,
            AnyCell::Lstm($cell) => $body,
            AnyCell::PeepholeLstm($cell) => $body,
            AnyCell::CoupledLstm($cell) => $body,
            AnyCell::GnmtLstm($cell) => $body,
            AnyCell::LayerNormLstm($cell) => $body,
            AnyCell::Gru($cell) => $body,
        }
    };
}

impl Cell for AnyCell {
    type State = AnyState;

    fn d_input(&self) -> usize {
        with_cell!(self, cell => cell.d_input())
    }

    fn d_hidden(&self) -> usize {
        with_cell!(self, cell => cell.d_hidden())
    }

    fn initial_state(&self, batch: usize) -> AnyState {
        with_cell!(self, cell => cell.initial_state(batch).into_any())
    }

    fn project(&self, x: Tensor<3>, start: &AnyState, lengths: &Lengths) -> Tensor<3> {
        with_cell!(self, cell => cell.project(x, &Kind::of(start.clone()), lengths))
    }

    fn input_weight(&self) -> Option<Tensor<2>> {
        with_cell!(self, cell => cell.input_weight())
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: AnyState, paths: &P) -> AnyState {
        with_cell!(self, cell => cell.advance(projected, Kind::of(state), paths).into_any())
    }

    fn output(&self, state: &AnyState) -> Tensor<2> {
        with_cell!(self, cell => cell.output(&Kind::of(state.clone())))
    }

    fn sequence(
        &self,
        projected: Tensor<3>,
        start: AnyState,
        lengths: &Lengths,
        direction: Direction,
    ) -> (Tensor<3>, AnyState) {
        with_cell!(self, cell => {
            let (y, last) = cell.sequence(projected, Kind::of(start), lengths, direction);
            (y, last.into_any())
        })
    }
}
