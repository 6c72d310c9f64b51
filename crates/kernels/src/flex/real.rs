//! The two element types of the CPU path, and their activations.
//!
//! In `f32` the activations are made of an exponential without branches, a register at a time; in `f64`
//! they are the standard library's. The exponential is `2^n · e^r` with a whole `n` and
//! `|r| ≤ ln 2 / 2`, where `e^r` is a polynomial whose largest error is as small as its degree allows.
//! Both activations stay within 2e-7 of the true value, and `tanh` within 4e-7 relative to it.

use burn::tensor::Element;
use bytemuck::Pod;
use pulp::Simd;

/// `f32` or `f64`, one by one and a register at a time.
pub trait Real: num_traits::Float + Element + Pod {
    /// A register.
    type Vector<S: Simd>: Pod + Send + Sync + std::fmt::Debug;

    /// The same number everywhere.
    fn splat<S: Simd>(simd: S, a: Self) -> Self::Vector<S>;
    /// The numbers of a slice shorter than a register, then zeros.
    fn partial_load<S: Simd>(simd: S, from: &[Self]) -> Self::Vector<S>;
    /// As many numbers as fit a slice shorter than a register.
    fn partial_store<S: Simd>(simd: S, to: &mut [Self], a: Self::Vector<S>);
    /// `a + b`.
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a − b`.
    fn difference<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a · b`.
    fn product<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a · b + c`, rounded once where the processor can.
    fn product_sum<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// The sum of all numbers of a register.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
    /// `1 / (1 + e^-a)`.
    fn sigmoid<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// The hyperbolic tangent.
    fn hyperbolic_tangent<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// `a`, or zero where it is below zero.
    fn relu<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    /// `a` where `gate` is above zero, elsewhere zero.
    fn passes<S: Simd>(simd: S, gate: Self::Vector<S>, a: Self::Vector<S>) -> Self::Vector<S>;
    /// `a`, or the bound of `−bound` and `bound` that it is beyond.
    fn clip<S: Simd>(simd: S, a: Self::Vector<S>, bound: f64) -> Self::Vector<S>;
    /// `a`, but zero where `clipped` is at a bound that it was clipped to.
    fn passes_inside<S: Simd>(
        simd: S,
        clipped: Self::Vector<S>,
        bound: f64,
        a: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

/// What is the same for both types but for the names of `pulp`'s functions.
macro_rules! arithmetic {
    ($vector:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $mul_add:ident, $total:ident, $less:ident, $less_or_equal:ident, $abs:ident,
     $select:ident) => {
        type Vector<S: Simd> = S::$vector;

        #[inline(always)]
        fn splat<S: Simd>(simd: S, a: Self) -> S::$vector {
            simd.$splat(a)
        }

        #[inline(always)]
        fn partial_load<S: Simd>(simd: S, from: &[Self]) -> S::$vector {
            simd.$load(from)
        }

        #[inline(always)]
        fn partial_store<S: Simd>(simd: S, to: &mut [Self], a: S::$vector) {
            simd.$store(to, a);
        }

        #[inline(always)]
        fn sum<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$add(a, b)
        }

        #[inline(always)]
        fn difference<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$sub(a, b)
        }

        #[inline(always)]
        fn product<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
            simd.$mul(a, b)
        }

        #[inline(always)]
        fn product_sum<S: Simd>(
            simd: S,
            a: S::$vector,
            b: S::$vector,
            c: S::$vector,
        ) -> S::$vector {
            simd.$mul_add(a, b, c)
        }

        #[inline(always)]
        fn total<S: Simd>(simd: S, a: S::$vector) -> Self {
            simd.$total(a)
        }

        // Not a maximum, which would hide what is not a number.
        #[inline(always)]
        fn relu<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
            let zero = simd.$splat(0.0);
            simd.$select(simd.$less(a, zero), zero, a)
        }

        #[inline(always)]
        fn passes<S: Simd>(simd: S, gate: S::$vector, a: S::$vector) -> S::$vector {
            let zero = simd.$splat(0.0);
            simd.$select(simd.$less(zero, gate), a, zero)
        }

        // Neither minimum nor maximum, for the same reason.
        #[inline(always)]
        fn clip<S: Simd>(simd: S, a: S::$vector, bound: f64) -> S::$vector {
            let (least, most) = (simd.$splat(-bound as Self), simd.$splat(bound as Self));
            let a = simd.$select(simd.$less(a, least), least, a);
            simd.$select(simd.$less(most, a), most, a)
        }

        #[inline(always)]
        fn passes_inside<S: Simd>(
            simd: S,
            clipped: S::$vector,
            bound: f64,
            a: S::$vector,
        ) -> S::$vector {
            let at_bound = simd.$less_or_equal(simd.$splat(bound as Self), simd.$abs(clipped));
            simd.$select(at_bound, simd.$splat(0.0), a)
        }
    };
}

impl Real for f64 {
    arithmetic!(
        f64s,
        splat_f64s,
        partial_load_f64s,
        partial_store_f64s,
        add_f64s,
        sub_f64s,
        mul_f64s,
        mul_add_e_f64s,
        reduce_sum_f64s,
        less_than_f64s,
        less_than_or_equal_f64s,
        abs_f64s,
        select_f64s
    );

    #[inline(always)]
    fn sigmoid<S: Simd>(_: S, mut a: S::f64s) -> S::f64s {
        for a in bytemuck::cast_slice_mut::<_, Self>(std::slice::from_mut(&mut a)) {
            *a = 1.0 / (1.0 + (-*a).exp());
        }
        a
    }

    #[inline(always)]
    fn hyperbolic_tangent<S: Simd>(_: S, mut a: S::f64s) -> S::f64s {
        for a in bytemuck::cast_slice_mut::<_, Self>(std::slice::from_mut(&mut a)) {
            *a = num_traits::Float::tanh(*a);
        }
        a
    }
}

impl Real for f32 {
    arithmetic!(
        f32s,
        splat_f32s,
        partial_load_f32s,
        partial_store_f32s,
        add_f32s,
        sub_f32s,
        mul_f32s,
        mul_add_e_f32s,
        reduce_sum_f32s,
        less_than_f32s,
        less_than_or_equal_f32s,
        abs_f32s,
        select_f32s
    );

    // `e^-a` with a polynomial one term shorter than the exponential's: a sigmoid takes no more than a
    // quarter of its error.
    #[inline(always)]
    fn sigmoid<S: Simd>(simd: S, a: S::f32s) -> S::f32s {
        const POLYNOMIAL: [f32; 6] =
            [-8.312_494e-3, 4.189_012_6e-2, -0.166_671_14, 0.499_992_3, -1.0, 1.0];
        let one = simd.splat_f32s(1.0);
        let a = within(simd, a, LEAST, MOST);
        let [n, exponent] = whole(simd, a, -std::f32::consts::LOG2_E);
        // `−r`, where `−a = n · ln 2 + r`.
        let r = simd.mul_add_e_f32s(n, simd.splat_f32s(std::f32::consts::LN_2), a);
        let e = scaled(simd, horner(simd, r, POLYNOMIAL), exponent);
        simd.div_f32s(one, simd.add_f32s(one, e))
    }

    // `m / (m + 2)` of `m = e^2a − 1`, which is made so that nothing cancels:
    // `2^n · (e^r − 1) + (2^n − 1)`.
    #[inline(always)]
    fn hyperbolic_tangent<S: Simd>(simd: S, a: S::f32s) -> S::f32s {
        const POLYNOMIAL: [f32; 5] =
            [1.388_250_4e-3, 8.366_517e-3, 4.166_72e-2, 0.166_665_44, 0.499_999_97];
        /// Beyond this it is 1.
        const FAR: f32 = 9.1;
        let (one, two) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0));
        let a = within(simd, a, -FAR, FAR);
        let [n, exponent] = whole(simd, a, 2.0 * std::f32::consts::LOG2_E);
        let r =
            simd.mul_add_e_f32s(n, simd.splat_f32s(-std::f32::consts::LN_2), simd.add_f32s(a, a));
        let near = simd.mul_add_e_f32s(horner(simd, r, POLYNOMIAL), simd.mul_f32s(r, r), r);
        let power = scaled(simd, one, exponent);
        let m = simd.mul_add_e_f32s(power, near, simd.sub_f32s(power, one));
        simd.div_f32s(m, simd.add_f32s(m, two))
    }
}

/// The exponents for which the exponential is an ordinary number.
const LEAST: f32 = -87.0;
const MOST: f32 = 87.0;

/// `e^a`, held to what a power of two can be made of: `e^±87`.
#[inline(always)]
pub(super) fn exponential<S: Simd>(simd: S, a: S::f32s) -> S::f32s {
    const POLYNOMIAL: [f32; 7] =
        [1.381_457_2e-3, 8.368_714e-3, 4.166_839e-2, 0.166_665_21, 0.499_999_94, 1.0, 1.0];
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let a = within(simd, a, LEAST, MOST);
    let [n, exponent] = whole(simd, a, std::f32::consts::LOG2_E);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_HIGH), a);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
    scaled(simd, horner(simd, r, POLYNOMIAL), exponent)
}

/// `a`, or the bound it is beyond. What is not a number stays none: where registers hold several, the
/// instructions give the second number if one is none, or none.
#[inline(always)]
fn within<S: Simd>(simd: S, a: S::f32s, least: f32, most: f32) -> S::f32s {
    let (least, most) = (simd.splat_f32s(least), simd.splat_f32s(most));
    if S::IS_SCALAR {
        let a = simd.select_f32s(simd.less_than_f32s(a, least), least, a);
        simd.select_f32s(simd.less_than_f32s(most, a), most, a)
    } else {
        simd.min_f32s(most, simd.max_f32s(least, a))
    }
}

/// The whole number nearest to `a · factor`, and what a number's bits grow by when it is multiplied by
/// two to that power.
#[inline(always)]
fn whole<S: Simd>(simd: S, a: S::f32s, factor: f32) -> [S::f32s; 2] {
    // Adding this leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let round = simd.splat_f32s(ROUND);
    let shifted = simd.mul_add_e_f32s(a, simd.splat_f32s(factor), round);
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    [simd.sub_f32s(shifted, round), simd.transmute_f32s_u32s(exponent)]
}

/// `a · 2^n`, from what [`whole`] gives.
#[inline(always)]
fn scaled<S: Simd>(simd: S, a: S::f32s, exponent: S::f32s) -> S::f32s {
    let (a, exponent) = (simd.transmute_u32s_f32s(a), simd.transmute_u32s_f32s(exponent));
    simd.transmute_f32s_u32s(simd.add_u32s(a, exponent))
}

/// `c_0 · x^(n−1) + … + c_(n−1)`.
#[inline(always)]
fn horner<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for c in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*c));
    }
    sum
}

#[cfg(test)]
mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::flex::simd::{Isa, Lanes, lanes};

    /// Both activations of every number.
    struct Activate<'a, F>(&'a [F]);

    impl<F: Real> WithSimd for Activate<'_, F> {
        type Output = Vec<[F; 2]>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let mut results = Vec::with_capacity(self.0.len());
            for some in self.0.chunks(lanes::<S, F>()) {
                let mut results_of_some =
                    [vec![F::zero(); some.len()], vec![F::zero(); some.len()]];
                let a = Lanes::load(simd, some);
                a.sigmoid().store(&mut results_of_some[0]);
                a.tanh().store(&mut results_of_some[1]);
                let [sigmoid, tanh] = results_of_some;
                results.extend(sigmoid.into_iter().zip(tanh).map(|(s, t)| [s, t]));
            }
            results
        }
    }

    /// Every 1009th number there is, and the corners.
    fn numbers() -> Vec<f32> {
        let corners = [0.0, -0.0, 0.625, 88.0, -88.0, 1e30, -1e30, f32::INFINITY, -f32::INFINITY];
        let swept = (0..u32::MAX).step_by(1009).map(f32::from_bits);
        swept.filter(|a| !a.is_nan()).chain(corners).collect()
    }

    #[test]
    fn activations_are_within_their_bounds_everywhere() {
        let numbers = numbers();
        for isa in Isa::all() {
            for (a, [sigmoid, tanh]) in numbers.iter().zip(isa.run(Activate(&numbers))) {
                let expected = 1.0 / (1.0 + (-f64::from(*a)).exp());
                let error = (f64::from(sigmoid) - expected).abs();
                assert!(error <= 2e-7, "sigmoid of {a:e} on {isa:?}: {error:e}");
                let expected = num_traits::Float::tanh(f64::from(*a));
                let error = (f64::from(tanh) - expected).abs();
                let bound = 2e-7_f64.min(4e-7 * expected.abs());
                assert!(error <= bound, "tanh of {a:e} on {isa:?}: {error:e}");
            }
        }
    }

    #[test]
    fn activations_in_f64_are_the_standard_librarys() {
        let numbers = [-700.0, -1.5, -1e-300, 0.0, 0.3, 40.0, f64::INFINITY];
        for isa in Isa::all() {
            for (a, [sigmoid, tanh]) in numbers.iter().zip(isa.run(Activate(&numbers))) {
                assert_eq!(sigmoid, 1.0 / (1.0 + (-a).exp()));
                assert_eq!(tanh, num_traits::Float::tanh(*a));
            }
        }
    }

    /// Every number clipped, and 7 where that is not at its bound.
    struct Clip<'a, F>(&'a [F], f64);

    impl<F: Real> WithSimd for Clip<'_, F> {
        type Output = Vec<[F; 2]>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let seven = F::from(7.0).expect("a number");
            let some = self.0.chunks(lanes::<S, F>()).map(|some| {
                let mut results = [vec![F::zero(); some.len()], vec![F::zero(); some.len()]];
                let clipped = Lanes::load(simd, some).clip(self.1);
                clipped.store(&mut results[0]);
                clipped.passes_inside(self.1, Lanes::splat(simd, seven)).store(&mut results[1]);
                let [clipped, passed] = results;
                clipped.into_iter().zip(passed).map(|(c, p)| [c, p]).collect::<Vec<_>>()
            });
            some.flatten().collect()
        }
    }

    /// 0.1 is neither an `f32` nor an `f64`: what is clipped must still be found at its bound.
    #[track_caller]
    fn check_clip<F: Real>(isa: Isa) {
        let of = |a: f64| F::from(a).expect("a number");
        let (bound, zero, seven) = (of(0.1), F::zero(), of(7.0));
        let (most, least) = (F::infinity(), F::neg_infinity());
        let a = [of(0.05), -bound, of(-0.2), bound, of(3.0), -zero, most, least, F::nan()];
        // More than a register of every width.
        let a = a.repeat(4);
        let clipped = [a[0], -bound, -bound, bound, bound, zero, bound, -bound].repeat(4);
        let passed = [seven, zero, zero, zero, zero, seven, zero, zero].repeat(4);
        let results = isa.run(Clip(&a, 0.1));
        let (none, numbers): (Vec<_>, Vec<_>) =
            results.into_iter().enumerate().partition(|(n, _)| n % 9 == 8);
        for (_, [clipped, passed]) in none {
            assert!(clipped.is_nan(), "not a number is clipped to {clipped:?} on {isa:?}");
            assert_eq!(passed, seven, "what is not a number passes on {isa:?}");
        }
        for ((_, result), expected) in numbers.into_iter().zip(clipped.into_iter().zip(passed)) {
            assert_eq!((result[0], result[1]), expected, "on {isa:?}");
        }
    }

    #[test]
    fn clipping_holds_numbers_within_their_bound() {
        for isa in Isa::all() {
            check_clip::<f32>(isa);
            check_clip::<f64>(isa);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none_and_alone() {
        for isa in Isa::all() {
            let results = isa.run(Activate(&[f32::NAN, 1.0]));
            assert!(results[0][0].is_nan() && results[0][1].is_nan());
            assert!(!results[1][0].is_nan() && !results[1][1].is_nan());
        }
    }
}
