//! Weights laid out for [`multiply`](super::tile::multiply): in panels a few registers wide, which
//! are read from one end to the other.
//!
//! Laying out costs about as much as two steps of a recurrence, so it is done once for as long as the
//! weights live: [`Panels::of`] remembers what it made for which weights, and forgets it when they are
//! gone. While training that is one update, while decoding it is the model's life. An update cannot
//! change weights that are remembered: Burn writes in place only into memory that nothing else refers
//! to, and what is remembered refers to it weakly.

use std::{
    any::Any,
    ops::Range,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::Bytes,
};
use rayon::prelude::*;

use super::{
    Real,
    simd::Isa,
    threads::LINE,
    tile::{Panel, WIDEST},
};

/// Which way round a matrix is multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As it is.
    None,
    /// Its transpose.
    Transposed,
}

/// How the columns of a matrix are dealt to panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// One after the other.
    Columns,
    /// Of the first `count` of `of` blocks of columns, the same register of each: what belongs to the
    /// same units comes out of one product.
    Blocks { count: usize, of: usize },
    /// The columns of the last of `of` blocks, one after the other.
    LastBlock { of: usize },
}

/// A matrix `[K, N]` in panels.
#[derive(Debug)]
pub(super) struct Panels<F> {
    elements: Aligned<F>,
    rows: usize,
    columns: usize,
    lanes: usize,
    /// Registers of a panel that is not the last, and blocks of columns it takes them from.
    width: usize,
    blocks: usize,
}

/// A matrix as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a, F> {
    pub(super) elements: &'a [F],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<F: Real> Panels<F> {
    /// The panels of the weights `w`, `[K, N]` when turned, from before if there are any.
    pub(super) fn of(w: &FloatTensor<Flex>, turn: Turn, order: Order, isa: Isa) -> Arc<Self> {
        let key = Key {
            shape: w.layout().shape().to_vec(),
            strides: w.layout().strides().to_vec(),
            start: w.layout().start_offset(),
            turn,
            order,
            lanes: isa.lanes::<F>(),
        };
        let memory = w.data_arc();
        let found = made().iter().find_map(|made| {
            let same = made.memory.as_ptr() == Arc::as_ptr(&memory) && made.key == key;
            same.then(|| made.panels.clone().downcast::<Self>().ok()).flatten()
        });
        if let Some(panels) = found {
            return panels;
        }
        let panels = Arc::new(Self::new(matrix(w, turn), order, key.lanes));
        let mut made = made();
        made.retain(|made| made.memory.strong_count() > 0);
        made.push(Made { memory: Arc::downgrade(&memory), key, panels: panels.clone() });
        panels
    }

    fn new(w: Layout<'_, F>, order: Order, lanes: usize) -> Self {
        let (from, columns, blocks) = match order {
            Order::Columns => (0, w.columns, 1),
            Order::Blocks { count, of } => (0, w.columns / of, count),
            Order::LastBlock { of } => (w.columns / of * (of - 1), w.columns / of, 1),
        };
        let width = if blocks == 1 { WIDEST } else { blocks };
        let registers = columns.div_ceil(lanes) * blocks;
        let mut panels = Self {
            elements: Aligned::zeros(registers * lanes * w.rows),
            rows: w.rows,
            columns,
            lanes,
            width,
            blocks,
        };
        let size = width * lanes * w.rows;
        if size > 0 {
            let fill = |(n, panel): (usize, &mut [F])| {
                fill_panel(panel, n, from, w, columns, blocks, lanes)
            };
            let elements = panels.elements.get_mut();
            if elements.len() < 1 << 16 {
                elements.chunks_mut(size).enumerate().for_each(fill);
            } else {
                elements.par_chunks_mut(size).enumerate().for_each(fill);
            }
        }
        panels
    }

    /// `K`.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of panels.
    pub(super) fn count(&self) -> usize {
        self.columns.div_ceil(self.units())
    }

    /// Columns of a block that a panel covers.
    fn units(&self) -> usize {
        self.width / self.blocks * self.lanes
    }

    /// The columns, of each of its blocks, that panel `n` covers.
    pub(super) fn columns(&self, n: usize) -> Range<usize> {
        self.columns_of(n..n + 1)
    }

    /// The columns, of each of its blocks, that some panels cover.
    pub(super) fn columns_of(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * self.units()..self.columns.min(panels.end * self.units())
    }

    /// Panel `n`.
    pub(super) fn get(&self, n: usize) -> Panel<'_, F> {
        let width = self.columns(n).len().div_ceil(self.lanes) * self.blocks;
        let from = n * self.width * self.lanes * self.rows;
        Panel::new(&self.elements.get()[from..from + width * self.lanes * self.rows], width)
    }
}

