//! AT-1 to AT-8 and AT-11; what needs a trained model is tested where models are.

use burn::{
    module::{ModuleMapper, Param},
    prelude::*,
    tensor::DType,
};
use recurrent_testkit::{
    assert_close, check_gradients, check_input_gradient, fill, in_f64, moved, random,
};

use crate::*;

const KINDS: [AttentionConfig; 5] = [
    AttentionConfig::Additive { d_attention: 5 },
    AttentionConfig::NormedAdditive { d_attention: 5 },
    AttentionConfig::Dot,
    AttentionConfig::General,
    AttentionConfig::Scaled,
];

/// Attention between 4 and 4 features, with weights that depend on nothing else.
fn attention(kind: AttentionConfig, device: &Device) -> Attention {
    struct Draw(u64);
    impl ModuleMapper for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let (id, value, mapper) = param.consume();
            let tracked = value.is_require_grad();
            let noise = random(value.dims(), self.0, DType::F64, &value.device());
            Param::from_mapped_value(id, noise.set_require_grad(tracked), mapper)
        }
    }
    in_f64(kind.init(4, 4, device)).map(&mut Draw(60))
}

fn queries(device: &Device) -> Tensor<3> {
    random([3, 2, 4], 1, DType::F64, device)
}

fn values(device: &Device) -> Tensor<3> {
    random([3, 6, 4], 2, DType::F64, device)
}

/// True from each length on.
fn padding(lengths: [usize; 3], device: &Device) -> Tensor<2, Bool> {
    let mask = lengths.map(|length| std::array::from_fn::<bool, 6, _>(|j| j >= length));
    Tensor::from_data(mask, device)
}

fn look(attention: &Attention, values: Tensor<3>, mask: Option<Tensor<2, Bool>>) -> Attended {
    let device = values.device();
    attend(attention, queries(&device), &attention.memory(values, mask))
}

/// AT-1: weights are a distribution, exactly 0 on padding, and the context is the mean of the rows by
/// them: in their convex hull.
#[test]
fn at_1_weights_are_a_distribution() {
    let device = Device::flex();
    for attention in KINDS.map(|kind| attention(kind, &device)) {
        let mask = padding([6, 3, 1], &device);
        let Attended { context, weights } = look(&attention, values(&device), Some(mask.clone()));
        assert_close(&weights.clone().sum_dim(2), [[[1.0]; 2]; 3], 1e-12);
        assert!(weights.clone().min().into_scalar::<f64>() >= 0.0);
        let on_padding = weights.clone() * mask.float().cast(DType::F64).unsqueeze_dim::<3>(1);
        assert_eq!(on_padding.abs().sum().into_scalar::<f64>(), 0.0);
        assert_close(&context, weights.matmul(values(&device)).into_data(), 1e-12);
    }
}

/// AT-2: where only one row is left, it gets everything; where none is left, nothing.
#[test]
fn at_2_one_row_or_none() {
    let device = Device::flex();
    for attention in KINDS.map(|kind| attention(kind, &device)) {
        let Attended { context, weights } =
            look(&attention, values(&device), Some(padding([1, 0, 6], &device)));
        let first = weights.clone().slice(s![0..1, .., 0..1]);
        assert_close(&first, [[[1.0], [1.0]]], 0.0);
        let none = (weights.slice(s![1..2, .., ..]).abs().sum())
            + context.slice(s![1..2, .., ..]).abs().sum();
        assert_eq!(none.into_scalar::<f64>(), 0.0);
    }
}

/// AT-3: with `v = 0` the plain form finds every row as relevant as any other.
#[test]
fn at_3_a_zero_v_is_uniform() {
    let device = Device::flex();
    let mut additive = in_f64(AdditiveAttentionConfig::new(4, 4, 5).init(&device));
    additive.v = Param::from_tensor(Tensor::zeros([5], (&device, DType::F64)));
    let memory = additive.memory(values(&device), Some(padding([6, 3, 1], &device)));
    let weights = attend(&additive, queries(&device), &memory).weights;
    let expected = [[1.0 / 6.0; 6], [1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.0, 0.0, 0.0]];
    let of_first_query = weights.narrow(0, 0, 2).narrow(1, 0, 1).squeeze_dim::<2>(1);
    assert_close(&of_first_query, expected, 1e-15);
}

