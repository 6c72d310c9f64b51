//! What the models of this crate are held to.

mod autoencoder;
mod hred;
mod toys;
mod vae;
mod vhred;
