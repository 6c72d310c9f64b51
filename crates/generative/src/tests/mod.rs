//! What the models of this crate are held to.

mod autoencoder;
mod hred;
mod sequence_vae;
mod vae;
mod vhred;