/// AT-4: the order of the rows does not matter.
#[test]
fn at_4_permuting_the_memory_permutes_the_weights() {
    let device = Device::flex();
    let order = Tensor::<1, Int>::from_data([4, 2, 0, 5, 1, 3], &device);
    for attention in KINDS.map(|kind| attention(kind, &device)) {
        let mask = padding([6, 3, 1], &device);
        let there = look(&attention, values(&device), Some(mask.clone()));
        let moved = look(
            &attention,
            values(&device).select(1, order.clone()),
            Some(mask.select(1, order.clone())),
        );
        let expected = there.weights.select(2, order.clone()).into_data();
        assert_close(&moved.weights, expected, 1e-14);
        assert_close(&moved.context, there.context.into_data(), 1e-14);
    }
}

/// AT-5: more padding changes nothing, whatever stands in it.
#[test]
fn at_5_padding_is_not_read() {
    let device = Device::flex();
    for attention in KINDS.map(|kind| attention(kind, &device)) {
        let short = look(&attention, values(&device).narrow(1, 0, 4), None);
        let nan = Tensor::full([3, 2, 4], f64::NAN, (&device, DType::F64));
        let long = Tensor::cat(vec![values(&device).narrow(1, 0, 4), nan], 1);
        let long = look(&attention, long, Some(padding([4, 4, 4], &device)));
        assert_close(&long.context, short.context.into_data(), 1e-15);
        assert_close(&long.weights.narrow(2, 0, 4), short.weights.into_data(), 1e-15);
    }
}

/// AT-6: a constant added to all scores changes nothing.
#[test]
fn at_6_only_differences_of_scores_matter() {
    #[derive(Module, Debug)]
    struct Shifted {
        score: GeneralAttention,
    }
    impl Score for Shifted {
        fn memory(&self, values: Tensor<3>, pad_mask: Option<Tensor<2, Bool>>) -> Memory {
            self.score.memory(values, pad_mask)
        }
        fn score(&self, queries: Tensor<3>, memory: &Memory) -> Tensor<3> {
            self.score.score(queries, memory) + 300.0
        }
    }
    let device = Device::flex();
    let score = in_f64(GeneralAttentionConfig::new(4, 4).init(&device));
    let memory = score.memory(values(&device), Some(padding([6, 3, 1], &device)));
    let plain = attend(&score, queries(&device), &memory);
    let shifted = attend(&Shifted { score }, queries(&device), &memory);
    assert_close(&shifted.weights, plain.weights.into_data(), 1e-12);
}

fn no_bias() -> Tensor<1> {
    Tensor::zeros([2], (&Device::flex(), DType::F64))
}

/// The golden vectors' `q`, keys, and `W` of `(out, in)`, with the bias `b`.
fn golden(b: Tensor<1>) -> (NormedAdditiveAttention, Tensor<3>, Tensor<3>) {
    let device = Device::flex();
    let weight = |k| Param::from_tensor(fill([2, 2], k, DType::F64, &device).transpose());
    let number = |n: f64| Param::from_tensor(Tensor::full([1], n, (&device, DType::F64)));
    let attention = NormedAdditiveAttention {
        w_q: weight(1),
        w_m: weight(2),
        v: Param::from_tensor(fill([2], 3, DType::F64, &device)),
        b: Param::from_tensor(b),
        g: number(0.5_f64.sqrt()),
    };
    let q = Tensor::from_data([[[0.1, -0.2]]], (&device, DType::F64));
    let h = Tensor::from_data([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], (&device, DType::F64));
    (attention, q, h)
}

#[track_caller]
fn assert_golden<S: Score>(
    score: &S,
    (q, h): (Tensor<3>, Tensor<3>),
    e: [f64; 3],
    alpha: [f64; 3],
    c: [f64; 2],
    alpha_of_two: [f64; 3],
) {
    let memory = score.memory(h.clone(), None);
    assert_close(&score.score(q.clone(), &memory), [[e]], 1e-7);
    let attended = attend(score, q.clone(), &memory);
    assert_close(&attended.weights, [[alpha]], 1e-7);
    assert_close(&attended.context, [[c]], 1e-7);
    let mask = Tensor::from_data([[false, false, true]], &h.device());
    let attended = attend(score, q, &score.memory(h, Some(mask)));
    assert_close(&attended.weights, [[alpha_of_two]], 1e-7);
}

