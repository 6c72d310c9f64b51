//! The `recurrent` command: what is around the models.
//!
//! | a question | answered in |
//! |---|---|
//! | which commands and options are there | [`args`] |
//! | what does a command do | [`commands`] |
//! | what is learned from and measured on | [`data`] |
//! | what does a configuration say, and where is it wrong | [`settings`] |
//! | where does a model run, and what is there | [`device`], [`adapter`] |
//! | what is in the folder of a trained model | [`folder`], [`weights`], [`int8_weights`] |
//! | under which keys does PyTorch have the weights | [`pytorch`] |
//! | how does a file change in one piece | [`atomic`] |
//! | which models turn texts into texts | [`any_translator`] |
//! | which word looked at which | [`alignment`] |
//! | how do models and searches compare | [`comparison`] |
//! | from which language to which, how well | [`language_matrix`] |
//! | what does a training look like | [`picture`] |
//! | which pictures, in which files | [`picture_files`], [`idx`] |
//! | what does a model of pictures do, what does it make | [`picture_model`], [`gallery`] |
//! | which series, from which files; what does a model of series do | [`series_files`], [`series_model`], [`echo_state`], [`forecaster`] |
//! | which pictures are drawn of a latent variable of turns | [`latent_pictures`] |
//! | what is shown, and how is a run ended | [`terminal`], [`interrupt`], [`error`] |
//!
//! *Invariant:* no tensor arithmetic. What a person can get wrong is a typed error that names the
//! file, the line or field, the value and what it should have been; the process then ends with
//! code 2.

pub mod adapter;
pub mod alignment;
pub mod any_translator;
pub mod args;
pub mod atomic;
pub mod commands;
pub mod comparison;
pub mod data;
pub mod decode;
pub mod device;
pub mod dialogue_files;
pub mod dialogue_model;
pub mod echo_state;
pub mod error;
pub mod examples;
pub mod experiment;
pub mod flat_model;
pub mod folder;
pub mod forecaster;
pub mod gallery;
pub mod idx;
pub mod int8_weights;
pub mod interrupt;
pub mod language_matrix;
pub mod latent_pictures;
pub mod lines;
pub mod metric;
pub mod picture;
pub mod picture_files;
pub mod picture_model;
pub mod pytorch;
pub mod replies;
pub mod report;
pub mod reservoir_weights;
pub mod series_files;
pub mod series_model;
pub mod settings;
pub mod task;
pub mod terminal;
pub mod text_model;
pub mod text_to_text;
pub mod text_vae;
pub mod tokens;
pub mod weights;

#[cfg(test)]
mod tests;
