//! Tests that need more than one file of this crate.

mod sacrebleu;
