//! What every model has in common that writes a sequence for a sequence.

use crate::search::Generator;

/// A model from sequences to sequences, as search sees it.
pub trait Translator {
    /// The model in front of its encoded sources.
    type Generator<'m>: Generator
    where
        Self: 'm;

    /// The sources as something search can write from. `sources` are ids without special ones.
    ///
    /// # Panics
    ///
    /// If there is no source.
    fn generator<R: AsRef<[u32]>>(&self, sources: &[R]) -> Self::Generator<'_>;
}
