//! The score of additive attention: one pass over all pairs of a query and a key, a register of `A` at a
//! time. The way back computes `tanh` again instead of keeping `A` numbers of every pair.

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::{Simd, WithSimd};

use super::{
    Elements, Real, finished,
    simd::{Isa, Lanes, lanes},
    tensor,
    threads::{self, Shared},
};

/// What a `tanh` costs, in multiplications.
const TANH: usize = 20;

/// Operands of a call, `q` of `[B, T, A]`, `k` of `[B, S, A]`, `v` of `[A]`.
struct Call<'a, F> {
    q: &'a [F],
    k: &'a [F],
    v: &'a [F],
    queries: usize,
    keys: usize,
}

impl<F: Real> Call<'_, F> {
    fn work(&self) -> usize {
        TANH * self.q.len() * self.keys
    }

    /// Query `n` of all sequences.
    #[inline(always)]
    fn query(&self, n: usize) -> &[F] {
        &self.q[n * self.v.len()..][..self.v.len()]
    }

    /// The keys of sequence `b`, one after the other.
    #[inline(always)]
    fn keys_of(&self, b: usize) -> &[F] {
        let size = self.keys * self.v.len();
        &self.k[b * size..][..size]
    }
}

pub(super) fn forward<F: Real>(
    q: &FloatTensor<Flex>,
    k: &FloatTensor<Flex>,
    v: &FloatTensor<Flex>,
) -> FloatTensor<Flex> {
    let isa = Isa::detected();
    let ([batch, queries, _], keys) = (q.shape().dims(), k.shape()[1]);
    let [q, k, v] = [q, k, v].map(Elements::<F>::of);
    let call = Call { q: q.get(), k: k.get(), v: v.get(), queries, keys };
    let mut scores = Vec::with_capacity(batch * queries * keys);
    let to = Shared::unwritten(&mut scores);
    let parts = (4 * threads::parts(call.work())).min(batch * queries).max(1);
    threads::each(parts, call.work(), |part| {
        let chosen = part * batch * queries / parts..(part + 1) * batch * queries / parts;
        isa.run(Forward { call: &call, chosen, scores: to });
    });
    // Every query is in one part, and a part writes the scores of all its queries.
    let scores = finished(scores, batch * queries * keys);
    tensor(scores, &[batch, queries, keys])
}

/// The scores of some queries.
struct Forward<'a, F> {
    call: &'a Call<'a, F>,
    chosen: Range<usize>,
    scores: Shared<F>,
}

impl<F: Real> WithSimd for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call, chosen, scores } = self;
        let width = call.v.len();
        if width == 0 {
            // SAFETY: the scores of these queries are this part's own, here and below.
            unsafe { scores.slice_mut(chosen.start * call.keys, chosen.len() * call.keys) }
                .fill(F::zero());
            return;
        }
        for n in chosen {
            let q = call.query(n);
            let keys = call.keys_of(n / call.queries).chunks_exact(width);
            // SAFETY: as above.
            let scores = unsafe { scores.slice_mut(n * call.keys, call.keys) };
            for (score, k) in scores.iter_mut().zip(keys) {
                let mut sum = Lanes::splat(simd, F::zero());
                let register = lanes::<S, F>();
                let parts = q.chunks(register).zip(k.chunks(register)).zip(call.v.chunks(register));
                for ((q, k), v) in parts {
                    let y = (Lanes::load(simd, q) + Lanes::load(simd, k)).tanh();
                    sum = y.times_plus(Lanes::load(simd, v), sum);
                }
                *score = sum.total();
            }
        }
    }
}

/// The gradients of `q`, `k` and `v`.
pub(super) fn backward<F: Real>(
    grad: &FloatTensor<Flex>,
    q: &FloatTensor<Flex>,
    k: &FloatTensor<Flex>,
    v: &FloatTensor<Flex>,
) -> (FloatTensor<Flex>, FloatTensor<Flex>, FloatTensor<Flex>) {
    let isa = Isa::detected();
    let ([batch, queries, width], keys) = (q.shape().dims(), k.shape()[1]);
    let grad = Elements::<F>::of(grad);
    let [q, k, v] = [q, k, v].map(Elements::<F>::of);
    let call = Call { q: q.get(), k: k.get(), v: v.get(), queries, keys };
    let mut dq = vec![F::zero(); batch * queries * width];
    let mut dk = vec![F::zero(); batch * keys * width];
    // Of each sequence, so that the order of their sum does not depend on who is done first.
    let mut dv_of = vec![F::zero(); batch * width];
    let [dq_to, dk_to, dv_to] = [&mut dq, &mut dk, &mut dv_of].map(|to| Shared::new(to));
    threads::each(batch, call.work(), |b| {
        isa.run(Backward { call: &call, grad: grad.get(), b, dq: dq_to, dk: dk_to, dv: dv_to });
    });
    let mut dv = vec![F::zero(); width];
    for row in dv_of.chunks_exact(width.max(1)) {
        dv.iter_mut().zip(row).for_each(|(sum, a)| *sum = *sum + *a);
    }
    (tensor(dq, &[batch, queries, width]), tensor(dk, &[batch, keys, width]), tensor(dv, &[width]))
}

/// The gradients of one sequence.
struct Backward<'a, F> {
    call: &'a Call<'a, F>,
    grad: &'a [F],
    b: usize,
    dq: Shared<F>,
    dk: Shared<F>,
    dv: Shared<F>,
}

impl<F: Real> WithSimd for Backward<'_, F> {
    type Output = ();

    // `d_tj = de_tj · v · (1 − y_tj²)`; `dq_t = Σ_j d_tj`, `dk_j = Σ_t d_tj`, `dv = Σ_tj de_tj · y_tj`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { call: Call { q, k, v, queries, keys }, grad, b, dq, dk, dv } = self;
        let width = v.len();
        let (first_q, first_k) = (b * queries * width, b * keys * width);
        let mut from = 0;
        while from < width {
            let count = lanes::<S, F>().min(width - from);
            let v = Lanes::load(simd, &v[from..from + count]);
            let mut dv_sum = Lanes::splat(simd, F::zero());
            for t in 0..*queries {
                let at_q = first_q + t * width + from;
                let q = Lanes::load(simd, &q[at_q..at_q + count]);
                let grad = &grad[(b * queries + t) * keys..][..*keys];
                let mut dq_sum = Lanes::splat(simd, F::zero());
                for (j, de) in grad.iter().enumerate() {
                    let at_k = first_k + j * width + from;
                    let y = (q + Lanes::load(simd, &k[at_k..at_k + count])).tanh();
                    let de = Lanes::splat(simd, *de);
                    let d = de * v * y.through_tanh();
                    dq_sum = dq_sum + d;
                    dv_sum = y.times_plus(de, dv_sum);
                    // SAFETY: the gradients of this sequence are this call's own, here and below.
                    let dk = unsafe { dk.slice_mut(at_k, count) };
                    (Lanes::load(simd, dk) + d).store(dk);
                }
                // SAFETY: as above.
                dq_sum.store(unsafe { dq.slice_mut(at_q, count) });
            }
            // SAFETY: as above.
            dv_sum.store(unsafe { dv.slice_mut(b * width + from, count) });
            from += count;
        }
    }
}
