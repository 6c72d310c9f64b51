//! How many tokens a model is in doubt between.

/// `exp(nll / tokens)`, for the negative log-likelihood of `tokens` tokens in nats. `</s>` counts as
/// a token, `<s>` and `<pad>` do not.
///
/// # Panics
///
/// If there is no token.
pub fn perplexity(nll: f64, tokens: usize) -> f64 {
    assert!(tokens > 0, "perplexity needs at least one token, got none");
    (nll / tokens as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden number of the specification, 13.4.
    #[test]
    fn a_uniform_choice_between_v_tokens_has_perplexity_v() {
        let v = 37.0_f64;
        assert!((perplexity(5.0 * v.ln(), 5) - v).abs() < 1e-12);
    }

    #[test]
    #[should_panic(expected = "perplexity needs at least one token, got none")]
    fn no_token_is_refused() {
        perplexity(0.0, 0);
    }
}
