//! What a training and a model look like, as SVG, and pictures of greys, as PNG.

mod attention;
mod curve;
mod dots;
mod grid;
mod heat_map;
mod scatter;
mod spectrum;
mod wiring;

pub use attention::attention_map;
pub use curve::{Curve, Panel, curves, learning_curve};
pub use dots::{Axis, DotPanel, dots};
pub use grid::Grid;
pub use heat_map::HeatMap;
pub use scatter::scatter;
pub use spectrum::spectrum;
pub use wiring::wiring;

use thiserror::Error;

/// Why something cannot be drawn.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PictureError {
    /// There are not as many rows of weights as tokens that were written.
    #[error("there are {rows} rows of attention for {tokens} target tokens")]
    Rows {
        /// The rows.
        rows: usize,
        /// The tokens.
        tokens: usize,
    },
    /// There are not as many weights in a row as tokens that were read.
    #[error("row {row} has {weights} weights for {tokens} source tokens")]
    Columns {
        /// Which row, from 0.
        row: usize,
        /// Its weights.
        weights: usize,
        /// The tokens.
        tokens: usize,
    },
    /// The drawing library gave up.
    #[error("cannot draw: {0}")]
    Drawing(String),
}