/// Copies what belongs into panel `n`; beyond the last column it stays zero.
fn fill_panel<F: Real>(
    panel: &mut [F],
    n: usize,
    from: usize,
    w: Layout<'_, F>,
    columns: usize,
    blocks: usize,
    lanes: usize,
) {
    // Rows that are read together, so that what lies in one line of the cache is used while it is there.
    const TOGETHER: usize = 16;
    let row = panel.len() / w.rows;
    let registers = row / lanes;
    let wide = if blocks == 1 { WIDEST } else { 1 };
    for first in (0..w.rows).step_by(TOGETHER) {
        let last = w.rows.min(first + TOGETHER);
        for register in 0..registers {
            let (block, part) = if blocks == 1 { (0, register) } else { (register, 0) };
            let unit = (n * wide + part) * lanes;
            let count = lanes.min(columns.saturating_sub(unit));
            let at = (from + block * columns + unit) * w.column_stride;
            for k in first..last {
                let to = &mut panel[k * row + register * lanes..][..count];
                let source = at + k * w.row_stride;
                if w.column_stride == 1 {
                    to.copy_from_slice(&w.elements[source..source + count]);
                } else {
                    let column = w.elements[source..].iter().step_by(w.column_stride);
                    to.iter_mut().zip(column).for_each(|(to, from)| *to = *from);
                }
            }
        }
    }
}

/// A rank-2 tensor as it lies in memory.
fn matrix<F: Real>(w: &FloatTensor<Flex>, turn: Turn) -> Layout<'_, F> {
    let (shape, strides) = (w.layout().shape(), w.layout().strides());
    let stride = |n: usize| usize::try_from(strides[n]).expect("weights are read forward");
    let elements = &w.storage::<F>()[w.layout().start_offset()..];
    let (row, column) = match turn {
        Turn::None => (0, 1),
        Turn::Transposed => (1, 0),
    };
    Layout {
        elements,
        rows: shape[row],
        columns: shape[column],
        row_stride: stride(row),
        column_stride: stride(column),
    }
}

/// What tells panels apart, beside the memory they were made of.
#[derive(Debug, PartialEq)]
struct Key {
    shape: Vec<usize>,
    strides: Vec<isize>,
    start: usize,
    turn: Turn,
    order: Order,
    lanes: usize,
}

/// Panels that were made, of which memory.
struct Made {
    memory: Weak<Bytes>,
    key: Key,
    panels: Arc<dyn Any + Send + Sync>,
}

/// All panels of weights that still live.
fn made() -> std::sync::MutexGuard<'static, Vec<Made>> {
    static MADE: LazyLock<Mutex<Vec<Made>>> = LazyLock::new(Mutex::default);
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that starts at a line of the cache, so that no register is read across two.
#[derive(Debug)]
pub(super) struct Aligned<F> {
    elements: Vec<F>,
    start: usize,
    len: usize,
}

impl<F: Real> Aligned<F> {
    pub(super) fn zeros(len: usize) -> Self {
        let elements = vec![F::zero(); len + LINE / size_of::<F>()];
        let start = elements.as_ptr().align_offset(LINE).min(elements.len() - len);
        Self { elements, start, len }
    }

    pub(super) fn get(&self) -> &[F] {
        &self.elements[self.start..self.start + self.len]
    }

    pub(super) fn get_mut(&mut self) -> &mut [F] {
        &mut self.elements[self.start..self.start + self.len]
    }
}
