//! The output layer with its cross-entropy against the same in tensor operations, with Burn's own
//! autodiff, in double precision.

use burn::prelude::*;
use burn::{
    backend::{Flex, ops::FloatTensorOps},
    tensor::{DType, TensorData, activation::log_softmax},
};
use recurrent_testkit::{check_input_gradient, random};
use rstest::rstest;

use crate::{Lengths, OutputWeights, Targets, composed, cross_entropy, cross_entropy::Vocabulary};

/// A batch of sequences, and a layer over it.
#[derive(Clone, Debug)]
struct Problem {
    lengths: Lengths,
    features: usize,
    vocabulary: usize,
    axis: Vocabulary,
    smoothing: f64,
}

/// What stands in the padding of the readouts.
#[derive(Clone, Copy)]
enum Padding {
    Numbers,
    Nan,
}

type Run = fn(&Problem, Tensor<3>, Tensor<2>, Tensor<1>) -> [Tensor<1>; 2];

/// The loss, the plain one, and the gradients of three times the loss with respect to readouts,
/// weights and biases.
type Record = [Vec<f64>; 5];

impl Problem {
    fn new(lengths: &[usize], features: usize, vocabulary: usize) -> Self {
        let lengths = Lengths::new(lengths, *lengths.iter().max().unwrap().max(&1));
        Self { lengths, features, vocabulary, axis: Vocabulary::Last, smoothing: 0.0 }
    }

    fn tied(self) -> Self {
        Self { axis: Vocabulary::First, ..self }
    }

    fn smoothed(self, smoothing: f64) -> Self {
        Self { smoothing, ..self }
    }

    fn operands(
        &self,
        padding: Padding,
        dtype: DType,
        device: &Device,
    ) -> (Tensor<3>, Tensor<2>, Tensor<1>) {
        let (b, t) = (self.lengths.batch(), self.lengths.steps());
        let (r, v) = (self.features, self.vocabulary);
        let mut x = random([b, t, r], 1, dtype, device);
        if let Padding::Nan = padding {
            let mask = self.lengths.pad_mask(device).unsqueeze_dim::<3>(2).expand([b, t, r]);
            x = x.mask_fill(mask, f64::NAN);
        }
        let shape = match self.axis {
            Vocabulary::First => [v, r],
            Vocabulary::Last => [r, v],
        };
        (x, random(shape, 2, dtype, device), random([v], 3, dtype, device))
    }

    /// Targets of all steps; those of padded steps are out of range.
    fn ids(&self) -> Vec<i32> {
        let steps = self.lengths.steps();
        let of = |(b, length): (usize, &usize)| {
            let length = *length;
            (0..steps).map(
                move |t| if t < length { ((7 * b + 3 * t) % self.vocabulary) as i32 } else { -1 },
            )
        };
        self.lengths.as_slice().iter().enumerate().flat_map(of).collect()
    }

    fn targets(&self) -> Targets {
        Targets::new(self.ids(), self.lengths.clone(), self.smoothing)
    }

    fn fused(&self, x: Tensor<3>, w: Tensor<2>, b: Tensor<1>) -> [Tensor<1>; 2] {
        let weights = match self.axis {
            Vocabulary::First => OutputWeights::Tied(w),
            Vocabulary::Last => OutputWeights::Own(w),
        };
        let losses = cross_entropy(x, weights, b, &self.targets());
        [losses.smoothed, losses.nll]
    }

    /// The formulas of `cross_entropy.rs`, of all rows at once.
    fn plain(&self, x: Tensor<3>, w: Tensor<2>, b: Tensor<1>) -> [Tensor<1>; 2] {
        let w = match self.axis {
            Vocabulary::First => w.transpose(),
            Vocabulary::Last => w,
        };
        let mask = self.lengths.pad_mask(&x.device());
        let x = x.clone().mask_fill(mask.clone().unsqueeze_dim::<3>(2).expand(x.dims()), 0.0);
        let log_p = log_softmax(x.matmul(w.unsqueeze()) + b.unsqueeze(), 2);
        let ids = self.ids().into_iter().map(|id| id.max(0)).collect::<Vec<_>>();
        let shape = [self.lengths.batch(), self.lengths.steps(), 1];
        let ids = Tensor::<3, Int>::from_data(TensorData::new(ids, shape), &log_p.device());
        let kept = |a: Tensor<3>| a.squeeze_dim::<2>(2).mask_fill(mask.clone(), 0.0).sum().neg();
        let nll = kept(log_p.clone().gather(2, ids));
        let mean = kept(log_p.mean_dim(2));
        [nll.clone() * (1.0 - self.smoothing) + mean * self.smoothing, nll]
    }

