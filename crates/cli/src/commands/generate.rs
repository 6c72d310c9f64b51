//! `recurrent generate`: texts that a language model writes, pictures that a variational autoencoder
//! draws.

use std::io::Write;

use anyhow::bail;
use recurrent_seq2seq::search::Sampling;

use super::pictures;
use crate::{
    args,
    folder::ModelFolder,
    picture_model::{AUTOENCODER, VAE},
    text_model::TextModel,
};

/// The most tokens of a text, if nothing else is said.
const LENGTH: usize = 500;

/// See [`args::Generate`].
///
/// # Errors
///
/// If the model is not whole or can do neither, an option is of the other, or the output cannot be
/// written.
pub fn run(arguments: &args::Generate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.name.open()?;
    let folder = ModelFolder::open(&arguments.model)?;
    if let Some(VAE | AUTOENCODER) = folder.kind() {
        return pictures::generate(arguments, &folder, &device, out);
    }
    let (text, model) = TextModel::load(&arguments.model, &device)?;
    let given = [("--out", arguments.out.is_some()), ("--label", arguments.label.is_some())];
    if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
        let model = arguments.model.display();
        bail!("{flag} is for a model of pictures, and {model} is a language model");
    }
    let prompt = arguments.prompt.as_deref().unwrap_or_default();
    let length = arguments.length.map_or(LENGTH, std::num::NonZero::get);
    let sampling = Sampling { count: arguments.count.get(), ..arguments.drawing.sampling() };
    for written in text.write(&model, prompt, &sampling, length)? {
        writeln!(out, "{prompt}{written}")?;
    }
    Ok(())
}
