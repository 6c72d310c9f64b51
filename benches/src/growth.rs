//! How time and memory of the LSTM's training grow with steps, sequences and width.

use burn::prelude::*;
use serde_json::Value;

use crate::{
    case::{Case, Numbers, Work},
    layer::{CellName, Fill, LayerCase, Mode},
};

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// `T`.
    Steps,
    /// `B`.
    Batch,
    /// `H`.
    Width,
}

/// One point of a line.
#[derive(Clone, Copy, Debug)]
pub struct GrowthCase {
    /// What grows along the line.
    pub axis: Axis,
    layer: LayerCase,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Steps, Self::Batch, Self::Width];

    /// Its letter.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Steps => "T",
            Self::Batch => "B",
            Self::Width => "H",
        }
    }

    /// The shapes of its line, `[B, T, H]`.
    fn shapes(self) -> Vec<[usize; 3]> {
        match self {
            Self::Steps => (0..7).map(|n| [16, 25 << n, 128]).collect(),
            Self::Batch => (0..9).map(|n| [1 << n, 50, 128]).collect(),
            Self::Width => (0..5).map(|n| [16, 50, 64 << n]).collect(),
        }
    }
}

/// Every point of every line.
pub fn all() -> impl Iterator<Item = GrowthCase> {
    let training =
        |shape| LayerCase { cell: CellName::Lstm, shape, mode: Mode::Training, fill: Fill::Full };
    Axis::ALL.into_iter().flat_map(move |axis| {
        axis.shapes().into_iter().map(move |shape| GrowthCase { axis, layer: training(shape) })
    })
}

impl GrowthCase {
    /// How far along the line.
    pub fn place(&self) -> usize {
        let [b, t, h] = self.layer.shape;
        match self.axis {
            Axis::Steps => t,
            Axis::Batch => b,
            Axis::Width => h,
        }
    }
}

impl Case for GrowthCase {
    fn name(&self) -> String {
        format!("growth/{}/{}", self.axis.letter(), self.place())
    }

    fn described(&self) -> Value {
        self.layer.described()
    }

    fn flops(&self) -> Option<f64> {
        self.layer.flops()
    }

    fn is_pictured(&self) -> bool {
        false
    }

    fn numbers(&self) -> Numbers {
        self.layer.numbers()
    }

    fn ours(&self, device: &Device) -> Work {
        self.layer.ours(device)
    }

    fn burn(&self, device: &Device) -> Option<Work> {
        self.layer.burn(device)
    }

    fn results(&self, device: &Device) -> Vec<f64> {
        self.layer.results(device)
    }
}
