//! What search knows of a model.

use burn::prelude::*;

use super::Scores;

/// Something that writes token after token: a decoder over its encoded sources, a language model,
/// an ensemble. Search sees this and never a model.
///
/// A row is one hypothesis in the making. There are `sources` rows at the start; later any number,
/// several of one source and none of another, as [`reorder`](Self::reorder) says.
pub trait Generator {
    /// What one step hands to the next, for all rows.
    type State;

    /// How many outputs are wanted, `B`: one for each source.
    fn sources(&self) -> usize;

    /// The ids there are, `V`.
    fn vocabulary(&self) -> usize;

    /// The real positions of each source, `[B]`, padding left out. None if the model does not look
    /// at its source; it is none exactly where [`Predicted::weights`] is.
    fn source_lengths(&self) -> Option<Vec<usize>> {
        None
    }

    /// The state in front of the first token, one row a source.
    fn start(&self) -> Self::State;

    /// One step: the last token of every row, `[R]` (`<s>` at the start), and a state to what comes
    /// next.
    fn step(&self, last: &[u32], state: Self::State) -> Predicted<Self::State>;

    /// The rows `rows` of the state, in that order and with repetitions: everything of a row moves,
    /// the source it looks at included.
    fn reorder(&self, state: Self::State, rows: &[usize]) -> Self::State;
}

/// What one step of a [`Generator`] says.
#[derive(Clone, Debug)]
pub struct Predicted<S> {
    /// How likely each token is to come next.
    pub scores: Scores,
    /// Where each row looked in its source, `[R, S]`: 0 on padding, sums to 1. None if the model
    /// does not look.
    pub weights: Option<Tensor<2>>,
    /// What the next step starts from.
    pub state: S,
}
