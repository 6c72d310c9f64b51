//! An output layer and its cross-entropy on the CPU: some rows at a time, whose logits become their
//! own gradient where they are. How many rows that are depends on the sizes alone, and sums over
//! rows are taken in their order, so the number of threads does not change a bit.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use rayon::prelude::*;

use super::{
    Elements,
    product::{Matrix, Target, add_product},
    tensor,
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
    x: &'a [F],
    features: usize,
    size: usize,
    /// `W_o` as `[R, V]`, however it lies.
    w_o: Matrix<'a, F>,
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
    let [x, w_o, b_o] = [x, w_o, b_o].map(Elements::<F>::of);
    let call = Call {
        x: x.get(),
        features,
        size,
        w_o: match vocabulary {
            Vocabulary::First => Matrix::new(w_o.get(), size, features).transpose(),
            Vocabulary::Last => Matrix::new(w_o.get(), features, size),
        },
        b_o: b_o.get(),
        vocabulary,
        smoothing: targets.label_smoothing(),
    };
    let (rows, ids) = targets.real();
    let at_a_time = rows_at_a_time(size);
    let mut logits = vec![F::zero(); at_a_time.min(rows.len()) * size];
    let mut gathered = Vec::new();
    let mut total = [0.0; 2];
    for (rows, ids) in rows.chunks(at_a_time).zip(ids.chunks(at_a_time)) {
        let logits = &mut logits[..rows.len() * size];
        let x = call.rows(rows, &mut gathered);
        for logits in logits.chunks_exact_mut(size) {
            logits.copy_from_slice(call.b_o);
        }
        add_product(Target::new(logits, size), x, call.w_o);
        for of_row in call.losses(logits, ids) {
            total = [total[0] + of_row[0], total[1] + of_row[1]];
        }
        if let Some(gradients) = &mut gradients {
            call.add_gradients(gradients, rows, x, logits);
        }
    }
    tensor(total.map(F::of_double).to_vec(), &[2])
}

impl<F: Wide> Call<'_, F> {
    /// Some rows of `x`, copied only if padding is between them.
    fn rows<'b>(&'b self, rows: &[usize], gathered: &'b mut Vec<F>) -> Matrix<'b, F> {
        let (width, n) = (self.features, rows.len());
        let (first, last) = (rows[0], rows[n - 1]);
        if last - first + 1 == n {
            return Matrix::new(&self.x[first * width..][..n * width], n, width);
        }
        gathered.clear();
        for row in rows {
            gathered.extend_from_slice(&self.x[row * width..][..width]);
        }
        Matrix::new(gathered, n, width)
    }

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

    fn add_gradients(
        &self,
        gradients: &mut Gradients<F>,
        rows: &[usize],
        x: Matrix<'_, F>,
        dl: &[F],
    ) {
        let (n, width, size) = (rows.len(), self.features, self.size);
        let dl_matrix = Matrix::new(dl, n, size);
        // Rows without padding between them are a part of the whole, others are put in their places.
        let (first, last) = (rows[0], rows[n - 1]);
        if last - first + 1 == n {
            let dx = &mut gradients.x[first * width..][..n * width];
            add_product(Target::new(dx, width), dl_matrix, self.w_o.transpose());
        } else {
            let mut dx = vec![F::zero(); n * width];
            add_product(Target::new(&mut dx, width), dl_matrix, self.w_o.transpose());
            for (row, dx) in rows.iter().zip(dx.chunks_exact(width)) {
                gradients.x[row * width..][..width].copy_from_slice(dx);
            }
        }
        match self.vocabulary {
            Vocabulary::First => {
                let target = Target::new(&mut gradients.w_o, width);
                add_product(target, dl_matrix.transpose(), x);
            }
            Vocabulary::Last => {
                let target = Target::new(&mut gradients.w_o, size);
                add_product(target, x.transpose(), dl_matrix);
            }
        }
        let add_columns = |(n, sums): (usize, &mut [F])| {
            let from = n * COLUMNS;
            dl.chunks_exact(size).for_each(|row| add(sums, &row[from..][..sums.len()]));
        };
        match dl.len() < LONG {
            true => gradients.b_o.chunks_mut(COLUMNS).enumerate().for_each(add_columns),
            false => gradients.b_o.par_chunks_mut(COLUMNS).enumerate().for_each(add_columns),
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
