//! The loop of every search: a step, a choice, a move of the state.

use super::{
    Generator, SearchError,
    seen::Seen,
    trace::{Place, Trace},
};

/// A hypothesis in the making: one row of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    /// The source it is an output of.
    pub(super) source: usize,
    /// Its last token.
    pub(super) place: Place,
    /// The row it comes from, of the batch before.
    pub(super) from: usize,
}

/// What a search makes of a step.
pub(super) trait Choice {
    /// The hypotheses that go on, written into the trace. `live` are those that the step was for, a
    /// row each; the hypotheses of a source stay together.
    fn choose(
        &mut self,
        live: &[Live],
        seen: &Seen,
        trace: &mut Trace,
    ) -> Result<Vec<Live>, SearchError>;
}

/// Runs `generator` from its start until nothing goes on.
///
/// # Panics
///
/// If what the generator says has the wrong shape, or it gives weights without the lengths of its
/// sources or lengths without weights.
pub(super) fn walk<G: Generator>(
    generator: &G,
    choice: &mut impl Choice,
) -> Result<Trace, SearchError> {
    let mut trace = Trace::default();
    let start = |source| Live { source, place: None, from: source };
    let mut live: Vec<Live> = (0..generator.sources()).map(start).collect();
    if live.is_empty() {
        return Ok(trace);
    }
    let looks_at_sources = generator.source_lengths().is_some();
    let mut state = generator.start();
    for step in 0.. {
        let last: Vec<u32> = live.iter().map(|row| trace.token(row.place)).collect();
        let (seen, looks, after) = Seen::step(generator, step, &last, state);
        assert_eq!(looks.is_some(), looks_at_sources, "weights come with lengths of sources");
        trace.begin(looks);
        let next = choice.choose(&live, &seen, &mut trace)?;
        if next.is_empty() {
            break;
        }
        let rows: Vec<usize> = next.iter().map(|row| row.from).collect();
        let stays = rows.iter().copied().eq(0..live.len());
        state = if stays { after } else { generator.reorder(after, &rows) };
        live = next;
    }
    Ok(trace)
}
