//! Loops that run in the widest vectors the machine has, and in two threads and more where they are
//! long.
//!
//! Neither changes a bit: a loop keeps its sums in [`LANES`] lanes whatever the width of a vector,
//! Rust joins no product with a sum on its own, and a block has the same bounds on every machine.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use pulp::Scalar;
use rayon::prelude::*;

use super::{Elements, Real, real, tensor};

/// Lanes of a sum.
pub(super) const LANES: usize = 16;

/// Elements that one thread does at a time.
pub(super) const BLOCK: usize = 4096;

/// From so many elements on a loop is worth a second thread.
pub(super) const LONG: usize = 1 << 17;

/// What loops need of a number beside [`Real`], one number at a time.
pub trait Wide: Real {
    /// `e^a`, in `f32` within 2e-7 of it and from `e^±87` on no further.
    fn exponential(self) -> Self;

    /// `1 / (1 + e^-a)`.
    fn gate(self) -> Self;

    /// The hyperbolic tangent.
    fn squashed(self) -> Self;

    /// The number in double precision.
    fn double(self) -> f64;

    /// The nearest number.
    fn of_double(a: f64) -> Self;

    /// The derivative of a sigmoid whose value is `self`.
    #[inline(always)]
    fn through_gate(self) -> Self {
        self * (Self::one() - self)
    }

    /// The derivative of a hyperbolic tangent whose value is `self`.
    #[inline(always)]
    fn through_squash(self) -> Self {
        Self::one() - self * self
    }
}

/// The functions of [`Real`] on registers of one number.
const ONE_BY_ONE: Scalar = Scalar;

impl Wide for f64 {
    fn exponential(self) -> Self {
        self.exp()
    }

    fn gate(self) -> Self {
        Self::sigmoid(ONE_BY_ONE, self)
    }

    fn squashed(self) -> Self {
        Self::hyperbolic_tangent(ONE_BY_ONE, self)
    }

    fn double(self) -> f64 {
        self
    }

    fn of_double(a: f64) -> Self {
        a
    }
}

impl Wide for f32 {
    #[inline(always)]
    fn exponential(self) -> Self {
        real::exponential(ONE_BY_ONE, self)
    }

    #[inline(always)]
    fn gate(self) -> Self {
        Self::sigmoid(ONE_BY_ONE, self)
    }

    #[inline(always)]
    fn squashed(self) -> Self {
        Self::hyperbolic_tangent(ONE_BY_ONE, self)
    }

