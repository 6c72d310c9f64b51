//! Whole runs of the program on a tiny task: words of one to five letters, to be spelled backward.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_data;
mod bad_settings;
mod configurations;
mod converting;
mod dialogues;
mod evaluating;
mod fine_tuning;
mod generating;
mod interrupted;
mod languages;
mod pictures;
mod series;
mod text_vae;
mod training;
mod translating;
mod workshop;
