//! From sources to outputs, many at a time.

use recurrent_seq2seq::{
    Translator,
    search::{
        Beam, Ensemble, Generator, Hypothesis, LengthRatio, Limits, Sampling, SearchError, beam,
        forced, greedy, sample_numbered,
    },
};

/// The most tokens, padding included, of sources that are decoded together.
const TOKENS: usize = 4096;

/// How outputs are searched for.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The likeliest token at every step.
    Greedy,
    /// The best of several hypotheses.
    Beam(Beam),
    /// By chance.
    Sample(Sampling),
}

/// Models that decode together, and how.
#[derive(Debug)]
pub struct Decoding<'m, M> {
    /// One model, or an ensemble.
    pub models: &'m [M],
    /// How long outputs get.
    pub ratio: LengthRatio,
    /// How they are searched for.
    pub search: Search,
}

impl<M: Translator> Decoding<'_, M> {
    /// The outputs of every source, best first, in the order of the sources. `sources` are ids
    /// without special ones, each with a number, so that what is drawn for a source does not depend
    /// on which others are decoded at once.
    ///
    /// # Errors
    ///
    /// If the search is out of its ranges, or a model does not give numbers.
    pub fn outputs(
        &self,
        sources: &[(u64, Vec<u32>)],
    ) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
        let mut found = vec![Vec::new(); sources.len()];
        for rows in batches(sources) {
            let batch: Vec<&[u32]> = rows.iter().map(|row| sources[*row].1.as_slice()).collect();
            let numbers: Vec<u64> = rows.iter().map(|row| sources[*row].0).collect();
            for (row, outputs) in rows.into_iter().zip(self.batch(&batch, &numbers)?) {
                found[row] = outputs;
            }
        }
        Ok(found)
    }

    fn batch(
        &self,
        sources: &[&[u32]],
        numbers: &[u64],
    ) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
        let generators = self.models.iter().map(|model| model.generator(sources));
        let mut generators: Vec<_> = generators.collect();
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        if generators.len() == 1 {
            let one = generators.remove(0);
            return self.search(&one, &lengths, numbers);
        }
        let ensemble = Ensemble::new(generators).expect("models that decode together fit");
        self.search(&ensemble, &lengths, numbers)
    }

    fn search<G: Generator>(
        &self,
        generator: &G,
        lengths: &[usize],
        numbers: &[u64],
    ) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
        written(generator, &self.search, &self.ratio.limits(lengths), numbers)
    }
}

/// What a generator writes for each of its sources, best first; `numbers` are those of the sources, by
/// which is drawn.
///
/// # Errors
///
/// If the search is out of its ranges, or the model does not give numbers.
pub fn written<G: Generator>(
    generator: &G,
    search: &Search,
    limits: &Limits,
    numbers: &[u64],
) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
    match search {
        Search::Greedy => {
            Ok(greedy(generator, limits)?.into_iter().map(|best| vec![best]).collect())
        }
        Search::Beam(settings) => beam(generator, settings, limits),
        Search::Sample(settings) => sample_numbered(generator, settings, limits, numbers),
    }
}

/// How likely the models, one or an ensemble, find `targets` for `sources`, both ids without special
/// ones, in their order.
///
/// # Errors
///
/// If a model does not give numbers.
pub fn scored<M: Translator>(
    models: &[M],
    sources: &[Vec<u32>],
    targets: &[Vec<u32>],
) -> Result<Vec<Hypothesis>, SearchError> {
    let numbered: Vec<(u64, Vec<u32>)> = (0..).zip(sources.iter().cloned()).collect();
    let mut found = vec![None; sources.len()];
    for rows in batches(&numbered) {
        let of = |texts: &[Vec<u32>]| -> Vec<Vec<u32>> {
            rows.iter().map(|row| texts[*row].clone()).collect()
        };
        let (sources, targets) = (of(sources), of(targets));
        let generators = models.iter().map(|model| model.generator(&sources)).collect();
        let together = Ensemble::new(generators).expect("models that score together fit");
        for (row, hypothesis) in rows.into_iter().zip(forced(&together, &targets)?) {
            found[row] = Some(hypothesis);
        }
    }
    Ok(found.into_iter().map(|found| found.expect("every row is in one batch")).collect())
}

/// Rows of similar length together, longest first, within a budget of tokens.
fn batches(sources: &[(u64, Vec<u32>)]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|row| std::cmp::Reverse(sources[*row].1.len()));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut widest = 0;
    for row in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * widest <= TOKENS => batch.push(row),
            _ => {
                widest = sources[row].1.len() + 1;
                batches.push(vec![row]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_batch_within_the_budget() {
        let sources: Vec<_> = (0..2000).map(|n| (0, vec![5; n * 7 % 40])).collect();
        let batches = batches(&sources);
        let mut rows: Vec<usize> = batches.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..2000).collect::<Vec<_>>());
        for batch in batches {
            let widest = batch.iter().map(|row| sources[*row].1.len() + 1).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * widest <= TOKENS);
        }
    }
}
