//! An output layer and its cross-entropy on the CPU: some rows at a time, whose logits become their
//! own gradient where they are. How many rows that are depends on the sizes alone, and sums over
//! rows are taken in their order, so the number of threads does not change a bit.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{
    Elements,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    simd::Isa,
    tensor,
    threads::Shared,
    wide::{BLOCK, LANES, LONG, Wide, map, scale, sum, wide},
};
use crate::cross_entropy::{Targets, Vocabulary};

/// About how many logits are in memory at a time: few enough for the last cache.
const LOGITS: usize = 1 << 21;

/// The most rows at a time: with few classes, logits stay in a nearer cache.
const ROWS: usize = 1024;

/// Columns of the logits that one thread adds up.
const COLUMNS: usize = 1024;

/// Rows whose logits are in memory at a time.
fn rows_at_a_time(vocabulary: usize) -> usize {
    (LOGITS / vocabulary.max(1)).clamp(32, ROWS) / 32 * 32
}

/// What the operation is called with.
struct Call<'a, F> {
    isa: Isa,
    x: &'a [F],
    features: usize,
    size: usize,
    /// `W_o`, `[R, V]`.
    w_o: &'a Panels<F>,
    b_o: &'a [F],
    vocabulary: Vocabulary,
    smoothing: f64,
}

/// `dx`, `[N, R]`, `dw_o`, as `w_o` lies, and `db_o`, `[V]`.
struct Gradients<F> {
    x: Vec<F>,
    w_o: Vec<F>,
    b_o: Vec<F>,
}

pub(super) fn sums<F: Wide>(
    x: &FloatTensor<Flex>,
    w_o: &FloatTensor<Flex>,
    b_o: &FloatTensor<Flex>,
    vocabulary: Vocabulary,
    targets: &Targets,
) -> FloatTensor<Flex> {
    run::<F>(x, w_o, b_o, vocabulary, targets, None)
}

pub(super) fn gradients<F: Wide>(
    x: &FloatTensor<Flex>,
    w_o: &FloatTensor<Flex>,
    b_o: &FloatTensor<Flex>,
    vocabulary: Vocabulary,
    targets: &Targets,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let zeros = |like: &FloatTensor<Flex>| vec![F::zero(); like.shape().num_elements()];
    let mut grads = Gradients { x: zeros(x), w_o: zeros(w_o), b_o: zeros(b_o) };
    let sums = run(x, w_o, b_o, vocabulary, targets, Some(&mut grads));
    (
        sums,
        tensor(grads.x, &x.shape()),
        tensor(grads.w_o, &w_o.shape()),
        tensor(grads.b_o, &b_o.shape()),
    )
}

pub(super) fn backward<F: Wide>(
    grad: &FloatTensor<Flex>,
    gradients: [FloatTensor<Flex>; 3],
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let factor = Elements::<F>::of(grad).get()[0];
    let [dx, dw_o, db_o] = gradients.map(|gradient| match factor.is_one() {
        true => gradient,
        false => map(gradient, |block| scale(block, factor)),
    });
    (dx, dw_o, db_o)
}

fn run<F: Wide>(
    x: &FloatTensor<Flex>,
    w_o: &FloatTensor<Flex>,
    b_o: &FloatTensor<Flex>,
    vocabulary: Vocabulary,
    targets: &Targets,
    mut gradients: Option<&mut Gradients<F>>,
) -> FloatTensor<Flex> {
    let (features, size) = (x.shape()[1], b_o.shape()[0]);
    let isa = Isa::detected();
    let (turn, turn_back) = match vocabulary {
        Vocabulary::First => (Turn::Transposed, Turn::None),
        Vocabulary::Last => (Turn::None, Turn::Transposed),
    };
    let panels = Panels::of(w_o, turn, Order::Columns, isa);
    let back = gradients.is_some().then(|| Panels::of(w_o, turn_back, Order::Columns, isa));
    let [x, b_o] = [x, b_o].map(Elements::<F>::of);
    let call = Call {
        isa,
        x: x.get(),
        features,
        size,
        w_o: &panels,
        b_o: b_o.get(),
        vocabulary,
        smoothing: targets.label_smoothing(),
    };
    let (rows, ids) = targets.real();
    let at_a_time = rows_at_a_time(size);
    let mut logits = vec![F::zero(); at_a_time.min(rows.len()) * size];
    let logits_at: Vec<usize> = (0..at_a_time.min(rows.len())).map(|row| row * size).collect();
    let mut total = [0.0; 2];
    for (n, (rows, ids)) in rows.chunks(at_a_time).zip(ids.chunks(at_a_time)).enumerate() {
        let logits = &mut logits[..rows.len() * size];
        let logits_at = &logits_at[..rows.len()];
        let x_at: Vec<usize> = rows.iter().map(|row| row * features).collect();
        let x = Starts { elements: call.x, starts: &x_at };
        product::rows_times(isa, x, call.w_o, Some(call.b_o), Shared::new(logits), logits_at);
        for of_row in call.losses(logits, ids) {
            total = [total[0] + of_row[0], total[1] + of_row[1]];
        }
        if let (Some(gradients), Some(back)) = (&mut gradients, &back) {
            let dl = Starts { elements: &*logits, starts: logits_at };
            let write = if n > 0 { Write::Add } else { Write::Replace };
            call.add_gradients(gradients, x, dl, back, write);
        }
    }
    tensor(total.map(F::of_double).to_vec(), &[2])
}

