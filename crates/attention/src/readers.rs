//! Many rows of queries over few memories.
//!
//! The hypotheses of a beam look at the source they have in common. Its memory stays where it is, and
//! the queries come to it: those of one source stand side by side, as if they were steps of one
//! sequence, and what they got to see goes back to where they came from.
//!
//! ```text
//! [R, T, ·]  →  [B, W·T, ·]          W: the most rows that look at one source
//! ```
//!
//! Where a source has fewer than `W` readers, its last places are filled with queries of row 0, and
//! nobody takes what they got to see.

use burn::prelude::*;

/// Which source each row of queries looks at.
#[derive(Clone, Debug)]
pub struct Readers {
    /// `[R]`.
    of: Vec<usize>,
    /// Sources, `B`.
    sources: usize,
    /// `W`.
    places: usize,
    /// The ways there and back; none where rows stand in their places already.
    moves: Option<Moves>,
}

#[derive(Clone, Debug)]
struct Moves {
    /// The row in each place, `[B · W]`.
    row: Tensor<1, Int>,
    /// The place of each row, `[R]`.
    place: Tensor<1, Int>,
}

impl Readers {
    /// Row `r` looks at source `of[r]` of `sources`.
    ///
    /// # Panics
    ///
    /// If there is no row, or a source is not there.
    pub(crate) fn new(of: Vec<usize>, sources: usize, device: &Device) -> Self {
        let mut counts = vec![0; sources];
        let mut nth = Vec::with_capacity(of.len());
        for &source in &of {
            nth.push(counts[source]);
            counts[source] += 1;
        }
        let places = counts.into_iter().max().unwrap_or(0);
        assert!(places > 0, "a memory has at least one reader");
        let place: Vec<usize> = of.iter().zip(nth).map(|(of, nth)| of * places + nth).collect();
        let in_place = place.iter().copied().eq(0..sources * places);
        let moves = (!in_place).then(|| {
            let mut row = vec![0; sources * places];
            place.iter().enumerate().for_each(|(r, place)| row[*place] = r);
            Moves { row: indices(&row, device), place: indices(&place, device) }
        });
        Self { of, sources, places, moves }
    }

    /// The source of each row, `[R]`.
    pub fn of(&self) -> &[usize] {
        &self.of
    }

    /// Queries `[R, T, Q]` in front of their memories, `[B, W·T, Q]`.
    ///
    /// # Panics
    ///
    /// If there are not `R`.
    pub(crate) fn gather(&self, queries: Tensor<3>) -> Tensor<3> {
        let [rows, steps, width] = queries.dims();
        assert_eq!(rows, self.of.len(), "as many rows of queries as readers");
        let queries = match &self.moves {
            None => queries,
            Some(moves) => queries.select(0, moves.row.clone()),
        };
        queries.reshape([self.sources, self.places * steps, width])
    }

    /// What was seen, `[B, W·T, ·]`, back where the queries came from, `[R, T, ·]`.
    pub(crate) fn scatter(&self, seen: Tensor<3>) -> Tensor<3> {
        let [_, steps, width] = seen.dims();
        let steps = steps / self.places;
        let seen = seen.reshape([self.sources * self.places, steps, width]);
        match &self.moves {
            None => seen,
            Some(moves) => seen.select(0, moves.place.clone()),
        }
    }
}

pub(crate) fn indices(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
    Tensor::from_data(rows.as_slice(), device)
}
