//! A few rows of bytes times a few panels, summed in registers.

use std::{array, ops::Range};

use super::{
    Group, INPUTS, Int8Matrix, OUTPUTS, QuantizedRows,
    instructions::{Dot, Work},
};
use crate::flex::threads::Shared;

/// What is there before a product, and is added to it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a> {
    Nothing,
    /// `[N]`, the same for every row.
    Bias(&'a [f32]),
    /// What stands where the results go.
    Results,
}

/// All rows times some panels.
#[derive(Debug)]
pub(super) struct Tiles<'a> {
    pub(super) x: &'a QuantizedRows,
    pub(super) matrix: &'a Int8Matrix,
    pub(super) before: Before<'a>,
    /// `[B, N]`.
    pub(super) to: Shared<f32>,
    pub(super) panels: Range<usize>,
}

/// The most panels and rows of any tile.
const MOST: [usize; 2] = [4, 8];

/// The sums of one tile: panel by panel, row by row. What it has less of them is left as it was.
type Sums = [[[i32; OUTPUTS]; MOST[1]]; MOST[0]];

impl Work for Tiles<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, dot: D) {
        let rows = self.x.rows();
        // With few rows it takes more panels to keep the multipliers busy.
        let together = match D::MOST_ROWS {
            [_, _, most] if rows <= most => 4,
            [_, 0, _] => 1,
            _ => 2,
        };
        let mut sums: Sums = [[[0; OUTPUTS]; MOST[1]]; MOST[0]];
        let mut first = self.panels.start;
        while first < self.panels.end {
            let power = together.min(self.panels.end - first).ilog2();
            let panels = first..first + (1 << power);
            let pieces = rows.div_ceil(D::MOST_ROWS[power as usize]);
            for piece in 0..pieces {
                let rows = piece * rows / pieces..(piece + 1) * rows / pieces;
                self.tile(dot, rows.clone(), panels.clone(), &mut sums);
                for (sums, panel) in sums.iter().zip(panels.clone()) {
                    for (sums, row) in sums.iter().zip(rows.clone()) {
                        self.put(sums, row, panel);
                    }
                }
            }
            first = panels.end;
        }
    }
}

impl Tiles<'_> {
    /// Some rows by some panels, as many of both as there is a case for.
    #[inline(always)]
    fn tile<D: Dot>(&self, dot: D, rows: Range<usize>, panels: Range<usize>, sums: &mut Sums) {
        macro_rules! cases {
            ($($panels:literal: [$($rows:literal)*])*) => {
                match (panels.len(), rows.len()) {
                    $($(($panels, $rows) if $rows <= D::MOST_ROWS[$panels / 2] => {
                        self.fixed::<D, $panels, $rows>(dot, rows.start, panels.start, sums);
                    })*)*
                    (panels, rows) => unreachable!("no tile of {panels} panels by {rows} rows"),
                }
            };
        }
        cases! {
            1: [1 2 3 4 5 6 7 8]
            2: [1 2 3 4 5 6 7 8]
            4: [1 2]
        }
    }

    /// `R` rows by `P` panels.
    #[inline(always)]
    fn fixed<D: Dot, const P: usize, const R: usize>(
        &self,
        dot: D,
        row: usize,
        panel: usize,
        sums: &mut Sums,
    ) {
        let depth = self.matrix.depth();
        // Of the same length, so that it is looked at once.
        let x: [&[[u8; INPUTS]]; R] = array::from_fn(|r| &self.x.row(row + r)[..depth]);
        let w: [&[Group]; P] = array::from_fn(|p| &self.matrix.panel(panel + p)[..depth]);
        let start: [D::Sums; P] = array::from_fn(|p| dot.start(self.matrix.offsets[panel + p]));
        let mut acc = start.map(|start| [start; R]);
        for k in 0..depth {
            let x: [[u8; INPUTS]; R] = array::from_fn(|r| x[r][k]);
            for p in 0..P {
                let weights = dot.weights(&w[p][k]);
                for r in 0..R {
                    acc[p][r] = dot.add(acc[p][r], x[r], weights);
                }
            }
        }
        for p in 0..P {
            for r in 0..R {
                sums[p][r] = dot.finish(acc[p][r]);
            }
        }
    }

    /// Writes the results of one row by one panel.
    #[inline(always)]
    fn put(&self, sums: &[i32; OUTPUTS], row: usize, panel: usize) {
        const STEP: f32 = 1.0 / (127.0 * 127.0);
        let outputs = self.matrix.outputs;
        let columns = panel * OUTPUTS..outputs.min((panel + 1) * OUTPUTS);
        // SAFETY: these panels are one task's own, and no two of them overlap.
        #[expect(unsafe_code, reason = "threads write parts of the same memory")]
        let to = unsafe { self.to.slice_mut(row * outputs + columns.start, columns.len()) };
        let mut results = match self.before {
            Before::Nothing => [0.0; OUTPUTS],
            Before::Bias(bias) => load(&bias[columns]),
            Before::Results => load(to),
        };
        let (scales, largest) = (&self.matrix.scales[panel], self.x.largest(row));
        for ((result, sum), scale) in results.iter_mut().zip(sums).zip(scales) {
            // First what makes the sum smaller, so that nothing in between is above all numbers.
            *result += *sum as f32 * STEP * scale * largest;
        }
        match to.first_chunk_mut() {
            Some(whole) => *whole = results,
            None => to.copy_from_slice(&results[..to.len()]),
        }
    }
}

/// The numbers of a panel, zero where there are no more.
#[inline(always)]
fn load(numbers: &[f32]) -> [f32; OUTPUTS] {
    numbers.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0.0; OUTPUTS];
        padded[..numbers.len()].copy_from_slice(numbers);
        padded
    })
}
