//! A way around a layer: `y_t = layer(x)_t + x_t`.
//!
//! Source: He et al. (2016), Deep Residual Learning; between recurrent layers, Wu et al. (2016),
//! Google's Neural Machine Translation System, equation 4.

use burn::prelude::*;
use recurrent_kernels::Lengths;

use crate::{Layer, Stream};

/// A [`Layer`] as wide as its input, with its input added to its output.
#[derive(Module, Debug)]
pub struct Residual<L: Layer> {
    /// The layer.
    pub layer: L,
}

impl<L: Layer> Residual<L> {
    /// `layer` with a way around it.
    pub fn new(layer: L) -> Self {
        Self { layer }
    }
}

impl<L: Layer> Layer for Residual<L> {
    type State = L::State;

    fn start(&self, batch: usize) -> L::State {
        self.layer.start(batch)
    }

    /// # Panics
    ///
    /// If the layer's output is not as wide as its input.
    fn forward(
        &self,
        x: Tensor<3>,
        start: impl Into<Option<L::State>>,
        lengths: &Lengths,
    ) -> (Tensor<3>, L::State) {
        let (y, last) = self.layer.forward(x.clone(), start, lengths);
        assert_eq!(y.dims(), x.dims(), "a residual layer is as wide as its input");
        let mut sum = y + x;
        if !lengths.is_full() {
            let mask = lengths.pad_mask(&sum.device()).unsqueeze_dim::<3>(2).expand(sum.dims());
            sum = sum.mask_fill(mask, 0.0);
        }
        (sum, last)
    }
}

impl<L: Stream> Stream for Residual<L> {
    /// # Panics
    ///
    /// If the layer's output is not as wide as its input.
    fn stream(&self, x: Tensor<2>, state: L::State) -> (Tensor<2>, L::State) {
        let (y, next) = self.layer.stream(x.clone(), state);
        assert_eq!(y.dims(), x.dims(), "a residual layer is as wide as its input");
        (y + x, next)
    }
}
