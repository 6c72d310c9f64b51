//! From a state dict to a stack of layers and back.

use burn::prelude::*;
use recurrent_cells::{Bidirectional, Layer, Merge, Stack};

use crate::{
    ParameterReader, ParameterWriter, PytorchCell, PytorchError, StateDict,
    layout::{self, Layout},
};

/// What can be a layer of a module of PyTorch: a [`PytorchCell`], or two of them as a
/// [`Bidirectional`].
pub trait PytorchLayer: Layer {
    /// The cell of every direction.
    type Cell: PytorchCell;

    /// What stands at the end of the keys of each direction: nothing, `_reverse`.
    const DIRECTIONS: &'static [&'static str];

    /// Makes a layer of its cells, which `cell` gives for each of the [`DIRECTIONS`](Self::DIRECTIONS).
    ///
    /// # Errors
    ///
    /// Those of `cell`.
    fn from_cells(
        cell: impl Fn(&'static str) -> Result<Self::Cell, PytorchError>,
    ) -> Result<Self, PytorchError>;

    /// The cells, in the order of the [`DIRECTIONS`](Self::DIRECTIONS).
    ///
    /// # Errors
    ///
    /// [`NotInPytorch`](PytorchError::NotInPytorch) if the layer does with its cells what no module
    /// does.
    fn cells(&self) -> Result<Vec<&Self::Cell>, PytorchError>;
}

impl<C: PytorchCell> PytorchLayer for C {
    type Cell = C;

    const DIRECTIONS: &'static [&'static str] = &[""];

    fn from_cells(
        cell: impl Fn(&'static str) -> Result<C, PytorchError>,
    ) -> Result<Self, PytorchError> {
        cell("")
    }

    fn cells(&self) -> Result<Vec<&C>, PytorchError> {
        Ok(vec![self])
    }
}

impl<C: PytorchCell> PytorchLayer for Bidirectional<C> {
    type Cell = C;

    const DIRECTIONS: &'static [&'static str] = &["", "_reverse"];

    fn from_cells(
        cell: impl Fn(&'static str) -> Result<C, PytorchError>,
    ) -> Result<Self, PytorchError> {
        Ok(Self::new(cell("")?, cell("_reverse")?))
    }

    fn cells(&self) -> Result<Vec<&C>, PytorchError> {
        match self.merge {
            Merge::Concat => Ok(vec![&self.forward, &self.backward]),
            Merge::Sum | Merge::Mean | Merge::Product => Err(PytorchError::NotInPytorch {
                module: C::MODULE,
                what: format!("`Merge::{:?}`, only `Merge::Concat`", self.merge),
            }),
        }
    }
}

/// The recurrent module under `prefix` (`encoder.rnn`; empty if the file is the module's own), on
/// `device` and in the dtype of the file. `choice` is what a state dict does not say: `()`, or an
/// RNN's [`Activation`](recurrent_cells::Activation).
///
/// Dropout is not in a state dict: set it by [`Stack::with_dropout`].
///
/// # Errors
///
/// - [`MissingKey`](PytorchError::MissingKey) and [`UnknownKey`](PytorchError::UnknownKey) if the
///   keys right under the prefix are not those of a stack of `L`
/// - [`WrongShape`](PytorchError::WrongShape) if the shapes do not fit the cell or each other
/// - [`UnsupportedDtype`](PytorchError::UnsupportedDtype) and
///   [`MixedDtypes`](PytorchError::MixedDtypes) if the numbers are not floats of one kind
/// - [`NotInPytorch`](PytorchError::NotInPytorch) if the module has no such choice
pub fn load<L: PytorchLayer>(
    dict: &StateDict,
    prefix: &str,
    choice: <L::Cell as PytorchCell>::Choice,
    device: &Device,
) -> Result<Stack<L>, PytorchError> {
    let prefix = &layout::with_dot(prefix);
    let Layout { layers, dtype, hidden } = Layout::find::<L>(dict, prefix)?;
    let d_bias = L::Cell::GATES * hidden;
    let layers = (0..layers).map(|n| {
        L::from_cells(|direction| {
            let suffix = format!("_l{n}{direction}");
            let from = ParameterReader { dict, prefix, suffix, dtype, d_bias, device };
            L::Cell::read(&from, choice)
        })
    });
    Ok(Stack::new(layers.collect::<Result<_, _>>()?))
}

/// A state dict with nothing but `stack`, under `prefix`. It always has biases.
///
/// # Errors
///
/// - [`NotInPytorch`](PytorchError::NotInPytorch) if no module computes what the stack does
/// - [`WrongShape`](PytorchError::WrongShape) if the layers have not all the same sizes, as those of
///   a module have
/// - [`UnsupportedDtype`](PytorchError::UnsupportedDtype) and
///   [`MixedDtypes`](PytorchError::MixedDtypes) if the numbers are not floats of one kind
pub fn save<L: PytorchLayer>(stack: &Stack<L>, prefix: &str) -> Result<StateDict, PytorchError> {
    let prefix = &layout::with_dot(prefix);
    let mut dict = StateDict::new();
    for (n, layer) in stack.layers.iter().enumerate() {
        for (direction, cell) in L::DIRECTIONS.iter().zip(layer.cells()?) {
            let suffix = format!("_l{n}{direction}");
            cell.write(&mut ParameterWriter { dict: &mut dict, prefix, suffix })?;
        }
    }
    // Our stacks are freer than PyTorch's, whose layers are all alike.
    Layout::find::<L>(&dict, prefix)?;
    Ok(dict)
}

/// Puts `stack` into a state dict that has other things in it, in the place of a recurrent module
/// that was under `prefix`.
///
/// # Errors
///
/// As [`save`]; the state dict is then as it was.
pub fn add_to<L: PytorchLayer>(
    stack: &Stack<L>,
    dict: &mut StateDict,
    prefix: &str,
) -> Result<(), PytorchError> {
    let module = save(stack, prefix)?;
    layout::clear(dict, &layout::with_dot(prefix));
    dict.extend(module);
    Ok(())
}
