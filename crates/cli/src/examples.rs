//! Pairs of texts as ids, and batches of them.

use std::sync::Arc;

use recurrent_seq2seq::{PairBatch, TextBatch, search::LengthRatio};
use recurrent_text::{BatchError, Bucketing, Buckets, Length, Pair, Tokenizer};
use recurrent_training::Batches;

use crate::{
    folder::{ModelFolder, Part},
    tokens::read_tokenizer,
};

/// The tokenisers of both sides.
#[derive(Clone, Debug)]
pub enum Tokenizers {
    /// One for both.
    Shared(Tokenizer),
    /// One for each.
    Separate {
        /// Of the sources.
        source: Tokenizer,
        /// Of the targets.
        target: Tokenizer,
    },
}

impl Tokenizers {
    /// That of the sources.
    pub fn source(&self) -> &Tokenizer {
        let (Self::Shared(source) | Self::Separate { source, .. }) = self;
        source
    }

    /// That of the targets.
    pub fn target(&self) -> &Tokenizer {
        let (Self::Shared(target) | Self::Separate { target, .. }) = self;
        target
    }

    /// Ids of the source and of the target.
    pub fn sizes(&self) -> [usize; 2] {
        [self.source().size(), self.target().size()]
    }

    /// Whether both have the same tokens under the same ids.
    pub fn same(&self, other: &Self) -> bool {
        let tokens = |tokenizer: &Tokenizer| tokenizer.vocabulary().tokens().to_vec();
        tokens(self.source()) == tokens(other.source())
            && tokens(self.target()) == tokens(other.target())
    }

    /// Those of a model folder.
    ///
    /// # Errors
    ///
    /// If a file is missing or damaged.
    pub fn open(folder: &ModelFolder) -> anyhow::Result<Self> {
        if folder.has(Part::Tokenizer) {
            return Ok(Self::Shared(read_tokenizer(folder, Part::Tokenizer)?));
        }
        Ok(Self::Separate {
            source: read_tokenizer(folder, Part::SourceTokenizer)?,
            target: read_tokenizer(folder, Part::TargetTokenizer)?,
        })
    }

    /// Writes them into a model folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &mut ModelFolder) -> anyhow::Result<()> {
        let files = match self {
            Self::Shared(both) => vec![(Part::Tokenizer, both)],
            Self::Separate { source, target } => {
                vec![(Part::SourceTokenizer, source), (Part::TargetTokenizer, target)]
            }
        };
        for (part, tokenizer) in files {
            folder.write(part, tokenizer.to_json().as_bytes())?;
        }
        Ok(())
    }
}

/// Pairs as ids, without special ones.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Sources.
    pub sources: Vec<Vec<u32>>,
    /// Targets.
    pub targets: Vec<Vec<u32>>,
}

impl Examples {
    /// The ids of `pairs`.
    pub fn new(pairs: &[Pair], tokenizers: &Tokenizers) -> Self {
        Self {
            sources: pairs.iter().map(|pair| tokenizers.source().encode(&pair.source)).collect(),
            targets: pairs.iter().map(|pair| tokenizers.target().encode(&pair.target)).collect(),
        }
    }

    /// How many tokens sources and targets have, `</s>` included.
    fn lengths(&self) -> Vec<Length> {
        let pairs = self.sources.iter().zip(&self.targets);
        pairs.map(|(x, y)| Length { source: x.len() + 1, target: y.len() + 1 }).collect()
    }

    /// How long outputs get.
    pub fn length_ratio(&self) -> Option<LengthRatio> {
        let pairs = self.sources.iter().zip(&self.targets);
        LengthRatio::fit(pairs.map(|(x, y)| (x.len(), y.len())))
    }

    /// The most tokens of a source.
    pub fn longest_source(&self) -> usize {
        self.sources.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// Batches of examples of similar length.
#[derive(Clone, Debug)]
pub struct PairBatches {
    examples: Arc<Examples>,
    buckets: Buckets,
}

impl PairBatches {
    /// Batches of `examples`.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn new(examples: Examples, bucketing: &Bucketing) -> Result<Self, BatchError> {
        let buckets = bucketing.plan(examples.lengths())?;
        Ok(Self { examples: Arc::new(examples), buckets })
    }

    /// Batches of all `examples`, however long: for what is measured.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn of_all(examples: Examples, bucketing: &Bucketing) -> Result<Self, BatchError> {
        let bucketing = bucketing.of_all(&examples.lengths());
        Self::new(examples, &bucketing)
    }

    /// Examples that are too long to be in any batch.
    pub fn left_out(&self) -> usize {
        self.buckets.dropped()
    }
}

impl Batches for PairBatches {
    type Plan = Vec<usize>;
    type Batch = PairBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
        self.buckets.epoch(seed, epoch as u64)
    }

    fn batch(&self, rows: &Vec<usize>) -> PairBatch {
        let pick = |texts: &[Vec<u32>]| -> Vec<Vec<u32>> {
            rows.iter().map(|row| texts[*row].clone()).collect()
        };
        PairBatch::new(&pick(&self.examples.sources), &pick(&self.examples.targets))
    }
}

/// Batches of texts of similar length.
#[derive(Clone, Debug)]
pub struct TextBatches {
    texts: Arc<Vec<Vec<u32>>>,
    buckets: Buckets,
}

impl TextBatches {
    /// Batches of `texts`, ids without special ones.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn new(texts: Vec<Vec<u32>>, bucketing: &Bucketing) -> Result<Self, BatchError> {
        let buckets = bucketing.plan(Self::lengths(&texts))?;
        Ok(Self { texts: Arc::new(texts), buckets })
    }

    /// Batches of all `texts`, however long: for what is measured.
    ///
    /// # Errors
    ///
    /// If batches cannot be made of them.
    pub fn of_all(texts: Vec<Vec<u32>>, bucketing: &Bucketing) -> Result<Self, BatchError> {
        let bucketing = bucketing.of_all(&Self::lengths(&texts));
        Self::new(texts, &bucketing)
    }

    /// Texts that are too long to be in any batch.
    pub fn left_out(&self) -> usize {
        self.buckets.dropped()
    }

    fn lengths(texts: &[Vec<u32>]) -> Vec<Length> {
        texts.iter().map(|text| Length { source: text.len() + 1, target: 0 }).collect()
    }
}

impl Batches for TextBatches {
    type Plan = Vec<usize>;
    type Batch = TextBatch;

    fn epoch(&self, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
        self.buckets.epoch(seed, epoch as u64)
    }

    fn batch(&self, rows: &Vec<usize>) -> TextBatch {
        let texts: Vec<&[u32]> = rows.iter().map(|row| self.texts[*row].as_slice()).collect();
        TextBatch::sentences(&texts)
    }
}
