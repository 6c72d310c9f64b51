//! Zoneout: in training, a unit sometimes keeps the state it had.
//!
//! ```text
//! training    s' = d ⊙ s + (1 − d) ⊙ s_new       d ~ Bernoulli(z), drawn at every step
//! otherwise   s' = z · s + (1 − z) · s_new       the expectation
//! ```
//!
//! with a rate `z` of its own for `h` and for `c`. `h_new` is computed from the `c_new` of the cell,
//! before any of it is kept back. At `z = 0` this is the cell, at `z = 1` the state is frozen.
//!
//! Source: Krueger et al. (2017), Zoneout: Regularizing RNNs by Randomly Preserving Hidden
//! Activations, section 3. Typical rates are 0.5 for `c` and 0.05 for `h`.

use burn::{
    module::{Flag, Param},
    prelude::*,
    tensor::Distribution,
};
use recurrent_kernels::Lengths;

use crate::{Cell, Gated, Part, Paths, State};

/// A [`Cell`] under zoneout. It acts while training: on an autodiff device, unless frozen.
#[derive(Module, Debug)]
pub struct Zoneout<C: Cell> {
    /// The cell.
    pub cell: C,
    /// The rate for `h`, in `[0, 1]`.
    #[module(skip)]
    pub hidden_rate: f64,
    /// The rate for `c`, in `[0, 1]`; of no effect on a state without one.
    #[module(skip)]
    pub cell_rate: f64,
    /// Whether to draw as in training.
    pub training: Param<Flag>,
}

impl<C: Cell> Zoneout<C> {
    /// `cell` with the given rates for `h` and `c`.
    ///
    /// # Panics
    ///
    /// If a rate is outside `[0, 1]`.
    pub fn new(cell: C, hidden_rate: f64, cell_rate: f64) -> Self {
        for rate in [hidden_rate, cell_rate] {
            assert!((0.0..=1.0).contains(&rate), "a zoneout rate is in [0, 1], got {rate}");
        }
        Self { cell, hidden_rate, cell_rate, training: Param::from_bool(true) }
    }

    fn mix(&self, rate: f64, old: Tensor<2>, new: Tensor<2>) -> Tensor<2> {
        if rate == 0.0 {
            new
        } else if rate == 1.0 {
            old
        } else if self.training.is_enabled() && new.device().is_autodiff() {
            let keep = new.random_like(Distribution::Bernoulli(rate)).greater_elem(0.5);
            new.mask_where(keep, old)
        } else {
            old * rate + new * (1.0 - rate)
        }
    }
}

impl<C: Cell> Cell for Zoneout<C> {
    type State = C::State;

    fn d_input(&self) -> usize {
        self.cell.d_input()
    }

    fn d_hidden(&self) -> usize {
        self.cell.d_hidden()
    }

    fn initial_state(&self, batch: usize) -> C::State {
        self.cell.initial_state(batch)
    }

    fn project(&self, x: Tensor<3>, start: &C::State, lengths: &Lengths) -> Tensor<3> {
        self.cell.project(x, start, lengths)
    }

    fn advance<P: Paths>(&self, projected: Tensor<2>, state: C::State, paths: &P) -> C::State {
        let new = self.cell.advance(projected, state.clone(), paths);
        state.zip(new, &mut |part, old, new| match part {
            Part::Hidden => self.mix(self.hidden_rate, old, new),
            Part::Cell => self.mix(self.cell_rate, old, new),
            Part::Past => new,
        })
    }

    fn output(&self, state: &C::State) -> Tensor<2> {
        self.cell.output(state)
    }
}

impl<C: Gated> Gated for Zoneout<C> {}
