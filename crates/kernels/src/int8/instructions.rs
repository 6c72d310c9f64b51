//! The instructions that multiply bytes, found at run time.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256i, __m512i, _mm512_dpbusd_epi32, _mm512_set1_epi32};

#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

use super::{Group, INPUTS, OUTPUTS};

/// What is compiled for several instruction sets.
pub(super) trait Work {
    /// Does it. For the compiler to take this set's instructions, all of it has to be
    /// `inline(always)`.
    fn run<D: Dot>(self, dot: D);
}

/// Sums of products of bytes, exact as long as they fit 32 bits.
pub(super) trait Dot: Copy {
    /// The sums of a panel.
    type Sums: Copy;
    /// A group of weights as it is multiplied.
    type Weights: Copy;

    /// The most rows that are multiplied at once by 1, 2 and 4 panels: as many as there are registers
    /// for. None if it is never so many panels.
    const MOST_ROWS: [usize; 3];

    /// Nothing summed yet. `offsets` are what is summed too much if inputs are taken with the 128 that
    /// is in them.
    fn start(self, offsets: [i32; OUTPUTS]) -> Self::Sums;

    fn weights(self, group: &Group) -> Self::Weights;

    /// Adds the products of four inputs, 128 more than they are, with each output's weights.
    fn add(self, sums: Self::Sums, x: [u8; INPUTS], weights: Self::Weights) -> Self::Sums;

    fn finish(self, sums: Self::Sums) -> [i32; OUTPUTS];
}

/// The instruction sets that multiply bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instructions {
    /// AVX-512 with the neural network instructions: 64 products in one.
    #[cfg(target_arch = "x86_64")]
    Vnni(Vnni),
    /// 32 products in three.
    #[cfg(target_arch = "x86_64")]
    Avx2(V3),
    /// What every processor of the architecture has.
    Portable,
}

impl Instructions {
    /// The best ones that this processor has.
    pub(super) fn detected() -> Self {
        #[cfg(test)]
        if let Some(forced) = FORCED.get() {
            return forced;
        }
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(vnni) = Vnni::try_new() {
                return Self::Vnni(vnni);
            }
            if let Some(v3) = V3::try_new() {
                return Self::Avx2(v3);
            }
        }
        Self::Portable
    }

    /// All that this processor has, the best first.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Vnni::try_new().map(Self::Vnni));
            all.extend(V3::try_new().map(Self::Avx2));
        }
        all.push(Self::Portable);
        all
    }

    /// Does `work` compiled for these instructions.
    pub(super) fn run(self, work: impl Work) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(vnni) => vnni.run(work),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(v3) => v3.vectorize(With { work, dot: v3 }),
            Self::Portable => work.run(Portable),
        }
    }
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Instructions>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with other instructions than the detected ones.
#[cfg(test)]
pub(super) fn forced<T>(instructions: Instructions, f: impl FnOnce() -> T) -> T {
    let before = FORCED.replace(Some(instructions));
    let result = f();
    FORCED.set(before);
    result
}

/// Some work and with what to do it.
#[cfg(target_arch = "x86_64")]
struct With<W, D> {
    work: W,
    dot: D,
}

#[cfg(target_arch = "x86_64")]
impl<W: Work, D: Dot> pulp::NullaryFnOnce for With<W, D> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.work.run(self.dot);
    }
}

/// There only where the processor has AVX-512 with the neural network instructions.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Vnni {
    _base: V4,
}

#[cfg(target_arch = "x86_64")]
impl Vnni {
    fn try_new() -> Option<Self> {
        let _base = V4::try_new()?;
        std::is_x86_feature_detected!("avx512vnni").then_some(Self { _base })
    }

    fn run(self, work: impl Work) {
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vnni")]
        fn vectorized<W: Work>(work: W, vnni: Vnni) {
            work.run(vnni);
        }
        // SAFETY: the processor has them all, or there were no `self`.
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        unsafe {
            vectorized(work, self);
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Vnni {
    type Sums = __m512i;
    type Weights = __m512i;

    const MOST_ROWS: [usize; 3] = [8, 8, 2];

    #[inline(always)]
    fn start(self, offsets: [i32; OUTPUTS]) -> __m512i {
        bytemuck::cast(offsets)
    }

    #[inline(always)]
    fn weights(self, group: &Group) -> __m512i {
        bytemuck::cast(group.0)
    }

    #[inline(always)]
    fn add(self, sums: __m512i, x: [u8; INPUTS], weights: __m512i) -> __m512i {
        // SAFETY: the processor has them, or there were no `self`.
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        unsafe {
            _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(i32::from_ne_bytes(x)), weights)
        }
    }

    #[inline(always)]
    fn finish(self, sums: __m512i) -> [i32; OUTPUTS] {
        bytemuck::cast(sums)
    }
}

/// The instruction multiplies numbers from 0 to 255 by signed ones and adds up two products in 16 bits,
/// which two of 255 · 127 do not fit. So the weights go without their signs and the inputs get them:
/// `2 · 128 · 127 < 2¹⁵`.
#[cfg(target_arch = "x86_64")]
impl Dot for V3 {
    type Sums = [__m256i; 2];
    /// The signed weights and the weights without their signs.
    type Weights = [[__m256i; 2]; 2];

    const MOST_ROWS: [usize; 3] = [4, 0, 0];

    #[inline(always)]
    fn start(self, _: [i32; OUTPUTS]) -> Self::Sums {
        [self.avx._mm256_setzero_si256(); 2]
    }

    #[inline(always)]
    fn weights(self, group: &Group) -> Self::Weights {
        let signed: [__m256i; 2] = bytemuck::cast(group.0);
        [signed, signed.map(|signed| self.avx2._mm256_abs_epi8(signed))]
    }

    #[inline(always)]
    fn add(self, sums: Self::Sums, x: [u8; INPUTS], weights: Self::Weights) -> Self::Sums {
        let (avx, avx2) = (self.avx, self.avx2);
        let x = avx._mm256_set1_epi32(i32::from_ne_bytes(x));
        let x = avx2._mm256_xor_si256(x, avx._mm256_set1_epi8(i8::MIN));
        let [signed, unsigned] = weights;
        let add = |half: usize| {
            let x = avx2._mm256_sign_epi8(x, signed[half]);
            let pairs = avx2._mm256_maddubs_epi16(unsigned[half], x);
            let fours = avx2._mm256_madd_epi16(pairs, avx._mm256_set1_epi16(1));
            avx2._mm256_add_epi32(sums[half], fours)
        };
        [add(0), add(1)]
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums) -> [i32; OUTPUTS] {
        bytemuck::cast(sums)
    }
}

/// One product after the other, on any processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Dot for Portable {
    type Sums = [i32; OUTPUTS];
    type Weights = [i8; OUTPUTS * INPUTS];

    const MOST_ROWS: [usize; 3] = [1, 0, 0];

    #[inline(always)]
    fn start(self, _: [i32; OUTPUTS]) -> Self::Sums {
        [0; OUTPUTS]
    }

    #[inline(always)]
    fn weights(self, group: &Group) -> Self::Weights {
        group.0
    }

    #[inline(always)]
    fn add(self, mut sums: Self::Sums, x: [u8; INPUTS], weights: Self::Weights) -> Self::Sums {
        let x = x.map(|x| i32::from(x) - 128);
        for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<INPUTS>().0) {
            for (x, weight) in x.iter().zip(weights) {
                *sum += x * i32::from(*weight);
            }
        }
        sums
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums) -> [i32; OUTPUTS] {
        sums
    }
}
