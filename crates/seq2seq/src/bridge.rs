//! From the final states of an encoder to the initial states of a decoder.
//!
//! ```text
//! zero      s^l_0 = 0
//! pass      s^l_0 = h^l                                     same sizes, one direction
//! dense     s^l_0 = tanh([→h^l ; ←h^l] · W_l + b_l)         each part of a state its own W and b
//! backward  s^l_0 = tanh(←h^l · W_l + b_l)                  Bahdanau's choice
//! ```
//!
//! Decoder layer `l` starts from encoder layer `l`; those above the encoder's top from its top.

use burn::{module::Param, nn::Initializer, prelude::*};
use recurrent_cells::{Cell, State};
use recurrent_kernels::{linear, tanh};
use serde::{Deserialize, Serialize};

/// Which bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeKind {
    /// The decoder starts from its own state and sees the source through attention alone.
    Zero,
    /// The states as they are. Needs equal sizes and an encoder that reads one way.
    Pass,
    /// A layer over the states of all directions.
    Dense,
    /// A layer over the state that has read the whole source backward. Needs an encoder that reads
    /// both ways.
    Backward,
}

/// A bridge with its weights.
#[derive(Module, Debug)]
pub struct Bridge {
    /// One a decoder layer; none where nothing is learned.
    pub layers: Vec<BridgeLayer>,
    /// Which bridge.
    #[module(skip)]
    pub kind: BridgeKind,
}

/// The bridge into one decoder layer: weights for each part of its state, in their order.
#[derive(Module, Debug)]
pub struct BridgeLayer {
    /// `W`, each from the encoder's part to the decoder's.
    pub w: Vec<Param<Tensor<2>>>,
    /// `b`.
    pub b: Vec<Param<Tensor<1>>>,
}

impl Bridge {
    /// Draws a bridge of a kind between layers of one kind of cell. `encoder` has a cell of every
    /// layer, `directions` of them read.
    pub fn new<C: Cell>(
        kind: BridgeKind,
        encoder: &[&C],
        directions: usize,
        decoder: &[C],
        device: &Device,
    ) -> Self {
        let wide = match kind {
            BridgeKind::Zero | BridgeKind::Pass => return Self { layers: Vec::new(), kind },
            BridgeKind::Dense => directions,
            BridgeKind::Backward => 1,
        };
        let sizes = |cell: &C| -> Vec<usize> {
            cell.initial_state(1).parts().iter().map(|(_, part)| part.dims()[1]).collect()
        };
        let layer = |(l, cell): (usize, &C)| {
            let from = sizes(encoder[l.min(encoder.len() - 1)]);
            BridgeLayer::new(from.iter().map(|size| size * wide).zip(sizes(cell)), device)
        };
        Self { layers: decoder.iter().enumerate().map(layer).collect(), kind }
    }

    /// The states that the layers of a decoder start from, given the final states of an encoder,
    /// bottom first: one a layer, or forward and backward. `own` are the decoder's initial states.
    ///
    /// # Panics
    ///
    /// If the states are not those the bridge was made for.
    pub fn forward<S: State>(&self, last: &[Vec<S>], own: Vec<S>) -> Vec<S> {
        let start = |(l, own): (usize, S)| {
            let last = &last[l.min(last.len() - 1)];
            match self.kind {
                BridgeKind::Zero => own,
                BridgeKind::Pass => last[0].clone(),
                BridgeKind::Dense => self.layers[l].forward(last, own),
                BridgeKind::Backward => self.layers[l].forward(&last[last.len() - 1..], own),
            }
        };
        own.into_iter().enumerate().map(start).collect()
    }
}

impl BridgeLayer {
    fn new(sizes: impl Iterator<Item = (usize, usize)>, device: &Device) -> Self {
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        let (mut w, mut b) = (Vec::new(), Vec::new());
        for (from, to) in sizes {
            let drawn = xavier.init_with([from, to], Some(from), Some(to), device);
            w.push(Param::from_tensor(drawn.into_value().detach()));
            b.push(Param::from_tensor(Tensor::zeros([to], device)));
        }
        Self { w, b }
    }

    /// `last` side by side, part by part, through the layer, into a state shaped like `own`.
    fn forward<S: State>(&self, last: &[S], own: S) -> S {
        let directions: Vec<_> = last.iter().map(State::parts).collect();
        let mut n = 0;
        own.map(&mut |_, _| {
            let sides = directions.iter().map(|parts| parts[n].1.clone()).collect();
            let (w, b) = (self.w[n].val(), self.b[n].val());
            n += 1;
            tanh(linear(Tensor::cat(sides, 1), w, Some(b)))
        })
    }
}
