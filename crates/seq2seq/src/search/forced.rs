//! How likely given outputs are, step by step.

use recurrent_text::EOS;

use super::{
    Ending, Generator, Hypothesis, SearchError,
    greedy::hypotheses,
    seen::Seen,
    trace::{End, Trace},
    walk::{Choice, Live, walk},
};

/// What the model says about given outputs, one for each source, in tokens without `<s>` and
/// `</s>`. `</s>` is written after each. Any token may be in them, and the scores are
/// log-probabilities.
///
/// # Errors
///
/// If an output has an id outside the vocabulary, or the model gives log-probabilities that are not
/// numbers.
///
/// # Panics
///
/// If there are not as many outputs as sources, or what the generator says has the wrong shape.
pub fn forced<G: Generator>(
    generator: &G,
    outputs: &[Vec<u32>],
) -> Result<Vec<Hypothesis>, SearchError> {
    assert_eq!(outputs.len(), generator.sources(), "as many outputs as sources");
    let vocabulary = generator.vocabulary();
    for (output, tokens) in outputs.iter().enumerate() {
        if let Some(&token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(SearchError::Token { output, token, vocabulary });
        }
    }
    let mut given = Given { outputs, row: Vec::new(), ends: vec![None; outputs.len()] };
    let trace = walk(generator, &mut given)?;
    Ok(hypotheses(&trace, &given.ends, generator.source_lengths().as_deref()))
}

struct Given<'a> {
    outputs: &'a [Vec<u32>],
    row: Vec<f64>,
    ends: Vec<Option<End>>,
}

impl Choice for Given<'_> {
    fn choose(
        &mut self,
        live: &[Live],
        seen: &Seen,
        trace: &mut Trace,
    ) -> Result<Vec<Live>, SearchError> {
        let mut next = Vec::new();
        for (from, &Live { source, place, .. }) in live.iter().enumerate() {
            seen.read(from, source, &mut self.row)?;
            let token = self.outputs[source].get(seen.step).copied();
            let written = token.unwrap_or(EOS);
            let place = trace.write(place, from, written, self.row[written as usize]);
            match token {
                None => self.ends[source] = Some(End { place, ending: Ending::Written }),
                Some(_) => next.push(Live { source, place: Some(place), from }),
            }
        }
        Ok(next)
    }
}
