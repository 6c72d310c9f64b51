//! The cells that PyTorch has too.

use burn::prelude::*;
use recurrent_cells::{
    Activation, Cell, GruCell, LstmCell, ProjectedLstmCell, Reset, RnnCell, Update,
};

use crate::{ParameterReader, ParameterWriter, PytorchError};

/// A cell that a module of PyTorch computes with.
pub trait PytorchCell: Cell {
    /// What a state dict does not say about it.
    type Choice: Copy;

    /// The module, as messages name it.
    const MODULE: &'static str;

    /// Blocks of `H` rows in a weight, `G`.
    const GATES: usize;

    /// The parameters of one direction of a layer: `weight_ih`, which comes first, and which else
    /// of `weight_hh`, `bias_ih`, `bias_hh` and `weight_hr`.
    const PARAMETERS: &'static [&'static str];

    /// Makes a cell of parameters whose shapes have been checked.
    ///
    /// # Errors
    ///
    /// [`NotInPytorch`](PytorchError::NotInPytorch) if the module has no such choice.
    fn read(from: &ParameterReader<'_>, choice: Self::Choice) -> Result<Self, PytorchError>;

    /// Writes the parameters of a module that computes the same.
    ///
    /// # Errors
    ///
    /// [`NotInPytorch`](PytorchError::NotInPytorch) if there is none.
    fn write(&self, to: &mut ParameterWriter<'_>) -> Result<(), PytorchError>;
}

const WITHOUT_PROJECTION: &[&str] = &["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
const WITH_PROJECTION: &[&str] = &["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

/// The choice is `nonlinearity`, which a state dict does not hold: `tanh` or `relu`.
impl PytorchCell for RnnCell {
    type Choice = Activation;

    const MODULE: &'static str = "`nn.RNN`";
    const GATES: usize = 1;
    const PARAMETERS: &'static [&'static str] = WITHOUT_PROJECTION;

    fn read(from: &ParameterReader<'_>, activation: Activation) -> Result<Self, PytorchError> {
        check_activation(activation)?;
        Ok(Self {
            w_x: from.matrix("weight_ih")?,
            w_h: from.matrix("weight_hh")?,
            b: from.summed_bias()?,
            activation,
        })
    }

    fn write(&self, to: &mut ParameterWriter<'_>) -> Result<(), PytorchError> {
        check_activation(self.activation)?;
        to.matrix("weight_ih", &self.w_x.val())?;
        to.matrix("weight_hh", &self.w_h.val())?;
        to.summed_bias(&self.b.val())
    }
}

fn check_activation(activation: Activation) -> Result<(), PytorchError> {
    match activation {
        Activation::Tanh | Activation::Relu => Ok(()),
        Activation::Identity => Err(PytorchError::NotInPytorch {
            module: RnnCell::MODULE,
            what: "nonlinearity for `Activation::Identity`, only `tanh` and `relu`".to_owned(),
        }),
    }
}

impl PytorchCell for LstmCell {
    type Choice = ();

    const MODULE: &'static str = "`nn.LSTM` without projection";
    const GATES: usize = 4;
    const PARAMETERS: &'static [&'static str] = WITHOUT_PROJECTION;

    fn read(from: &ParameterReader<'_>, (): ()) -> Result<Self, PytorchError> {
        Ok(Self {
            w_x: from.matrix("weight_ih")?,
            w_h: from.matrix("weight_hh")?,
            b: from.summed_bias()?,
        })
    }

    fn write(&self, to: &mut ParameterWriter<'_>) -> Result<(), PytorchError> {
        to.matrix("weight_ih", &self.w_x.val())?;
        to.matrix("weight_hh", &self.w_h.val())?;
        to.summed_bias(&self.b.val())
    }
}

impl PytorchCell for ProjectedLstmCell {
    type Choice = ();

    const MODULE: &'static str = "`nn.LSTM` with projection";
    const GATES: usize = 4;
    const PARAMETERS: &'static [&'static str] = WITH_PROJECTION;

    fn read(from: &ParameterReader<'_>, (): ()) -> Result<Self, PytorchError> {
        Ok(Self {
            w_x: from.matrix("weight_ih")?,
            w_h: from.matrix("weight_hh")?,
            b: from.summed_bias()?,
            w_p: from.matrix("weight_hr")?,
        })
    }

    fn write(&self, to: &mut ParameterWriter<'_>) -> Result<(), PytorchError> {
        to.matrix("weight_ih", &self.w_x.val())?;
        to.matrix("weight_hh", &self.w_h.val())?;
        to.summed_bias(&self.b.val())?;
        to.matrix("weight_hr", &self.w_p.val())
    }
}

/// Comes in with [`Reset::AfterProduct`] and [`Update::Keeps`]. A cell whose update gate writes goes
/// out with that gate's parameters negated, because `σ(−a) = 1 − σ(a)`.
impl PytorchCell for GruCell {
    type Choice = ();

    const MODULE: &'static str = "`nn.GRU`";
    const GATES: usize = 3;
    const PARAMETERS: &'static [&'static str] = WITHOUT_PROJECTION;

    fn read(from: &ParameterReader<'_>, (): ()) -> Result<Self, PytorchError> {
        Ok(Self {
            w_x: from.matrix("weight_ih")?,
            w_h: from.matrix("weight_hh")?,
            b_x: from.bias("bias_ih")?,
            b_h: from.bias("bias_hh")?,
            reset: Reset::AfterProduct,
            update: Update::Keeps,
        })
    }

    fn write(&self, to: &mut ParameterWriter<'_>) -> Result<(), PytorchError> {
        match self.reset {
            Reset::AfterProduct => {}
            Reset::BeforeProduct => {
                return Err(PytorchError::NotInPytorch {
                    module: Self::MODULE,
                    what: "`Reset::BeforeProduct`, only `Reset::AfterProduct`".to_owned(),
                });
            }
        }
        to.matrix("weight_ih", &keeping(self.w_x.val(), self.update))?;
        to.matrix("weight_hh", &keeping(self.w_h.val(), self.update))?;
        to.bias("bias_ih", &keeping(self.b_x.val(), self.update))?;
        to.bias("bias_hh", &keeping(self.b_h.val(), self.update))
    }
}

/// Parameters `[.., 3H]`, `r z n`, for an update gate that keeps.
fn keeping<const D: usize>(packed: Tensor<D>, update: Update) -> Tensor<D> {
    match update {
        Update::Keeps => packed,
        Update::Writes => {
            let hidden = packed.dims()[D - 1] / 3;
            let block = |n| packed.clone().narrow(D - 1, n * hidden, hidden);
            Tensor::cat(vec![block(0), -block(1), block(2)], D - 1)
        }
    }
}
