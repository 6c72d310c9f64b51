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

use super::{
    Real,
    simd::Isa,
    threads::{self, LINE, Shared},
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
        let len = columns.div_ceil(lanes) * blocks * lanes * w.rows;
        let size = width * lanes * w.rows;
        let panels = len.div_ceil(size.max(1));
        let elements = Aligned::written(len, |to| {
            threads::each(panels, len * AN_ELEMENT, |n| {
                let range = n * size..len.min((n + 1) * size);
                // SAFETY: every panel is one task's own.
                #[expect(unsafe_code, reason = "threads write parts of the same memory")]
                let panel = unsafe { to.slice_mut(range.start, range.len()) };
                fill_panel(panel, n, from, w, columns, blocks, lanes);
            });
        });
        Self { elements, rows: w.rows, columns, lanes, width, blocks }
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

/// What laying out an element costs, in multiplications.
const AN_ELEMENT: usize = 128;

/// Writes panel `n`: what belongs into it, and beyond the last column zeros.
fn fill_panel<F: Real>(
    panel: &mut [F],
    n: usize,
    from: usize,
    w: Layout<'_, F>,
    columns: usize,
    blocks: usize,
    lanes: usize,
) {
    // Rows that are written together, so that what lies in one line of the cache is used while it is
    // there.
    const TOGETHER: usize = 16;
    let row = panel.len() / w.rows;
    let wide = if blocks == 1 { WIDEST } else { 1 };
    for (part, panel) in panel.chunks_mut(TOGETHER * row).enumerate() {
        let first = part * TOGETHER;
        let rows = panel.len() / row;
        for register in 0..row / lanes {
            let (block, part) = if blocks == 1 { (0, register) } else { (register, 0) };
            let unit = (n * wide + part) * lanes;
            let count = lanes.min(columns.saturating_sub(unit));
            let at = (from + block * columns + unit) * w.column_stride + first * w.row_stride;
            if count < lanes {
                let registers = panel.chunks_exact_mut(row);
                registers.for_each(|row| row[register * lanes..][count..lanes].fill(F::zero()));
            }
            if w.column_stride == 1 {
                for (k, row) in panel.chunks_exact_mut(row).enumerate() {
                    let from = &w.elements[at + k * w.row_stride..][..count];
                    row[register * lanes..][..count].copy_from_slice(from);
                }
                continue;
            }
            for n in 0..count {
                let column = &w.elements[at + n * w.column_stride..];
                let column = column[..(rows - 1) * w.row_stride + 1].chunks(w.row_stride);
                for (row, from) in panel.chunks_exact_mut(row).zip(column) {
                    row[register * lanes + n] = from[0];
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
struct Aligned<F> {
    elements: Shared<F>,
    len: usize,
    /// Owns them.
    _memory: Vec<F>,
}

impl<F: Real> Aligned<F> {
    /// So many elements, all of which `write` writes.
    fn written(len: usize, write: impl FnOnce(Shared<F>)) -> Self {
        let mut memory = Vec::with_capacity(len + LINE / size_of::<F>());
        let elements = Shared::unwritten(&mut memory).aligned();
        write(elements);
        Self { elements, len, _memory: memory }
    }

    #[expect(unsafe_code, reason = "the innermost loop checks no bounds")]
    fn get(&self) -> &[F] {
        // SAFETY: they are written and nothing writes them any more; the memory lives as long as this.
        unsafe { self.elements.slice(0, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What row `k` of register `register` of panel `n` should hold, from the definition.
    fn expected(
        w: &[f32],
        [rows, all]: [usize; 2],
        order: Order,
        lanes: usize,
        [n, k, register]: [usize; 3],
    ) -> Vec<f32> {
        let (first, columns, blocks) = match order {
            Order::Columns => (0, all, 1),
            Order::Blocks { count, of } => (0, all / of, count),
            Order::LastBlock { of } => (all / of * (of - 1), all / of, 1),
        };
        let (block, unit) = match blocks {
            1 => (0, (n * WIDEST + register) * lanes),
            _ => (register, n * lanes),
        };
        let element = |unit: usize| {
            let inside = unit < columns && k < rows;
            if inside { w[k * all + first + block * columns + unit] } else { 0.0 }
        };
        (unit..unit + lanes).map(element).collect()
    }

    /// Rows and columns that fill registers, panels and stretches of rows, and such that do not; turned
    /// or not, the same panels.
    #[rstest]
    fn every_element_is_in_its_place(
        #[values(0, 1, 15, 16, 37)] rows: usize,
        #[values(12, 48, 204)] columns: usize,
        #[values(
            Order::Columns,
            Order::Blocks { count: 4, of: 4 },
            Order::Blocks { count: 2, of: 3 },
            Order::LastBlock { of: 3 }
        )]
        order: Order,
        #[values(4, 16)] lanes: usize,
    ) {
        let w: Vec<f32> = (0..rows * columns).map(|n| n as f32 + 1.0).collect();
        let turned: Vec<f32> = (0..columns)
            .flat_map(|column| w.iter().skip(column).step_by(columns.max(1)).copied())
            .collect();
        let layouts = [
            Layout { elements: &w, rows, columns, row_stride: columns, column_stride: 1 },
            Layout { elements: &turned, rows, columns, row_stride: 1, column_stride: rows },
        ];
        for layout in layouts {
            let panels = Panels::new(layout, order, lanes);
            for n in 0..panels.count() {
                let width = panels.get(n).width;
                let blocks = panels.blocks;
                assert_eq!(width, panels.columns(n).len().div_ceil(lanes) * blocks);
                let from = n * panels.width * lanes * rows;
                for k in 0..rows {
                    for register in 0..width {
                        let at = from + (k * width + register) * lanes;
                        let found = &panels.elements.get()[at..at + lanes];
                        let place = [n, k, register];
                        assert_eq!(found, expected(&w, [rows, columns], order, lanes, place));
                    }
                }
            }
        }
    }
}
