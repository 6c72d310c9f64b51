//! `recurrent generate`: texts that a language model writes.

use std::io::Write;

use recurrent_seq2seq::search::Sampling;

use crate::{args, text_model::TextModel};

/// See [`args::Generate`].
///
/// # Errors
///
/// If the model is not whole or no language model, or the output cannot be written.
pub fn run(arguments: &args::Generate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.name.open()?;
    let (text, model) = TextModel::load(&arguments.model, &device)?;
    let sampling = Sampling { count: arguments.count.get(), ..arguments.drawing.sampling() };
    for written in text.write(&model, &arguments.prompt, &sampling, arguments.length.get())? {
        writeln!(out, "{}{}", arguments.prompt, written)?;
    }
    Ok(())
}