    #[inline(always)]
    fn double(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn of_double(a: f64) -> Self {
        a as Self
    }
}

/// Defines a function over numbers `F: Wide`, or of another trait above it, that is compiled for several
/// widths of a vector; a call takes the widest there is.
macro_rules! wide {
    ($($(#[$doc:meta])* $vis:vis fn $name:ident$(<F: $bound:path>)?($($arg:ident: $ty:ty),* $(,)?) $(-> $out:ty)? $body:block)+) => {$(
        $(#[$doc])*
        #[cfg_attr(
            target_arch = "x86_64",
            expect(unsafe_code, reason = "a function for a wider vector is called where there is one")
        )]
        $vis fn $name<F: $crate::flex::wide::Wide$( + $bound)?>($($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            fn body<F: $crate::flex::wide::Wide$( + $bound)?>($($arg: $ty),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512<F: $crate::flex::wide::Wide$( + $bound)?>($($arg: $ty),*) $(-> $out)? {
                    body($($arg),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2<F: $crate::flex::wide::Wide$( + $bound)?>($($arg: $ty),*) $(-> $out)? {
                    body($($arg),*)
                }

                match $crate::flex::wide::Width::here() {
                    // SAFETY: `here` has found every feature that the function is compiled for.
                    $crate::flex::wide::Width::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::flex::wide::Width::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::flex::wide::Width::Least => {}
                }
            }
            body($($arg),*)
        }
    )+};
}
pub(crate) use wide;

/// How wide the vectors of this machine are.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Width {
    Avx512,
    Avx2,
    Least,
}

#[cfg(target_arch = "x86_64")]
impl Width {
    /// Asks the processor; the standard library remembers the answers.
    pub(crate) fn here() -> Self {
        let fused = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (fused, avx512) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            (false, _) => Self::Least,
        }
    }
}

/// `f` of every block of `x`, in the memory of `x` if nobody else has it.
pub(super) fn map<F: Wide>(
    mut x: FloatTensor<Flex>,
    f: impl Fn(&mut [F]) + Send + Sync,
) -> FloatTensor<Flex> {
    if is_whole::<F>(&x)
        && let Some(elements) = x.try_storage_mut::<F>()
    {
        blocks(elements, &f);
        return x;
    }
    let from = Elements::<F>::of(&x);
    let mut to = vec![F::zero(); from.get().len()];
    zip(&mut to, from.get(), &|to: &mut [F], from: &[F]| {
        to.copy_from_slice(from);
        f(to);
    });
    tensor(to, &x.shape())
}

/// `f` of every block of `x` beside the same block of `other`, in the memory of `x` if nobody else
/// has it.
pub(super) fn map_with<F: Wide>(
    x: FloatTensor<Flex>,
    other: &FloatTensor<Flex>,
    f: impl Fn(&mut [F], &[F]) + Send + Sync,
) -> FloatTensor<Flex> {
    let mut x = own::<F>(x);
    zip(x.storage_mut(), Elements::<F>::of(other).get(), &f);
    x
}

/// The tensor as one whose memory is its elements in order and belongs to nobody else: itself, or
/// else a copy.
pub(super) fn own<F: Wide>(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    match is_whole::<F>(&x) && x.is_unique() {
        true => x,
        false => tensor(Elements::<F>::of(&x).get().to_vec(), &x.shape()),
    }
}

/// Whether the memory of a tensor is its elements in order, and no more.
fn is_whole<F: Wide>(x: &FloatTensor<Flex>) -> bool {
    let whole = x.layout().contiguous_offsets();
    whole == Some((0, x.storage::<F>().len()))
}

fn blocks<F: Wide>(x: &mut [F], f: &(impl Fn(&mut [F]) + Send + Sync)) {
    if x.len() < LONG {
        return f(x);
    }
    x.par_chunks_mut(BLOCK).for_each(f);
}

fn zip<F: Wide>(x: &mut [F], other: &[F], f: &(impl Fn(&mut [F], &[F]) + Send + Sync)) {
    assert_eq!(x.len(), other.len(), "two tensors of one shape");
    if x.len() < LONG {
        return f(x, other);
    }
    x.par_chunks_mut(BLOCK).zip(other.par_chunks(BLOCK)).for_each(|(x, other)| f(x, other));
}

wide! {
    /// `Σ x`, in lanes of its own precision for [`BLOCK`] elements and from there on in `f64`.
    pub(super) fn sum(x: &[F]) -> f64 {
        let mut total = 0.0;
        for block in x.chunks(BLOCK) {
            let mut sums = [F::zero(); LANES];
            let (lanes, rest) = block.as_chunks::<LANES>();
            for lane in lanes {
                for (sum, a) in sums.iter_mut().zip(lane) {
                    *sum = *sum + *a;
                }
            }
            for (sum, a) in sums.iter_mut().zip(rest) {
                *sum = *sum + *a;
            }
            total += sums.iter().map(|sum| sum.double()).sum::<f64>();
        }
        total
    }

    /// `x ← c · x`.
    pub(super) fn scale(x: &mut [F], c: F) {
        for a in x {
            *a = *a * c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around a lane, a block, and the length from which threads share.
    const LENGTHS: [usize; 13] = [
        0,
        1,
        15,
        16,
        17,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        3 * BLOCK + 7,
        LONG - 1,
        LONG,
        LONG + 1,
        200_003,
    ];

    fn numbers(length: usize) -> Vec<f32> {
        (0..length).map(|n| (n as f32 * 0.7).sin()).collect()
    }

    /// The vectors of this machine give the bits of one number after the other, and every number is
    /// visited once.
    #[test]
    fn a_wide_loop_has_the_bits_of_a_plain_one() {
        for length in LENGTHS {
            let x = numbers(length);
            let expected: Vec<f32> = x.iter().map(|a| a * 3.3).collect();
            let scaled = map::<f32>(tensor(x.clone(), &[length]), |block| scale(block, 3.3));
            assert_eq!(scaled.as_slice::<f32>().unwrap(), expected);
            let added = map_with::<f32>(scaled, &tensor(x.clone(), &[length]), |to, from| {
                to.iter_mut().zip(from).for_each(|(to, from)| *to -= from);
            });
            let expected: Vec<f32> = expected.iter().zip(&x).map(|(a, b)| a - b).collect();
            assert_eq!(added.as_slice::<f32>().unwrap(), expected);
        }
    }

    #[test]
    fn exponentials_are_within_their_bound() {
        for n in -8600..8600 {
            let a = n as f32 / 100.0;
            let expected = f64::from(a).exp();
            assert!((a.exponential().double() / expected - 1.0).abs() < 2e-7, "{a}");
        }
        assert!(f32::NAN.exponential().is_nan());
    }

    #[test]
    fn a_sum_has_all_numbers_once() {
        for length in LENGTHS {
            let x: Vec<f64> = numbers(length).into_iter().map(f64::from).collect();
            let expected: f64 = x.iter().sum();
            assert!((sum(&x) - expected).abs() < 1e-9, "{length}");
            let single = sum(&numbers(length));
            assert!((single - expected).abs() < 1e-6 * (length as f64).max(1.0), "{length}");
        }
    }
}
