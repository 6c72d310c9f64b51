//! Noise in sources: words left out and words out of their order.
//!
//! Of a language that is learned from its own sentences, disturbed, copying is not enough: words have
//! to be found and put in order.
//!
//! ```text
//! <2es> estás ¿Cómo hoy?   →   ¿Cómo estás tú hoy?
//! ```
//!
//! Source: Lample et al. (2018), Unsupervised Machine Translation Using Monolingual Corpora Only,
//! section 2.3 ("Noise model").

use rand::{RngExt, SeedableRng, rngs::ChaCha12Rng};
use serde::{Deserialize, Serialize};

/// What is done to the words of a source, which are what stands between white space. As data of a
/// configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The share of words that are left out, from 0 to below 1. One word always stays.
    #[serde(default)]
    pub left_out: f64,
    /// How many places a word may move at most.
    #[serde(default)]
    pub moved: usize,
}

impl Noise {
    /// `text` disturbed, the same for the same `seed`, with one blank between words.
    ///
    /// ```text
    /// order of the words that stay:  by i + u_i,  u_i ~ U[0, moved + 1)
    /// ```
    ///
    /// # Panics
    ///
    /// If the share is not from 0 to below 1.
    pub fn disturb(&self, text: &str, seed: u64) -> String {
        assert!((0.0..1.0).contains(&self.left_out), "`left_out` is {}", self.left_out);
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let all = text.split_whitespace();
        let mut words: Vec<&str> =
            all.clone().filter(|_| rng.random::<f64>() >= self.left_out).collect();
        if words.is_empty() {
            words.extend(all.take(1));
        }
        let range = self.moved as f64 + 1.0;
        let place = |(i, word)| (i as f64 + range * rng.random::<f64>(), word);
        let mut placed: Vec<(f64, &str)> = words.into_iter().enumerate().map(place).collect();
        placed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        placed.into_iter().map(|(_, word)| word).collect::<Vec<&str>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(words: usize) -> String {
        (0..words).map(|n| n.to_string()).collect::<Vec<String>>().join(" ")
    }

    fn words(text: &str) -> Vec<usize> {
        text.split(' ').map(|word| word.parse().unwrap()).collect()
    }

    /// Of 10,000 words three in ten go: 7,000 stay, with a standard deviation of
    /// √(10,000 · 0.3 · 0.7) = 46. Their order stays.
    #[test]
    fn a_share_of_the_words_is_left_out() {
        let noise = Noise { left_out: 0.3, moved: 0 };
        let left = words(&noise.disturb(&sentence(10_000), 1));
        assert!((7_000 - 4 * 46..7_000 + 4 * 46).contains(&left.len()), "{}", left.len());
        assert!(left.is_sorted());
    }

    /// No word moves further than it may, some move as far, and none is lost.
    #[test]
    fn words_move_so_far_and_no_further() {
        let text = sentence(10_000);
        for moved in [1, 3] {
            let moved_text = words(&Noise { left_out: 0.0, moved }.disturb(&text, 2));
            let distances = moved_text.iter().enumerate().map(|(at, &was)| at.abs_diff(was));
            assert_eq!(distances.max(), Some(moved));
            let mut sorted = moved_text;
            sorted.sort_unstable();
            assert_eq!(sorted, words(&text));
        }
    }

    /// Without noise nothing happens; one word always stays; a seed draws the same again, another
    /// something else.
    #[test]
    fn something_stays_and_the_seed_decides() {
        let text = sentence(50);
        assert_eq!(Noise { left_out: 0.0, moved: 0 }.disturb(&text, 3), text);
        assert_eq!(Noise { left_out: 0.999, moved: 3 }.disturb("uno dos", 4), "uno");
        assert_eq!(Noise { left_out: 0.5, moved: 3 }.disturb("", 4), "");
        let noise = Noise { left_out: 0.2, moved: 3 };
        assert_eq!(noise.disturb(&text, 5), noise.disturb(&text, 5));
        assert_ne!(noise.disturb(&text, 5), noise.disturb(&text, 6));
    }

    #[test]
    fn a_configuration_has_no_unknown_keys() {
        let error = serde_json::from_str::<Noise>(r#"{"leftout":0.1}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `leftout`"), "{error}");
        let noise: Noise = serde_json::from_str(r#"{"left_out":0.1}"#).unwrap();
        assert_eq!(noise, Noise { left_out: 0.1, moved: 0 });
    }
}
