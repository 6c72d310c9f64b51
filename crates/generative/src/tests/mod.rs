//! What the models of this crate are held to.

mod autoencoder;
mod vae;
