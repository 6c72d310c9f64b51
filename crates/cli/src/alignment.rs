//! Which source word each target word looked at, as a line of pairs `i-j`: the format of Pharaoh (Koehn
//! 2004) and of fast_align, source first, counted from 0.

use recurrent_text::Tokenizer;

/// A line of pairs, one for each word of the target: with the source word that its tokens looked at most.
/// `weights` has a row for each target token and in it one for each source token, those of `</s>` last;
/// they are left out.
///
/// Words are as in [`Tokenizer::words`].
pub fn pharaoh(
    (source, read): (&Tokenizer, &[u32]),
    (target, wrote): (&Tokenizer, &[u32]),
    weights: &[Vec<f32>],
) -> String {
    let (read, wrote) = (source.words(read), target.words(wrote));
    let count = |words: &[Option<usize>]| words.iter().flatten().max().map_or(0, |last| last + 1);
    let mut looked = vec![vec![0.0_f64; count(&read)]; count(&wrote)];
    for (word, weights) in wrote.iter().zip(weights) {
        let Some(word) = word else { continue };
        for (from, weight) in read.iter().zip(weights) {
            if let Some(from) = from {
                looked[*word][*from] += f64::from(*weight);
            }
        }
    }
    let pair = |(word, looked): (usize, &Vec<f64>)| {
        let most = looked.iter().enumerate().max_by(|(m, a), (n, b)| a.total_cmp(b).then(n.cmp(m)));
        most.map(|(from, _)| format!("{from}-{word}"))
    };
    looked.iter().enumerate().filter_map(pair).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use recurrent_text::{Segmentation, TokenizerConfig};

    use super::*;

    fn letters() -> Tokenizer {
        let segmentation = Segmentation::Characters { min_count: 1, max_size: None };
        TokenizerConfig::new(segmentation).train(["abc"]).unwrap()
    }

    /// Two subwords of one word look together; the first of equal ones is taken; `</s>` is not read.
    #[test]
    fn each_word_has_the_one_it_looked_at_most() {
        let segmentation = Segmentation::Bpe { size: 9, min_count: 1 };
        let subwords = TokenizerConfig::new(segmentation).train(["ab ab c"]).unwrap();
        let wrote = subwords.encode("ba c");
        assert_eq!(subwords.words(&wrote).iter().flatten().max(), Some(&1));
        let (letters, last) = (letters(), wrote.len() - 1);
        let read = letters.encode("abc");
        let mut weights = vec![vec![0.0, 0.3, 0.2, 0.5]; wrote.len() + 1];
        weights[0] = vec![0.6, 0.2, 0.1, 0.1];
        weights[last] = vec![0.2, 0.2, 0.2, 0.4];
        let line = pharaoh((&letters, &read), (&subwords, &wrote), &weights);
        assert_eq!(line, "1-0 0-1");
    }

    #[test]
    fn nothing_is_an_empty_line() {
        let letters = letters();
        assert_eq!(pharaoh((&letters, &[]), (&letters, &[]), &[vec![1.0]]), "");
        let wrote = letters.encode("a");
        assert_eq!(pharaoh((&letters, &[]), (&letters, &wrote), &[vec![1.0], vec![1.0]]), "");
    }
}
