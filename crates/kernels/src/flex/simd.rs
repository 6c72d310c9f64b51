//! Which vector instructions there are, found at run time, and numbers in their registers.

use std::ops::{Add, Mul, Sub};

use pulp::{Simd, WithSimd};

use super::Real;

/// The instruction sets that the CPU path is compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isa {
    /// 16 numbers of `f32` a register, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    /// 8 numbers of `f32` a register, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// What every processor of the architecture has.
    Baseline,
}

impl Isa {
    /// The best one that this processor has.
    pub(super) fn detected() -> Self {
        #[cfg(test)]
        if let Some(forced) = FORCED.get() {
            return forced;
        }
        Self::all().swap_remove(0)
    }

    /// All that this processor has, the best first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V4::try_new().map(Self::Avx512));
            all.extend(pulp::x86::V3::try_new().map(Self::Avx2));
        }
        all.push(Self::Baseline);
        all
    }

    /// Runs `work` compiled for this instruction set.
    pub(super) fn run<W: WithSimd>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, work),
            #[cfg(target_arch = "x86_64")]
            Self::Baseline => Simd::vectorize(pulp::Scalar::new(), work),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Baseline => pulp::Arch::new().dispatch(work),
        }
    }

    /// How many numbers a register holds.
    pub(super) fn lanes<F: Real>(self) -> usize {
        struct Count<F>(std::marker::PhantomData<F>);
        impl<F: Real> WithSimd for Count<F> {
            type Output = usize;

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                lanes::<S, F>()
            }
        }
        self.run(Count::<F>(std::marker::PhantomData))
    }
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Isa>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with another instruction set than the detected one.
#[cfg(test)]
pub(crate) fn forced<T>(isa: Isa, f: impl FnOnce() -> T) -> T {
    let before = FORCED.replace(Some(isa));
    let result = f();
    FORCED.set(before);
    result
}

/// Numbers of type `F` in a register of `S`.
pub(super) const fn lanes<S: Simd, F: Real>() -> usize {
    size_of::<F::Vector<S>>() / size_of::<F>()
}

/// Has numbers brought into the nearest cache while something else is computed.
#[inline(always)]
pub(super) fn prefetch<F>(soon: &[F]) {
    #[cfg(target_arch = "x86_64")]
    for line in soon.chunks(64 / size_of::<F>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: only a hint, and the address is that of a number.
        #[expect(unsafe_code, reason = "an instruction that pulp does not have")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = soon;
}

/// A register full of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes<S: Simd, F: Real> {
    simd: S,
    pub(super) register: F::Vector<S>,
}

impl<S: Simd, F: Real> Lanes<S, F> {
    #[inline(always)]
    pub(super) fn new(simd: S, register: F::Vector<S>) -> Self {
        Self { simd, register }
    }

    /// The same number everywhere.
    #[inline(always)]
    pub(super) fn splat(simd: S, a: F) -> Self {
        Self::new(simd, F::splat(simd, a))
    }

    /// The first numbers of `from`, and zeros where there are no more.
    #[inline(always)]
    pub(super) fn load(simd: S, from: &[F]) -> Self {
        let register = match from.get(..lanes::<S, F>()) {
            Some(whole) => bytemuck::pod_read_unaligned(bytemuck::cast_slice(whole)),
            None => F::partial_load(simd, from),
        };
        Self::new(simd, register)
    }

    /// Writes as many numbers as `to` has room for.
    #[inline(always)]
    pub(super) fn store(self, to: &mut [F]) {
        match to.get_mut(..lanes::<S, F>()) {
            Some(whole) => {
                bytemuck::cast_slice_mut(whole).copy_from_slice(bytemuck::bytes_of(&self.register));
            }
            None => F::partial_store(self.simd, to, self.register),
        }
    }

    /// `self · factor + more`.
    #[inline(always)]
    pub(super) fn times_plus(self, factor: Self, more: Self) -> Self {
        let (a, b, c) = (self.register, factor.register, more.register);
        Self::new(self.simd, F::product_sum(self.simd, a, b, c))
    }

    /// The sum of all numbers.
    #[inline(always)]
    pub(super) fn total(self) -> F {
        F::total(self.simd, self.register)
    }

    /// `1 / (1 + e^-a)`.
    #[inline(always)]
    pub(super) fn sigmoid(self) -> Self {
        Self::new(self.simd, F::sigmoid(self.simd, self.register))
    }

    /// The hyperbolic tangent.
    #[inline(always)]
    pub(super) fn tanh(self) -> Self {
        Self::new(self.simd, F::hyperbolic_tangent(self.simd, self.register))
    }

    /// `a` where it is not below zero, and not a number stays none.
    #[inline(always)]
    pub(super) fn relu(self) -> Self {
        Self::new(self.simd, F::relu(self.simd, self.register))
    }

    /// `a` where `self` is above zero, elsewhere zero.
    #[inline(always)]
    pub(super) fn passes(self, a: Self) -> Self {
        Self::new(self.simd, F::passes(self.simd, self.register, a.register))
    }

    /// `a`, or the bound of `−bound` and `bound` that it is beyond, and not a number stays none.
    #[inline(always)]
    pub(super) fn clip(self, bound: f64) -> Self {
        Self::new(self.simd, F::clip(self.simd, self.register, bound))
    }

    /// `a`, but zero where `self` is at a bound that it was clipped to.
    #[inline(always)]
    pub(super) fn passes_inside(self, bound: f64, a: Self) -> Self {
        Self::new(self.simd, F::passes_inside(self.simd, self.register, bound, a.register))
    }

    /// `1 − a`.
    #[inline(always)]
    pub(super) fn complement(self) -> Self {
        Self::splat(self.simd, F::one()) - self
    }

    /// The derivative of a sigmoid whose value is `self`.
    #[inline(always)]
    pub(super) fn through_sigmoid(self) -> Self {
        self * self.complement()
    }

    /// The derivative of a hyperbolic tangent whose value is `self`.
    #[inline(always)]
    pub(super) fn through_tanh(self) -> Self {
        (self * self).complement()
    }
}

impl<S: Simd, F: Real> Add for Lanes<S, F> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::new(self.simd, F::sum(self.simd, self.register, other.register))
    }
}

impl<S: Simd, F: Real> Sub for Lanes<S, F> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::new(self.simd, F::difference(self.simd, self.register, other.register))
    }
}

impl<S: Simd, F: Real> Mul for Lanes<S, F> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::new(self.simd, F::product(self.simd, self.register, other.register))
    }
}
