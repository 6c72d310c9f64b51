//! One product for the input side of all steps, one for each of its gradients. Rows are read where they
//! lie, whichever way the tensor is turned, and padded steps are left out.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};

use super::{
    Elements, Real, finished,
    panels::{Order, Panels, Turn},
    product::{self, Starts, Target, Write},
    simd::Isa,
    tensor,
    threads::Shared,
};
use crate::Lengths;

/// `[T, B, K]` whose rows are whole in memory.
struct Steps {
    tensor: FloatTensor<Flex>,
    /// Where the rows of the real steps start, in the order of the steps, then of the rows.
    starts: Vec<usize>,
}

impl Steps {
    fn of(tensor: &FloatTensor<Flex>, lengths: &Lengths) -> Self {
        let tensor = match tensor.layout().strides() {
            [step, row, 1] if *step >= 0 && *row >= 0 => tensor.clone(),
            _ => tensor.to_contiguous(),
        };
        let stride = |n: usize| tensor.layout().strides()[n].unsigned_abs();
        let first = tensor.layout().start_offset();
        let starts =
            real(lengths).map(|(t, row)| first + t * stride(0) + row * stride(1)).collect();
        Self { tensor, starts }
    }

    fn get<F: Real>(&self) -> Starts<'_, F> {
        Starts { elements: self.tensor.storage(), starts: &self.starts }
    }
}

/// The real steps, with their rows.
fn real(lengths: &Lengths) -> impl Iterator<Item = (usize, usize)> {
    let rows = move |t| lengths.as_slice().iter().enumerate().map(move |(row, n)| (t, row, *n));
    (0..lengths.steps()).flat_map(rows).filter(|(t, _, n)| t < n).map(|(t, row, _)| (t, row))
}

/// The rows of the real steps times `w`, into `[T, B, N]`; zero at the others.
fn times<F: Real>(
    isa: Isa,
    steps: &Steps,
    w: &Panels<F>,
    bias: Option<&[F]>,
    lengths: &Lengths,
    width: usize,
) -> FloatTensor<Flex> {
    let rows = lengths.steps() * lengths.batch();
    let mut results = Vec::with_capacity(rows * width);
    if !lengths.is_full() {
        results.resize(rows * width, F::zero());
        results.clear();
    }
    let starts: Vec<usize> =
        real(lengths).map(|(t, row)| (t * lengths.batch() + row) * width).collect();
    product::rows_times(isa, steps.get(), w, bias, Shared::unwritten(&mut results), &starts);
    // Every real step is written, the others have just been filled with zeros.
    let results = finished(results, rows * width);
    tensor(results, &[lengths.steps(), lengths.batch(), width])
}

pub(super) fn forward<F: Real>(
    x: &FloatTensor<Flex>,
    w_x: &FloatTensor<Flex>,
    b: &FloatTensor<Flex>,
    lengths: &Lengths,
) -> FloatTensor<Flex> {
    let isa = Isa::detected();
    let b = Elements::<F>::of(b);
    let panels = Panels::of(w_x, Turn::None, Order::Columns, isa);
    times(isa, &Steps::of(x, lengths), &panels, Some(b.get()), lengths, w_x.shape()[1])
}

pub(super) fn input_gradient<F: Real>(
    grad: &FloatTensor<Flex>,
    w_x: &FloatTensor<Flex>,
    lengths: &Lengths,
) -> FloatTensor<Flex> {
    let isa = Isa::detected();
    let panels = Panels::<F>::of(w_x, Turn::Transposed, Order::Columns, isa);
    times(isa, &Steps::of(grad, lengths), &panels, None, lengths, w_x.shape()[0])
}

pub(super) fn weight_gradients<F: Real>(
    grad: &FloatTensor<Flex>,
    x: &FloatTensor<Flex>,
    lengths: &Lengths,
) -> (FloatTensor<Flex>, FloatTensor<Flex>) {
    let (input, width) = (x.shape()[2], grad.shape()[2]);
    let (x, grad) = (Steps::of(x, lengths), Steps::of(grad, lengths));
    let mut dw = Vec::with_capacity(input * width);
    let mut db = vec![F::zero(); width];
    let (x, grad) = ((x.get(), input), (grad.get(), width));
    let to = Target {
        elements: Shared::unwritten(&mut dw),
        stride: width,
        sums: Some(&mut db),
        write: Write::Replace,
    };
    product::outer(Isa::detected(), x, grad, to);
    // The product writes all of it.
    let dw = finished(dw, input * width);
    (tensor(dw, &[input, width]), tensor(db, &[width]))
}
