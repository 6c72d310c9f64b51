//! How time and memory of the LSTM's training grow with steps, sequences and width, and with how many
//! steps are kept at a time in [`Checkpointed`](recurrent_cells::Checkpointed).

use burn::prelude::*;
use serde_json::Value;

use crate::{
    case::{Case, LinePoint, Numbers, Work},
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
    /// Steps that are kept at a time.
    Kept,
}

/// One point of a line.
#[derive(Clone, Copy, Debug)]
pub struct GrowthCase {
    /// What grows along the line.
    pub axis: Axis,
    layer: LayerCase,
    /// Steps that are kept at a time; all if there is no number.
    kept: Option<usize>,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Steps, Self::Batch, Self::Width, Self::Kept];

    /// Its letter.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Steps => "T",
            Self::Batch => "B",
            Self::Width => "H",
            Self::Kept => "kept",
        }
    }

    /// The shapes of its line, `[B, T, H]`, and how many steps are kept.
    fn points(self) -> Vec<([usize; 3], Option<usize>)> {
        match self {
            Self::Steps => (0..7).map(|n| ([16, 25 << n, 128], None)).collect(),
            Self::Batch => (0..9).map(|n| ([1 << n, 50, 128], None)).collect(),
            Self::Width => (0..5).map(|n| ([16, 50, 64 << n], None)).collect(),
            Self::Kept => (0..4).map(|n| ([16, 1600, 128], Some(10 * 4_usize.pow(n)))).collect(),
        }
    }
}

/// Every point of every line.
pub fn all() -> impl Iterator<Item = GrowthCase> {
    let training =
        |shape| LayerCase { cell: CellName::Lstm, shape, mode: Mode::Training, fill: Fill::Full };
    Axis::ALL.into_iter().flat_map(move |axis| {
        let case = move |(shape, kept)| GrowthCase { axis, layer: training(shape), kept };
        axis.points().into_iter().map(case)
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
            Axis::Kept => self.kept.unwrap_or(t),
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

    fn line(&self) -> Option<LinePoint> {
        Some(LinePoint { line: self.axis.letter(), at: self.place() })
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
        match self.kept {
            None => self.layer.ours(device),
            Some(kept) => self.layer.checkpointed(kept, device),
        }
    }

    fn burn(&self, device: &Device) -> Option<Work> {
        self.kept.is_none().then(|| self.layer.burn(device)).flatten()
    }

    fn results(&self, device: &Device) -> Vec<f64> {
        self.layer.results(device)
    }
}
