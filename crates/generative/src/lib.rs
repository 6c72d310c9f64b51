//! Models from which something new can be drawn: autoencoders and variational ones, and models of
//! dialogue with a context and a latent variable.
//!
//! | model | in |
//! |---|---|
//! | autoencoder: dense, tied, denoising, sparse | [`Autoencoder`] |
//! | variational autoencoder, with its importance-weighted bound | [`Vae`] |
//! | the same of texts | [`SequenceVae`] |
//! | hierarchical recurrent encoder–decoder, of conversations | [`Hred`] |
//! | the same with a latent variable at every turn | [`Vhred`] |
//!
//! | a question | answered in |
//! |---|---|
//! | what is the divergence, how is drawn from a posterior | [`DiagonalGaussian`] |
//! | what does the divergence weigh | [`KlTerm`] |
//! | what is a latent variable used for, has it collapsed | [`LatentReport`] |
//! | what could a linear code do | [`PrincipalComponents`] |
//! | codes, pictures and measures as numbers | [`PictureModel`] |
//!
//! *Invariant:* randomness only where a sample is drawn, and by the moment of a training or a seed,
//! so that every device draws the same.

mod autoencoder;
mod bag_of_words;
mod context;
mod dense;
mod dialogue_model;
mod dialogues;
mod flat_dialogues;
mod gaussian;
mod hred;
mod kl_term;
mod latent_report;
mod measured_texts;
pub mod noise;
mod picture_model;
mod pictures;
mod principal_components;
pub mod reconstruction;
mod sequence_vae;
mod sizes;
mod turn_decoder;
mod turn_encoder;
mod vae;
mod vhred;

pub use autoencoder::{
    Autoencoder, AutoencoderConfig, DecoderWeights, Noise, Reconstruction, Sparsity,
};
pub use bag_of_words::{BagOfWords, WordTeller};
pub use context::{Context, ContextInput, ContextKind};
pub use dense::{Activation, Dense, DenseStack};
pub use dialogue_model::DialogueModel;
pub use dialogues::{Chunk, DialogueBatch, DialogueOrder, Dialogues, Turn, chosen};
pub use flat_dialogues::FlatDialogues;
pub use gaussian::{DiagonalGaussian, standard_log_density};
pub use hred::{CarriedContext, Hred, HredConfig, TurnGenerator};
pub use kl_term::{Annealing, FreeBits, KlTerm};
pub use latent_report::{Collapse, LatentReport, Latents, TurnKl};
pub use measured_texts::MeasuredTexts;
pub use picture_model::{MeasuredBound, PictureModel, standard_quantile};
pub use pictures::{Distortion, PictureBatch, PictureBatches, Pictures, Shown, one_hot};
pub use principal_components::PrincipalComponents;
pub use sequence_vae::{SequenceVae, SequenceVaeConfig, TextParts};
pub use turn_decoder::{ContextBias, ContextGate, TurnDecoder};
pub use turn_encoder::{Summary, TurnEncoder};
pub use vae::{Bound, Condition, Likelihood, Parts, Vae, VaeConfig};

pub use vhred::{GaussianNet, Latent, MadeFrom, TurnParts, Vhred, VhredConfig};

#[cfg(test)]
mod tests;
