//! What is between the products of a model that runs on plain numbers, a register at a time: the same
//! equations as those of whole sequences.

use pulp::{Simd, WithSimd};

use super::{
    lstm,
    simd::{Isa, Lanes, lanes},
};
use crate::lstm::Gates;

/// One step of an LSTM for rows on the host: the gates `x · W_x + b + h · W_h`, `[R, G]`, and the state
/// before the step, which becomes that after it. Gates with peepholes are not for it.
///
/// # Shapes
///
/// - `gates`: `[R, G]`, `G = kind.count() · H`; `cell` and `hidden`: `[R, H]`
///
/// # Panics
///
/// If a shape is wrong, or there are peepholes.
pub fn lstm_step(gates: &[f32], kind: Gates, width: usize, cell: &mut [f32], hidden: &mut [f32]) {
    assert_ne!(kind, Gates::Peephole, "a step without peepholes");
    kind.assert_clip();
    assert_eq!(cell.len(), hidden.len(), "a cell for each hidden unit");
    assert_eq!(gates.len(), kind.count() * cell.len(), "a block of gates for each unit");
    if cell.is_empty() {
        return;
    }
    assert_eq!(cell.len() % width, 0, "rows of H units");
    Isa::detected().run(Step { gates, kind, width, cell, hidden });
}

struct Step<'a> {
    gates: &'a [f32],
    kind: Gates,
    width: usize,
    cell: &'a mut [f32],
    hidden: &'a mut [f32],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gates, kind, width, cell, hidden } = self;
        let rows = gates.chunks_exact(kind.count() * width);
        let states = cell.chunks_exact_mut(width).zip(hidden.chunks_exact_mut(width));
        let register = lanes::<S, f32>();
        for (gates, (cell, hidden)) in rows.zip(states) {
            for from in (0..width).step_by(register) {
                let count = register.min(width - from);
                let units = from..from + count;
                let mut blocks = [Lanes::splat(simd, 0.0); 4];
                for (n, block) in blocks.iter_mut().take(kind.count()).enumerate() {
                    *block = Lanes::load(simd, &gates[n * width + from..][..count]);
                }
                let before = Lanes::load(simd, &cell[units.clone()]);
                let (after, shown) = lstm::advance(simd, kind, blocks, before);
                after.store(&mut cell[units.clone()]);
                shown.store(&mut hidden[units]);
            }
        }
    }
}

/// The scores of additive attention for one query on the host: `Σ_a v_a · tanh(q_a + k_ja)` for every key
/// `k_j`.
///
/// # Shapes
///
/// - `query` and `v`: `[A]`; `keys`: `[S, A]`; `scores`: `[S]`
///
/// # Panics
///
/// If a shape is wrong.
pub fn additive_scores(query: &[f32], keys: &[f32], v: &[f32], scores: &mut [f32]) {
    assert_eq!(query.len(), v.len(), "as many features of a query as of v");
    assert_eq!(keys.len(), scores.len() * v.len(), "a key for each score");
    if v.is_empty() {
        scores.fill(0.0);
        return;
    }
    Isa::detected().run(Score { query, keys, v, scores });
}

struct Score<'a> {
    query: &'a [f32],
    keys: &'a [f32],
    v: &'a [f32],
    scores: &'a mut [f32],
}

impl WithSimd for Score<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, keys, v, scores } = self;
        let register = lanes::<S, f32>();
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(v.len())) {
            let parts = query.chunks(register).zip(key.chunks(register)).zip(v.chunks(register));
            let mut sum = Lanes::splat(simd, 0.0);
            for ((q, k), v) in parts {
                let y = (Lanes::load(simd, q) + Lanes::load(simd, k)).tanh();
                sum = y.times_plus(Lanes::load(simd, v), sum);
            }
            *score = sum.total();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flex::simd::forced;

    /// Numbers in (−2, 2).
    fn some(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * 37 + seed * 101) % 79) as f32 / 20.0 - 1.95).collect()
    }

    /// Every kind of gates, every instruction set, widths around a register, against the equations in
    /// `f64`.
    #[test]
    fn a_step_is_its_equations() {
        let kinds = [
            Gates::Original,
            Gates::Forget,
            Gates::Coupled,
            Gates::Gnmt { clip: None },
            Gates::Gnmt { clip: Some(0.5) },
        ];
        for isa in Isa::all() {
            for kind in kinds {
                for width in [1, 7, 8, 16, 19] {
                    let gates = some(3 * kind.count() * width, 1);
                    let before = some(3 * width, 2);
                    let (mut cell, mut hidden) = (before.clone(), some(3 * width, 3));
                    forced(isa, || lstm_step(&gates, kind, width, &mut cell, &mut hidden));
                    for n in 0..3 * width {
                        let (row, unit) = (n / width, n % width);
                        let gate = |block: usize| {
                            f64::from(gates[(row * kind.count() + block) * width + unit])
                        };
                        let sigma = |block: usize| 1.0 / (1.0 + (-gate(block)).exp());
                        let c = f64::from(before[n]);
                        let (c, o) = match kind {
                            Gates::Original => (c + sigma(0) * gate(1).tanh(), sigma(2)),
                            Gates::Coupled => {
                                (sigma(0) * c + (1.0 - sigma(0)) * gate(1).tanh(), sigma(2))
                            }
                            _ => (sigma(1) * c + sigma(0) * gate(2).tanh(), sigma(3)),
                        };
                        let c = c.clamp(-kind.clip().unwrap_or(9.0), kind.clip().unwrap_or(9.0));
                        let h = match kind {
                            Gates::Gnmt { .. } => o * c,
                            _ => o * c.tanh(),
                        };
                        let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 2e-6;
                        assert!(close(cell[n], c), "{kind:?}, {isa:?}: {} for {c}", cell[n]);
                        assert!(close(hidden[n], h), "{kind:?}, {isa:?}: {} for {h}", hidden[n]);
                    }
                }
            }
        }
    }

    #[test]
    fn scores_are_their_equation() {
        for isa in Isa::all() {
            for width in [1, 8, 17, 64] {
                let (query, keys, v) = (some(width, 1), some(5 * width, 2), some(width, 3));
                let mut scores = [0.0; 5];
                forced(isa, || additive_scores(&query, &keys, &v, &mut scores));
                for (score, key) in scores.iter().zip(keys.chunks(width)) {
                    let terms = query.iter().zip(key).zip(&v);
                    let expected: f64 =
                        terms.map(|((q, k), v)| f64::from(*v) * f64::from(q + k).tanh()).sum();
                    assert!((f64::from(*score) - expected).abs() < 1e-4, "{isa:?}, {width}");
                }
            }
        }
        additive_scores(&[], &[], &[], &mut [1.0; 2]);
    }

    #[test]
    fn nothing_is_a_step_too() {
        lstm_step(&[], Gates::Forget, 0, &mut [], &mut []);
    }

    #[test]
    #[should_panic(expected = "a block of gates for each unit")]
    fn gates_of_another_width_are_refused() {
        lstm_step(&[0.0; 7], Gates::Forget, 2, &mut [0.0; 2], &mut [0.0; 2]);
    }
}
