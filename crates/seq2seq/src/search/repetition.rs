//! Outputs that do not say the same thing twice.

/// The tokens after which the last `n` of `tokens` would have been there before, `n ≥ 1`.
pub(super) fn repeating(tokens: &[u32], n: usize) -> Vec<u32> {
    let Some(start) = (tokens.len() + 1).checked_sub(n) else { return Vec::new() };
    let end = &tokens[start..];
    tokens.windows(n).filter(|window| window.starts_with(end)).map(|window| window[n - 1]).collect()
}