impl<F: Wide> Call<'_, F> {
    /// The two losses of every row. Its logits become their gradient.
    fn losses(&self, logits: &mut [F], ids: &[usize]) -> Vec<[f64; 2]> {
        let smoothing = self.smoothing;
        if logits.len() < LONG / 2 {
            let rows = logits.chunks_exact_mut(self.size).zip(ids);
            return rows.map(|(row, id)| loss(row, *id, smoothing)).collect();
        }
        let rows = logits.par_chunks_exact_mut(self.size).zip(ids);
        let few = (LONG / 8).div_ceil(self.size);
        rows.with_min_len(few).map(|(row, id)| loss(row, *id, smoothing)).collect()
    }

    /// Adds the gradients of some rows of `x`, from those of their logits.
    fn add_gradients(
        &self,
        gradients: &mut Gradients<F>,
        x: Starts<'_, F>,
        dl: Starts<'_, F>,
        back: &Panels<F>,
        write: Write,
    ) {
        let (width, size) = (self.features, self.size);
        // A row of `dx` starts where the row of `x` does.
        product::rows_times(self.isa, dl, back, None, Shared::new(&mut gradients.x), x.starts);
        let (dw, db) = (&mut gradients.w_o, &mut gradients.b_o);
        match self.vocabulary {
            Vocabulary::First => {
                let to = Target { elements: Shared::new(dw), stride: width, sums: None, write };
                product::outer(self.isa, (dl, size), (x, width), to);
                let add_columns = |(n, sums): (usize, &mut [F])| {
                    let rows = dl.elements.chunks_exact(size).take(dl.starts.len());
                    rows.for_each(|row| add(sums, &row[n * COLUMNS..][..sums.len()]));
                };
                match dl.elements.len() < LONG {
                    true => db.chunks_mut(COLUMNS).enumerate().for_each(add_columns),
                    false => db.par_chunks_mut(COLUMNS).enumerate().for_each(add_columns),
                }
            }
            Vocabulary::Last => {
                let to = Target { elements: Shared::new(dw), stride: size, sums: Some(db), write };
                product::outer(self.isa, (x, width), (dl, size), to);
            }
        }
    }
}

/// The smoothed loss of a row of logits and the plain one; the logits become the gradient of the
/// smoothed one.
fn loss<F: Wide>(row: &mut [F], id: usize, smoothing: f64) -> [f64; 2] {
    let size = row.len() as f64;
    let largest = largest(row);
    let chosen = (row[id] - largest).double();
    let mean = if smoothing > 0.0 { sum(row) / size - largest.double() } else { 0.0 };
    let total = exponentials(row, largest);
    gradient(row, F::of_double(total.recip()), F::of_double(smoothing / size));
    row[id] = row[id] - F::of_double(1.0 - smoothing);
    let log = total.ln();
    [(1.0 - smoothing) * (log - chosen) + smoothing * (log - mean), log - chosen]
}

wide! {
    /// The largest of `row`; NaN is passed over.
    fn largest(row: &[F]) -> F {
        let larger = |a: F, b: F| if b > a { b } else { a };
        let mut largest = [F::neg_infinity(); LANES];
        let (lanes, rest) = row.as_chunks::<LANES>();
        for lane in lanes {
            for (largest, a) in largest.iter_mut().zip(lane) {
                *largest = larger(*largest, *a);
            }
        }
        largest.into_iter().chain(rest.iter().copied()).fold(F::neg_infinity(), larger)
    }

    /// `a ← e^(a − shift)`, and the sum of that.
    fn exponentials(row: &mut [F], shift: F) -> f64 {
        let mut total = 0.0;
        for block in row.chunks_mut(BLOCK) {
            let mut sums = [F::zero(); LANES];
            let (lanes, rest) = block.as_chunks_mut::<LANES>();
            for lane in lanes {
                for (sum, a) in sums.iter_mut().zip(lane) {
                    *a = (*a - shift).exponential();
                    *sum = *sum + *a;
                }
            }
            for (sum, a) in sums.iter_mut().zip(rest) {
                *a = (*a - shift).exponential();
                *sum = *sum + *a;
            }
            total += sums.iter().map(|sum| sum.double()).sum::<f64>();
        }
        total
    }

    /// `a ← a · factor − less`.
    fn gradient(row: &mut [F], factor: F, less: F) {
        for a in row {
            *a = *a * factor - less;
        }
    }

    /// `sums ← sums + row`.
    fn add(sums: &mut [F], row: &[F]) {
        for (sum, a) in sums.iter_mut().zip(row) {
            *sum = *sum + *a;
        }
    }
}