    fn record(&self, run: Run, padding: Padding, dtype: DType) -> Record {
        self.record_on(run, padding, dtype, &Device::flex())
    }

    fn record_on(&self, run: Run, padding: Padding, dtype: DType, device: &Device) -> Record {
        let (x, w, b) = self.operands(padding, dtype, &device.clone().autodiff());
        let (x, w, b) = (x.require_grad(), w.require_grad(), b.require_grad());
        let [loss, nll] = run(self, x.clone(), w.clone(), b.clone());
        let gradients = (loss.clone() * 3.0).backward();
        [
            numbers(loss),
            numbers(nll),
            numbers(x.grad(&gradients).unwrap()),
            numbers(w.grad(&gradients).unwrap()),
            numbers(b.grad(&gradients).unwrap()),
        ]
    }

    #[track_caller]
    fn check(&self, dtype: DType, tolerance: f64) {
        self.check_on(dtype, tolerance, &Device::flex());
    }

    #[track_caller]
    fn check_on(&self, dtype: DType, tolerance: f64, device: &Device) {
        let expected = self.record(Self::plain, Padding::Numbers, DType::F64);
        let actual = self.record_on(Self::fused, Padding::Nan, dtype, device);
        assert_close(&actual, &expected, tolerance, self);
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Every number within `tolerance` of the largest of its kind, or of 1.
#[track_caller]
fn assert_close(actual: &Record, expected: &Record, tolerance: f64, problem: &Problem) {
    for (n, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(actual.len(), expected.len());
        for (a, e) in actual.iter().zip(expected) {
            let off = (a - e).abs() / e.abs().max(1.0);
            assert!(off <= tolerance, "{n}: {a} for {e}, off by {off:.1e}\n{problem:?}");
        }
    }
}

/// Ragged, with a row that is all padding, without padding, a single row, one class, sizes that fill
/// no vector, and more than one.
fn problems() -> Vec<Problem> {
    let problems = [
        Problem::new(&[4, 0, 2, 1], 3, 5),
        Problem::new(&[3, 3], 8, 16),
        Problem::new(&[1], 1, 1),
        Problem::new(&[2, 5, 5], 33, 67),
    ];
    let each =
        |p: Problem| [p.clone(), p.clone().tied(), p.clone().smoothed(0.1), p.tied().smoothed(0.3)];
    problems.into_iter().flat_map(each).collect()
}

#[test]
fn flex_in_f64() {
    problems().iter().for_each(|problem| problem.check(DType::F64, 1e-10));
}

#[test]
fn flex_in_f32() {
    problems().iter().for_each(|problem| problem.check(DType::F32, 1e-5));
}

/// All rows at once, and so few logits at a time that one row, or two, have their turn; more classes than
/// a cube has units.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn on_wgpu() {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let check = |problem: &Problem| problem.check_on(DType::F32, 1e-5, &device);
    problems().iter().for_each(check);
    crate::cube::within(2 * 4 * 67, || problems().iter().for_each(check));
    check(&Problem::new(&[3, 2], 5, 300).smoothed(0.2));
    let record =
        Problem::new(&[0, 0], 3, 5).record_on(Problem::fused, Padding::Nan, DType::F32, &device);
    assert!(record.iter().flatten().all(|number| *number == 0.0));
}

/// `bf16` takes the composed path; its mantissa has 8 bits.
#[test]
fn flex_in_bf16() {
    for problem in [Problem::new(&[3, 1], 3, 4), Problem::new(&[3, 1], 3, 4).tied()] {
        problem.check(DType::BF16, 0.1);
    }
}

/// 1024 rows are done at a time where classes are few, and 32 where they are very many.
#[rstest]
fn around_the_rows_of_a_time(#[values(1023, 1024, 1025, 2049)] rows: usize) {
    Problem::new(&[rows], 3, 6).smoothed(0.1).check(DType::F64, 1e-10);
    Problem::new(&[rows, 7], 3, 6).tied().check(DType::F64, 1e-10);
}

#[rstest]
fn around_the_rows_of_a_time_with_many_classes(#[values(31, 32, 33)] rows: usize) {
    Problem::new(&[rows], 2, 65_600).smoothed(0.1).check(DType::F64, 1e-10);
    Problem::new(&[rows, 1], 2, 65_600).tied().check(DType::F32, 1e-5);
}

/// With nothing but padding there is no loss, and a gradient of zero.
#[rstest]
fn only_padding(#[values(DType::F64, DType::BF16)] dtype: DType) {
    let record = Problem::new(&[0, 0], 3, 5).record(Problem::fused, Padding::Nan, dtype);
    assert_eq!((record[0][0], record[1][0]), (0.0, 0.0));
    assert!(record[2..].iter().flatten().all(|gradient| *gradient == 0.0));
}

/// NaN in a real row reaches both losses and every gradient it has a part in.
#[test]
fn nan_in_a_real_row_is_not_hidden() {
    let problem = Problem::new(&[2, 1], 3, 5);
    let device = Device::flex().autodiff();
    let (x, w, b) = problem.operands(Padding::Numbers, DType::F32, &device);
    let x = x.slice_fill(s![1, 0, 1], f32::NAN);
    let w = w.require_grad();
    let [loss, nll] = problem.fused(x, w.clone(), b);
    let gradients = loss.clone().backward();
    assert!(numbers(loss)[0].is_nan() && numbers(nll)[0].is_nan());
    assert!(numbers(w.grad(&gradients).unwrap()).iter().all(|g| g.is_nan()));
}

/// Logits far apart: the loss is their difference, and nothing overflows.
#[rstest]
fn logits_far_apart(#[values(DType::F32, DType::F64)] dtype: DType) {
    let device = Device::flex();
    let of = |logits: [f64; 3]| Tensor::<1>::from_data(logits, (&device, dtype));
    let x = Tensor::<3>::zeros([1, 1, 1], (&device, dtype));
    let w = || OutputWeights::Own(Tensor::zeros([1, 3], (&device, dtype)));
    let targets = Targets::new(vec![1], Lengths::full(1, 1), 0.0);
    let loss = |logits| numbers(cross_entropy(x.clone(), w(), of(logits), &targets).nll)[0];
    assert_eq!(loss([2000.0, 0.0, -2000.0]), 2000.0);
    assert!(loss([0.0, 500.0, 0.0]).abs() < 1e-30);
}

#[test]
fn gradients_match_finite_differences() {
    let device = Device::flex().autodiff();
    for problem in [Problem::new(&[3, 1], 3, 4).smoothed(0.2), Problem::new(&[2], 3, 4).tied()] {
        let (x, w, b) = problem.operands(Padding::Numbers, DType::F64, &device);
        let loss = |x: Tensor<3>, w: Tensor<2>, b: Tensor<1>| problem.fused(x, w, b)[0].clone();
        check_input_gradient(x.clone(), 1e-7, |x| loss(x, w.clone(), b.clone()));
        check_input_gradient(w.clone(), 1e-7, |w| loss(x.clone(), w, b.clone()));
        check_input_gradient(b.clone(), 1e-7, |b| loss(x.clone(), w.clone(), b));
    }
}

/// A gradient is there exactly for what is tracked; without one the numbers are the same.
#[test]
fn every_subset_of_tracked_operands() {
    let device = Device::flex().autodiff();
    let problem = Problem::new(&[3, 1], 3, 5).smoothed(0.1);
    let expected = problem.record(Problem::plain, Padding::Numbers, DType::F64);
    for subset in 0..8_u32 {
        let on = |n: u32| subset >> n & 1 == 1;
        let (x, w, b) = problem.operands(Padding::Numbers, DType::F64, &device);
        let (x, w, b) =
            (x.set_require_grad(on(0)), w.set_require_grad(on(1)), b.set_require_grad(on(2)));
        let [loss, nll] = problem.fused(x.clone(), w.clone(), b.clone());
        assert!((numbers(loss.clone())[0] - expected[0][0]).abs() < 1e-12);
        assert!((numbers(nll)[0] - expected[1][0]).abs() < 1e-12);
        if subset == 0 {
            continue;
        }
        let gradients = (loss * 3.0).backward();
        let found = [
            x.grad(&gradients).map(numbers),
            w.grad(&gradients).map(numbers),
            b.grad(&gradients).map(numbers),
        ];
        for (n, found) in found.into_iter().enumerate() {
            assert_eq!(found.is_some(), on(n as u32));
            for (a, e) in found.into_iter().flatten().zip(&expected[2 + n]) {
                assert!((a - e).abs() < 1e-10);
            }
        }
    }
}

/// Operands that are views: swapped axes, a slice of a wider tensor.
#[test]
fn strided_operands() {
    let device = Device::flex().autodiff();
    let problem = Problem::new(&[3, 1], 3, 5);
    let (x, w, b) = problem.operands(Padding::Numbers, DType::F64, &device);
    let views = (
        Tensor::cat(vec![x.clone(), x.clone()], 2).narrow(2, 3, 3),
        w.clone().transpose().detach().require_grad(),
        Tensor::cat(vec![b.clone(), b.clone()], 0).narrow(0, 5, 5),
    );
    let [loss, _] = problem.fused(views.0, views.1.clone().transpose(), views.2);
    let gradient = views.1.grad(&loss.clone().backward()).unwrap();
    let w = w.require_grad();
    let [expected, _] = problem.fused(x, w.clone(), b);
    assert_eq!(numbers(loss), numbers(expected.clone()));
    let expected = w.grad(&expected.backward()).unwrap().transpose();
    assert_eq!(numbers(gradient), numbers(expected));
}

/// the number of threads does not change a bit, neither of rows that are split nor of products.
#[rstest]
fn the_number_of_threads_changes_nothing(#[values(false, true)] tied: bool) {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let problem = Problem::new(&[300, 280], 96, 2100).smoothed(0.1);
    let problem = if tied { problem.tied() } else { problem };
    let run = || problem.record(Problem::fused, Padding::Numbers, DType::F32);
    let one = pool(1).install(run);
    assert_eq!(pool(3).install(run), one);
    assert_eq!(run(), one);
}

/// The default that other backends fall back on, called as it is.
#[test]
fn composed_of_burns_operations() {
    for problem in problems() {
        let expected = problem.record(Problem::plain, Padding::Numbers, DType::F64);
        let (x, w, b) = problem.operands(Padding::Nan, DType::F64, &Device::flex());
        let flex = |data: TensorData| {
            Flex::float_from_data(data, &<Flex as burn::backend::BackendTypes>::Device::default())
        };
        let x = x.reshape([-1, problem.features as i32]);
        let (sums, dx, dw, db) = composed::cross_entropy::gradients::<Flex>(
            flex(x.into_data()),
            flex(w.into_data()),
            flex(b.into_data()),
            problem.axis,
            &problem.targets(),
        );
        let threes = flex(TensorData::from([3.0, 0.5]));
        let (dx, dw, db) = composed::cross_entropy::backward::<Flex>(threes, dx, dw, db);
        let read = |tensor: burn::backend::tensor::FloatTensor<Flex>| -> Vec<f64> {
            tensor.into_data().iter().collect()
        };
        let sums = read(sums);
        let record = [vec![sums[0]], vec![sums[1]], read(dx), read(dw), read(db)];
        assert_close(&record, &expected, 1e-10, &problem);
    }
}

#[test]
#[should_panic(expected = "target 5 is not below the vocabulary, 5")]
fn a_target_beyond_the_vocabulary_is_refused() {
    let (x, w, b) =
        Problem::new(&[1], 2, 5).operands(Padding::Numbers, DType::F32, &Device::flex());
    let targets = Targets::new(vec![5], Lengths::full(1, 1), 0.0);
    cross_entropy(x, OutputWeights::Own(w), b, &targets);
}
