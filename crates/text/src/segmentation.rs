//! What a token is, as data of a configuration.

use serde::{Deserialize, Serialize};

/// What a token is. Sizes count all ids, those of the specials and of extra tokens included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Segmentation {
    /// Every code point, blanks included.
    Characters {
        /// How often a character must occur to be known.
        #[serde(default = "one")]
        min_count: usize,
        /// The most ids.
        #[serde(default)]
        max_size: Option<usize>,
    },
    /// What stands between white space.
    Whitespace {
        /// How often a word must occur to be known.
        #[serde(default = "one")]
        min_count: usize,
        /// The most ids.
        #[serde(default)]
        max_size: Option<usize>,
    },
    /// The matches of a regular expression; what is between them is lost.
    Words {
        /// The expression, such as `\w+|[^\w\s]` for words and single punctuation marks.
        pattern: String,
        /// How often a word must occur to be known.
        #[serde(default = "one")]
        min_count: usize,
        /// The most ids.
        #[serde(default)]
        max_size: Option<usize>,
    },
    /// Byte-pair encoding over characters (Sennrich et al. 2016, Neural Machine Translation of Rare
    /// Words with Subword Units): from characters up, the most frequent pair becomes a token.
    Bpe {
        /// The most ids; fewer if no pair occurs twice any more.
        size: usize,
        /// How often a character must occur to be known.
        #[serde(default = "one")]
        min_count: usize,
    },
    /// The unigram language model (Kudo 2018, Subword Regularization): from many candidates down,
    /// those go that the likelihood of the corpus misses least.
    Unigram {
        /// The most ids; fewer if there are no more candidates.
        size: usize,
        /// How often a character must occur to be known.
        #[serde(default = "one")]
        min_count: usize,
    },
}

fn one() -> usize {
    1
}