/// AT-7: section 13.3 of the specification.
#[test]
fn at_7_golden_vectors() {
    let (normed, q, h) = golden(no_bias());
    let plain = AdditiveAttention { w_q: normed.w_q, w_m: normed.w_m, v: normed.v };
    assert_golden(
        &plain,
        (q, h),
        [-0.00799893, -0.15877217, -0.12380277],
        [0.36354480, 0.31266405, 0.32379115],
        [0.68733595, 0.63645520],
        [0.53762207, 0.46237793, 0.0],
    );
    let (normed, q, h) = golden(fill([2], 4, DType::F64, &Device::flex()));
    assert_golden(
        &normed,
        (q, h),
        [-0.28067220, -0.47734649, -0.43622075],
        [0.37349616, 0.30681147, 0.31969237],
        [0.69318853, 0.62650384],
        [0.54901069, 0.45098931, 0.0],
    );
}

/// AT-8: the normed form ignores the length of `v`, and is the plain form for `g = ‖v‖`, `b = 0`.
#[test]
fn at_8_the_normed_form() {
    let (normed, q, h) = golden(no_bias());
    let scores = |a: &NormedAdditiveAttention| a.score(q.clone(), &a.memory(h.clone(), None));
    let scaled =
        NormedAdditiveAttention { v: Param::from_tensor(normed.v.val() * 7.0), ..normed.clone() };
    assert_close(&scores(&scaled), scores(&normed).into_data(), 1e-15);

    let norm = normed.v.val().powi_scalar(2).sum().sqrt();
    let as_plain = NormedAdditiveAttention { g: Param::from_tensor(norm), ..normed.clone() };
    let plain = AdditiveAttention { w_q: normed.w_q, w_m: normed.w_m, v: normed.v };
    let expected = plain.score(q.clone(), &plain.memory(h.clone(), None));
    assert_close(&scores(&as_plain), expected.into_data(), 1e-15);
}

/// Luong's `concat` is the additive score with its weight cut in two.
#[test]
fn concat_is_additive() {
    let device = Device::flex();
    let (w, v) = (random([7, 5], 1, DType::F64, &device), random([5], 2, DType::F64, &device));
    let (q, h) =
        (random([1, 1, 3], 3, DType::F64, &device), random([1, 1, 4], 4, DType::F64, &device));
    let both = Tensor::cat(vec![q.clone(), h.clone()], 2).reshape([1, 7]);
    let expected = (both.matmul(w.clone()).tanh() * v.clone().unsqueeze::<2>()).sum_dim(1);
    let attention = AdditiveAttention::from_concat(w, v, 3);
    let score = attention.score(q, &attention.memory(h, None));
    assert_close(&score.reshape([1, 1]), expected.into_data(), 1e-14);
}

/// AT-11: gradients through the weights, by central differences.
#[test]
fn at_11_gradients() {
    let device = Device::flex().autodiff();
    for kind in KINDS {
        let attention = attention(kind, &device);
        let mask = padding([6, 3, 1], &device);
        let loss = |attention: &Attention, queries: Tensor<3>, values: Tensor<3>| {
            let memory = attention.memory(values, Some(mask.clone()));
            let Attended { context, weights } = attend(attention, queries, &memory);
            let of = |t: Tensor<3>, seed| (random(t.dims(), seed, DType::F64, &device) * t).sum();
            of(context, 8) + of(weights, 9)
        };
        if kind != AttentionConfig::Dot {
            check_gradients(&attention, 1e-6, |attention| {
                loss(attention, queries(&device), values(&device))
            });
        }
        check_input_gradient(queries(&device), 1e-6, |q| loss(&attention, q, values(&device)));
        check_input_gradient(values(&device), 1e-6, |h| loss(&attention, queries(&device), h));
    }
}

/// All queries at once are the queries one by one.
#[test]
fn all_queries_at_once() {
    let device = Device::flex();
    for attention in KINDS.map(|kind| attention(kind, &device)) {
        let memory = attention.memory(values(&device), Some(padding([6, 3, 1], &device)));
        let all = attend(&attention, queries(&device), &memory);
        for t in 0..2 {
            let one = attend(&attention, queries(&device).narrow(1, t, 1), &memory);
            assert_close(&one.weights, all.weights.clone().narrow(1, t, 1).into_data(), 1e-15);
            assert_close(&one.context, all.context.clone().narrow(1, t, 1).into_data(), 1e-15);
        }
    }
}

