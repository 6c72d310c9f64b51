//! The cells that PyTorch has, among all cells.

use recurrent_cells::{Activation, AnyCell, Bidirectional, GruCell, LstmCell, Reset, RnnCell};
use recurrent_pytorch::PytorchCell;

use super::ConvertError;

/// A cell of PyTorch among all cells.
pub(super) trait Known: PytorchCell {
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
        match $crate::pytorch::known::kind($any)? {
            $crate::pytorch::known::Kind::Rnn(activation) => {
                type $cell = recurrent_cells::RnnCell;
                let $choice = activation;
                $body
            }
            $crate::pytorch::known::Kind::Lstm => {
                type $cell = recurrent_cells::LstmCell;
                let $choice = ();
                $body
            }
            $crate::pytorch::known::Kind::Gru => {
                type $cell = recurrent_cells::GruCell;
                let $choice = ();
                $body
            }
        }
    };
}

pub(super) enum Kind {
    Rnn(Activation),
    Lstm,
    Gru,
}

pub(super) fn kind(cell: &AnyCell) -> Result<Kind, ConvertError> {
    let cell = match cell {
        AnyCell::Rnn(cell) => return Ok(Kind::Rnn(cell.activation)),
        AnyCell::Lstm(_) => return Ok(Kind::Lstm),
        AnyCell::Gru(cell) if cell.reset == Reset::BeforeProduct => {
            "the GRU whose reset gate acts before the product"
        }
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

pub(super) fn typed<C: Known>(cell: &AnyCell) -> C {
    C::of(cell).expect(ONE_KIND)
}

pub(super) fn typed_both<C: Known>(layer: &Bidirectional<AnyCell>) -> Bidirectional<C> {
    Bidirectional::new(typed(&layer.forward), typed(&layer.backward)).with_merge(layer.merge)
}

pub(super) use with_known;
