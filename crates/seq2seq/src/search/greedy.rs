//! The likeliest token at every step.

use recurrent_text::EOS;

use super::{
    Ending, Generator, Hypothesis, Limits, SearchError,
    normal::highest,
    seen::Seen,
    trace::{End, Trace},
    walk::{Choice, Live, walk},
};

/// One output for each source, in the order of the sources: at every step the likeliest token, of
/// equals the one with the lowest id. Its score is its log-probability.
///
/// # Errors
///
/// If limits contradict each other, or the model gives log-probabilities that are not numbers.
///
/// # Panics
///
/// If there are not as many limits as sources, or what the generator says has the wrong shape.
pub fn greedy<G: Generator>(
    generator: &G,
    limits: &Limits,
) -> Result<Vec<Hypothesis>, SearchError> {
    limits.check(generator.sources())?;
    let mut likeliest =
        Likeliest { limits, row: Vec::new(), ends: vec![None; generator.sources()] };
    let trace = walk(generator, &mut likeliest)?;
    Ok(hypotheses(&trace, &likeliest.ends, generator.source_lengths().as_deref()))
}

/// The hypotheses of one end for each source.
pub(super) fn hypotheses(
    trace: &Trace,
    ends: &[Option<End>],
    lengths: Option<&[usize]>,
) -> Vec<Hypothesis> {
    let hypothesis = |(source, end): (usize, &Option<End>)| {
        let end = end.expect("nothing goes on, so all have ended");
        trace.hypothesis(end, lengths.map(|lengths| lengths[source]))
    };
    ends.iter().enumerate().map(hypothesis).collect()
}

/// The likeliest token, of equals the one with the lowest id.
pub(super) fn likeliest(row: &[f64]) -> u32 {
    let best = highest(row);
    row.iter().position(|log_prob| *log_prob == best).unwrap_or(0) as u32
}

struct Likeliest<'a> {
    limits: &'a Limits,
    row: Vec<f64>,
    ends: Vec<Option<End>>,
}

impl Choice for Likeliest<'_> {
    fn choose(
        &mut self,
        live: &[Live],
        seen: &Seen,
        trace: &mut Trace,
    ) -> Result<Vec<Live>, SearchError> {
        let mut next = Vec::new();
        for (from, &Live { source, place, .. }) in live.iter().enumerate() {
            seen.read(from, source, &mut self.row)?;
            let closed = self.limits.restrict(source, seen.step, &[], &mut self.row);
            let token = if closed.is_some() { EOS } else { likeliest(&self.row) };
            let place = trace.write(place, from, token, self.row[token as usize]);
            if token == EOS {
                let ending = closed.unwrap_or(Ending::Written);
                self.ends[source] = Some(End { place, ending });
            } else {
                next.push(Live { source, place: Some(place), from });
            }
        }
        Ok(next)
    }
}