/// A beam's memories are those of its sentences: shared, they give what copies of their own give, and
/// the gradients of what is shared are summed. In order and out of it, with sources that are read by
/// few rows, many and none, selected once and again.
#[test]
fn selected_memories() {
    let device = Device::flex().autodiff();
    for (kind, rows) in KINDS.iter().flat_map(|kind| SELECTED.map(|rows| (kind, rows))) {
        let attention = attention(*kind, &device);
        let mask = || Some(padding([6, 3, 1], &device));
        let run = |shared: bool| {
            let values = values(&device).require_grad();
            let (mut memory, mut own) = (attention.memory(values.clone(), mask()), vec![0, 1, 2]);
            for rows in rows {
                memory = memory.select(rows);
                own = rows.iter().map(|row| own[*row]).collect();
            }
            let index = Tensor::<1, Int>::from_data(own.as_slice(), &device);
            if !shared {
                let mask = mask().map(|mask| mask.select(0, index.clone()));
                memory = attention.memory(values.clone().select(0, index), mask);
            }
            let q = random([own.len(), 2, 4], 7, DType::F64, &device);
            let seen = attend(&attention, q, &memory);
            let loss = seen.context.clone().sin().sum() + seen.weights.clone().powi_scalar(2).sum();
            let gradient = values.grad(&loss.backward()).expect("values are tracked");
            (seen.context, seen.weights, gradient)
        };
        let (shared, own) = (run(true), run(false));
        assert_close(&shared.0, own.0.into_data(), 1e-14);
        assert_close(&shared.1, own.1.into_data(), 1e-14);
        assert_close(&shared.2, own.2.into_data(), 1e-14);
    }
}

/// Rows, selected one after the other.
const SELECTED: [&[&[usize]]; 7] = [
    &[&[0, 1, 2]],
    &[&[2, 1, 0]],
    &[&[0, 0, 1, 1, 2, 2]],
    &[&[0, 0, 1, 2, 2, 2]],
    &[&[2, 0, 0]],
    &[&[0, 2], &[1, 1, 0]],
    &[&[0, 0, 1, 1, 2, 2], &[1, 0, 2, 3, 5, 5], &[4, 5]],
];

/// Rows that change places within their sources move nothing; sources that nobody looks at any more
/// are given up once they are many.
#[test]
fn a_memory_is_copied_only_where_it_pays() {
    let device = Device::flex();
    let attention = attention(KINDS[3], &device);
    let values = random([8, 6, 4], 2, DType::F64, &device);
    let sources = |memory: &Memory| memory.values.dims()[0];
    let memory = attention.memory(values, None);
    assert!(memory.select(&[0, 1, 2, 3, 4, 5, 6, 7]).readers.is_none());
    let beam = memory.select(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    assert_eq!(sources(&beam), 8);
    let few = beam.select(&[1, 0, 4, 5, 8, 9, 12]);
    assert_eq!(sources(&few), 4);
    assert_eq!(few.readers.unwrap().of(), [0, 0, 1, 1, 2, 2, 3]);
}

#[test]
#[should_panic(expected = "as many rows of queries as readers")]
fn rows_that_are_not_readers_are_refused() {
    let device = Device::flex();
    let attention = attention(KINDS[3], &device);
    let memory = attention.memory(values(&device), None).select(&[0, 0, 1, 2]);
    let _ = attend(&attention, queries(&device), &memory);
}

/// Every kind on every backend gives what flex gives in double precision.
fn check_backend(device: &Device) {
    for kind in KINDS {
        let run = |device: &Device, dtype| {
            let attention = moved(attention(kind, &Device::flex()), dtype, device);
            let values = random([3, 6, 4], 2, dtype, device);
            let queries = random([3, 2, 4], 1, dtype, device);
            let memory = attention.memory(values, Some(padding([6, 3, 1], device)));
            let Attended { context, weights } = attend(&attention, queries, &memory);
            let mut numbers: Vec<f64> = context.into_data().iter().collect();
            numbers.extend(weights.into_data().iter::<f64>());
            numbers
        };
        let (actual, expected) = (run(device, DType::F32), run(&Device::flex(), DType::F64));
        for (actual, expected) in actual.iter().zip(&expected) {
            assert!((actual - expected).abs() < 1e-5, "{kind:?}: {actual} for {expected}");
        }
    }
}

#[test]
fn every_kind_on_flex_in_f32() {
    check_backend(&Device::flex());
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "asked for by users of Burn 0.22")]
fn every_kind_on_ndarray() {
    check_backend(&Device::ndarray());
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
#[test]
fn every_kind_on_wgpu() {
    check_backend(&Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
}

#[test]
#[should_panic(expected = "axis 2 expected 4, got 5")]
fn queries_of_the_wrong_width_are_refused() {
    let device = Device::flex();
    let attention = attention(AttentionConfig::Dot, &device);
    let memory = attention.memory(values(&device), None);
    attend(&attention, random([3, 2, 5], 1, DType::F64, &device), &memory);
}
