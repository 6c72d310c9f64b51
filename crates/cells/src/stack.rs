//! Layers on top of each other.

use burn::{
    nn::{Dropout, DropoutConfig},
    prelude::*,
};
use recurrent_kernels::{Direction, Lengths};

use crate::{Cell, Layer, Stream};

/// Layers of one kind on top of each other, with dropout between them: each reads what the one
/// below puts out. Dropout acts while training and never on the topmost output.
#[derive(Module, Debug)]
pub struct Stack<L: Layer> {
    /// The layers, bottom first.
    pub layers: Vec<L>,
    /// Dropout between two layers.
    pub dropout: Dropout,
}

impl<L: Layer> Stack<L> {
    /// `layers`, bottom first, without dropout.
    ///
    /// # Panics
    ///
    /// If there is no layer.
    pub fn new(layers: Vec<L>) -> Self {
        assert!(!layers.is_empty(), "a stack has at least one layer, got none");
        Self { layers, dropout: DropoutConfig::new(0.0).init() }
    }

    /// The same with a share `rate` of the values between two layers dropped.
    ///
    /// # Panics
    ///
    /// If the rate is outside `[0, 1)`.
    #[must_use]
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: DropoutConfig::new(rate).init(), ..self }
    }

    /// The states to start from, one a layer.
    fn states_or_start(&self, states: Option<Vec<L::State>>, batch: usize) -> Vec<L::State> {
        let states = states.unwrap_or_else(|| self.start(batch));
        let (given, needed) = (states.len(), self.layers.len());
        assert_eq!(given, needed, "a stack of {needed} layers needs as many states, got {given}");
        states
    }
}

impl<L: Layer> Layer for Stack<L> {
    type State = Vec<L::State>;

    fn start(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|layer| layer.start(batch)).collect()
    }

    /// # Panics
    ///
    /// If there is not one state a layer.
    fn forward(
        &self,
        x: Tensor<3>,
        start: impl Into<Option<Self::State>>,
        lengths: &Lengths,
    ) -> (Tensor<3>, Self::State) {
        let states = self.states_or_start(start.into(), lengths.batch());
        let mut last = Vec::with_capacity(states.len());
        let mut y = x;
        for (n, (layer, state)) in self.layers.iter().zip(states).enumerate() {
            if n > 0 {
                y = self.dropout.forward(y);
            }
            let (above, end) = layer.forward(y, state, lengths);
            last.push(end);
            y = above;
        }
        (y, last)
    }
}

impl<L: Stream> Stream for Stack<L> {
    /// # Panics
    ///
    /// If there is not one state a layer.
    fn stream(&self, x: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State) {
        self.stream_from(state, |bottom, state| bottom.stream(x, state))
    }
}

impl<L: Stream> Stack<L> {
    /// One step of all layers, the lowest by `bottom`.
    fn stream_from(
        &self,
        states: Vec<L::State>,
        bottom: impl FnOnce(&L, L::State) -> (Tensor<2>, L::State),
    ) -> (Tensor<2>, Vec<L::State>) {
        let (given, needed) = (states.len(), self.layers.len());
        assert_eq!(given, needed, "a stack of {needed} layers needs as many states, got {given}");
        let mut pairs = self.layers.iter().zip(states);
        let (layer, state) = pairs.next().expect("a stack has layers");
        let (mut y, after) = bottom(layer, state);
        let mut next = Vec::with_capacity(needed);
        next.push(after);
        for (layer, state) in pairs {
            let (above, after) = layer.stream(self.dropout.forward(y), state);
            next.push(after);
            y = above;
        }
        (y, next)
    }
}

impl<C: Cell> Stack<C> {
    /// As [`stream`](Stream::stream), for an input that the lowest cell has
    /// [projected](Cell::project), `[B, G]`.
    ///
    /// # Panics
    ///
    /// If there is not one state a layer.
    pub fn stream_projected(
        &self,
        projected: Tensor<2>,
        states: Vec<C::State>,
    ) -> (Tensor<2>, Vec<C::State>) {
        let lengths = Lengths::full(projected.dims()[0], 1);
        self.stream_from(states, |cell, state| {
            let projected = projected.unsqueeze_dim(1);
            let next = cell.sequence(projected, state, &lengths, Direction::Forward).1;
            (cell.output(&next), next)
        })
    }
}
