//! Encoders, decoders, sequence heads and the search for the best output.

pub mod search;
