//! What makes outputs of different lengths comparable, and outputs that leave out parts of their
//! source worse.
//!
//! ```text
//! s(Y, X)  = log P(Y | X) / lp(Y) + cp(X; Y)
//! lp(Y)    = ((5 + |Y|) / (5 + 1))^α
//! cp(X; Y) = β · Σ_i log(min(Σ_j p_ij, 1))
//! ```
//!
//! `|Y|` are the tokens with `</s>`; `p_ij` is how much step `j` looked at position `i` of the
//! source, over the same steps. Only real positions count.
//!
//! Source: Wu et al. (2016), Google's Neural Machine Translation System, section 7, equation 14.

/// What a position counts as that was never looked at, so that its logarithm is finite.
const LEAST_COVERAGE: f64 = 1e-9;

/// `lp` of an output of `tokens` tokens, `</s>` included. At `α = 0` it is 1, at `α = 1` about
/// proportional to the length.
pub fn length_penalty(tokens: usize, alpha: f64) -> f64 {
    ((5.0 + tokens as f64) / 6.0).powf(alpha)
}

/// `cp` of an output that looked at each position of its source as often as `coverage` says. It is
/// 0 if every position was looked at once or more, or `β = 0`, and below 0 otherwise.
pub fn coverage_penalty(coverage: &[f64], beta: f64) -> f64 {
    beta * coverage.iter().map(|looks| looks.clamp(LEAST_COVERAGE, 1.0).ln()).sum::<f64>()
}
