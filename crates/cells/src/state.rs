//! What one step hands to the next.

use burn::prelude::*;

/// Which role a part of a state plays; wrappers such as [`Zoneout`](crate::Zoneout) treat them
/// differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is shown to the layer above and fed back, `h`.
    Hidden,
    /// What is remembered inside, `c`.
    Cell,
    /// An earlier hidden state that is kept for later, as in a [`SkipState`](crate::SkipState).
    Past,
}

/// The state of a recurrence for a batch. Every part of it is a tensor `[B, ·]`.
///
/// All that is done to states from outside (picking the rows of a beam, keeping the rows that are
/// padded, cutting the graph between two chunks of a long sequence) goes through the three methods
/// without a body, so a new kind of state gets all of it at once.
pub trait State: Clone + std::fmt::Debug + Send {
    /// Applies `f` to every part that a step writes, always in the same order.
    #[must_use]
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self;

    /// As [`map`](Self::map) over two states of the same kind.
    #[must_use]
    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self;

    /// Applies `f` to every part that lasts for the whole sequence and that no step writes: dropout
    /// masks. Most states have none.
    #[must_use]
    fn map_constants(self, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        let _ = f;
        self
    }

    /// Every part that a step writes, in the order of [`map`](Self::map).
    fn parts(&self) -> Vec<(Part, Tensor<2>)> {
        let mut parts = Vec::new();
        let _ = self.clone().map(&mut |part, value| {
            parts.push((part, value.clone()));
            value
        });
        parts
    }

    /// The rows `rows` of every part, in that order and with repetitions: what reordering a beam
    /// needs. `rows` is `[B']`.
    #[must_use]
    fn select(self, rows: Tensor<1, Int>) -> Self {
        self.map(&mut |_, part| part.select(0, rows.clone()))
            .map_constants(&mut |part| part.select(0, rows.clone()))
    }

    /// This state, but the rows of `kept` where `mask`, `[B]`, is true. It selects and never
    /// multiplies, so a NaN in a row that is not taken does no harm.
    #[must_use]
    fn keep_where(self, mask: &Tensor<1, Bool>, kept: Self) -> Self {
        self.zip(kept, &mut |_, new, old| {
            let mask = mask.clone().unsqueeze_dim::<2>(1).expand(new.dims());
            new.mask_where(mask, old)
        })
    }

    /// The same numbers with no past: gradients stop here (truncated back-propagation).
    #[must_use]
    fn detach(self) -> Self {
        self.map(&mut |_, part| part.detach())
    }
}

/// A recurrence whose state is its output.
impl State for Tensor<2> {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        f(Part::Hidden, self)
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        f(Part::Hidden, self, other)
    }
}

/// The states of a stack, bottom first.
impl<S: State> State for Vec<S> {
    fn map(self, f: &mut dyn FnMut(Part, Tensor<2>) -> Tensor<2>) -> Self {
        self.into_iter().map(|state| state.map(f)).collect()
    }

    fn zip(self, other: Self, f: &mut dyn FnMut(Part, Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        assert_eq!(self.len(), other.len(), "two states of one stack have the same layers");
        self.into_iter().zip(other).map(|(a, b)| a.zip(b, f)).collect()
    }

    fn map_constants(self, f: &mut dyn FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        self.into_iter().map(|state| state.map_constants(f)).collect()
    }
}
