//! `recurrent quantize`: a model with weights of eight bits.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use burn::{module::Module, prelude::*};
use recurrent_gnmt::QuantizedGnmt;

use crate::{
    any_translator::{AnyTranslator, Architecture},
    args,
    folder::{ModelFolder, Part, Start},
    int8_weights,
    terminal::grouped,
    text_to_text::TextToText,
};

/// See [`args::Quantize`].
///
/// # Errors
///
/// If the model is not whole or no GNMT, has a weight that is not finite, or the folder to write is
/// taken.
pub fn run(arguments: &args::Quantize, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = &arguments.model;
    let to = arguments.out.clone().unwrap_or_else(|| beside(path));
    ModelFolder::check(&to, Start::New)?;
    let folder = ModelFolder::open(path)?;
    let (mut texts, model) = TextToText::load(path, &Device::flex())?;
    let (config, model) = match (&texts.about.config, model) {
        (Architecture::Gnmt(config), AnyTranslator::Gnmt(model)) => (config.clone(), model),
        _ => bail!(
            "{} holds a model of the kind `{}`, quantised are those of the kind `{}`",
            path.display(),
            folder.kind().unwrap_or_default(),
            Architecture::GNMT
        ),
    };
    let named = || path.display().to_string();
    let quantized = QuantizedGnmt::new(&config, &model).with_context(named)?;
    let bytes = int8_weights::to_bytes(&quantized.parts())?;
    let before = 4 * model.num_params();

    let mut written = ModelFolder::create(&to, Start::New)?;
    texts.about.config = Architecture::QuantizedGnmt(config);
    texts.save(&mut written)?;
    for part in [Part::Training, Part::Data] {
        if folder.has(part) {
            written.write(part, folder.read_text(part)?.as_bytes())?;
        }
    }
    written.write(Part::Weights, &bytes)?;
    let (after, share) = (bytes.len(), 100.0 * bytes.len() as f64 / before as f64);
    if arguments.format.json {
        let json = serde_json::json!({ "model": to, "bytes": after, "bytes_of_f32": before });
        return Ok(writeln!(out, "{json}")?);
    }
    let (after, before) = (grouped(after), grouped(before));
    Ok(writeln!(
        out,
        "{} has the weights of {} in {after} bytes, {share:.0} % of {before}",
        to.display(),
        path.display()
    )?)
}

/// The folder beside `path` with `-int8` behind its name.
fn beside(path: &Path) -> PathBuf {
    // `.` has no name of its own.
    let named = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
    };
    let name = named.file_name().unwrap_or_default().to_string_lossy().into_owned();
    named.with_file_name(format!("{name}-int8"))
}
