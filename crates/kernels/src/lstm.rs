//! Long short-term memory over a whole sequence.

use burn::{backend::Dispatch, prelude::*};

use crate::{
    Direction, Lengths,
    ops::{Course, SequenceOps},
    sequence::{Sequence, time_major},
};

/// Which gates an LSTM has, and so how many blocks of `H` columns are packed and in which order.
#[derive(Config, Copy, Debug, PartialEq)]
pub enum Gates {
    /// `[i g o]`, the LSTM of 1997: `c' = c + σ(i) ⊙ φ(g)`.
    Original,
    /// `[i f g o]`, the LSTM of 2000 and since: `c' = σ(f) ⊙ c + σ(i) ⊙ φ(g)`.
    Forget,
    /// `[i f g o]` where the gates also see the cell: `i` and `f` see `c`, `o` sees `c'`.
    Peephole,
    /// `[f g o]` with `i = 1 − f`.
    Coupled,
    /// `[i f g o]`, the LSTM of Google's Neural Machine Translation system: the output is not squashed,
    /// and the cell can be clipped, `c' = clip(σ(f) ⊙ c + σ(i) ⊙ φ(g), −δ, δ)` and `h' = σ(o) ⊙ c'`.
    /// Nothing before the clip has a gradient where `|c'| = δ`.
    ///
    /// Source: Wu et al. (2016), Google's Neural Machine Translation System, equations 5 and 6 and
    /// section 6.
    Gnmt {
        /// `δ`, in the units of the cell, above 0 and rounded to the dtype of the weights; none does
        /// not clip.
        clip: Option<f64>,
    },
}

impl Gates {
    /// The number of blocks.
    pub fn count(self) -> usize {
        match self {
            Self::Original | Self::Coupled => 3,
            Self::Forget | Self::Peephole | Self::Gnmt { .. } => 4,
        }
    }

    /// The bound of the cell, of gates that have one.
    pub(crate) fn clip(self) -> Option<f64> {
        match self {
            Self::Gnmt { clip } => clip,
            Self::Original | Self::Forget | Self::Peephole | Self::Coupled => None,
        }
    }

    /// Panics unless the bound of the cell is above 0.
    #[track_caller]
    pub(crate) fn assert_clip(self) {
        if let Some(clip) = self.clip() {
            assert!(clip > 0.0, "the bound of a clipped cell is above 0, got {clip}");
        }
    }
}

/// What an LSTM hands over when a sequence ends.
#[derive(Clone, Debug)]
pub struct LstmSequence {
    /// `h` after every step, `[B, T, H]`, zero at padded steps.
    pub outputs: Tensor<3>,
    /// `h` after the last real step, `[B, H]`.
    pub hidden: Tensor<2>,
    /// `c` after the last real step, `[B, H]`.
    pub cell: Tensor<2>,
}

/// Weights and initial state of [`lstm_sequence`].
#[derive(Clone, Debug)]
pub struct LstmOperands {
    /// `W_h`, `[H, G]`.
    pub w_h: Tensor<2>,
    /// `p_i`, `p_f`, `p_o`, `[3, H]`; given exactly with [`Gates::Peephole`].
    pub peephole: Option<Tensor<2>>,
    /// `h` before the first step, `[B, H]`.
    pub hidden: Tensor<2>,
    /// `c` before the first step, `[B, H]`.
    pub cell: Tensor<2>,
}

/// Runs an LSTM over every sequence of a batch in one operation with a hand-written backward pass.
///
/// ```text
/// [i f g o] = x_t + h · W_h                     blocks as in `gates`
/// c'        = σ(f) ⊙ c + σ(i) ⊙ φ(g)
/// h'        = σ(o) ⊙ φ(c')
///
/// c'        = clip(σ(f) ⊙ c + σ(i) ⊙ φ(g), −δ, δ)     with `Gates::Gnmt`
/// h'        = σ(o) ⊙ c'
/// ```
///
/// # Shapes
///
/// - `x`: `[B, T, G]`, the input side of every step, already projected, bias included;
///   `G = gates.count() · H`
/// - the rest as in [`LstmOperands`] and [`LstmSequence`]
///
/// Gradients are of first order only.
///
/// # Panics
///
/// If a shape is wrong, `lengths` is of another batch, there are peephole weights without
/// [`Gates::Peephole`] or the other way round, or the bound of [`Gates::Gnmt`] is not above 0.
pub fn lstm_sequence(
    x: Tensor<3>,
    operands: LstmOperands,
    gates: Gates,
    lengths: &Lengths,
    direction: Direction,
) -> LstmSequence {
    let LstmOperands { w_h, peephole, hidden: h0, cell: c0 } = operands;
    let hidden = w_h.dims()[0];
    gates.assert_clip();
    assert_shape!(x, [lengths.batch(), lengths.steps(), gates.count() * hidden]);
    assert_shape!(w_h, [hidden, gates.count() * hidden]);
    assert_shape!(h0, [lengths.batch(), hidden]);
    assert_shape!(c0, [lengths.batch(), hidden]);
    assert_eq!(
        peephole.is_some(),
        gates == Gates::Peephole,
        "peephole weights belong to `Gates::Peephole` and to nothing else, got {gates:?}"
    );
    // An operation has a fixed number of operands; without peepholes nobody reads this one.
    let peephole =
        peephole.unwrap_or_else(|| Tensor::zeros([3, hidden], (&w_h.device(), w_h.dtype())));
    assert_shape!(peephole, [3, hidden]);

    let course = Course { lengths: lengths.clone(), direction };
    let packed = Tensor::<3>::from_dispatch(<Dispatch as SequenceOps>::lstm_sequence(
        time_major(x),
        w_h.into_dispatch(),
        peephole.into_dispatch(),
        h0.into_dispatch(),
        c0.into_dispatch(),
        gates,
        course.clone(),
    ));
    let cell = packed.clone().narrow(0, lengths.steps() + 1, 1).squeeze_dim(0);
    let sequence = Sequence::new(packed, &course);
    LstmSequence { outputs: sequence.outputs(), hidden: sequence.last(), cell }
}
