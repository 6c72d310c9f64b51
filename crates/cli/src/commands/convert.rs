//! `recurrent convert`: weights from PyTorch and for it.

use std::{io::Write, path::Path};

use anyhow::{Context, bail};
use burn::prelude::*;
use recurrent_pytorch::StateDict;
use recurrent_seq2seq::LanguageModelConfig;

use crate::{
    any_translator::AnyTranslator,
    args,
    folder::{ModelFolder, Part},
    pytorch::Keyed,
    terminal::grouped,
    text_model::{self, TextModel},
    text_to_text::TextToText,
};

/// See [`args::Convert`].
///
/// # Errors
///
/// If the model or the file is not whole, one does not fit the other, or PyTorch has no such cell.
pub fn run(arguments: &args::Convert, out: &mut dyn Write) -> anyhow::Result<()> {
    match &arguments.way {
        args::Conversion::FromPytorch { weights, model, prefix } => {
            from_pytorch(weights, model, prefix, out)
        }
        args::Conversion::ToPytorch { model, out: file } => to_pytorch(model, file, out),
    }
}

fn from_pytorch(
    weights: &Path,
    path: &Path,
    prefix: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let dict = StateDict::read(weights)?;
    let named = || weights.display().to_string();
    let mut folder = ModelFolder::open(path)?;
    let device = Device::flex();
    let parameters = match folder.kind() {
        Some(text_model::KIND) => {
            let (_, model) = TextModel::<LanguageModelConfig>::load(path, &device)?;
            let model = model.with_state_dict(&dict, prefix).with_context(named)?;
            replace(&mut folder, &model)?
        }
        kind => match TextToText::load(path, &device)?.1 {
            AnyTranslator::Seq2seq(model) => {
                let model = model.with_state_dict(&dict, prefix).with_context(named)?;
                replace(&mut folder, &model)?
            }
            AnyTranslator::Gnmt(model) => {
                let model = model.with_state_dict(&dict, prefix).with_context(named)?;
                replace(&mut folder, &model)?
            }
            AnyTranslator::QuantizedGnmt(_) => bail!("{}", without_keys(path, kind)),
        },
    };
    let (weights, path) = (weights.display(), path.display());
    Ok(writeln!(out, "{path} has the {} parameters of {weights} now", grouped(parameters))?)
}

/// Gives the folder the weights of `model`, and says how many there are. What was measured of
/// others does not hold for them.
fn replace<M: burn::module::Module>(folder: &mut ModelFolder, model: &M) -> anyhow::Result<usize> {
    folder.save_weights(model)?;
    folder.remove(Part::Metrics)?;
    Ok(model.num_params())
}

fn to_pytorch(path: &Path, file: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = Device::flex();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if ModelFolder::open(folder).is_ok() {
        bail!("{} would stand in a model folder: choose another one", file.display());
    }
    let dict = match ModelFolder::open(path)?.kind() {
        Some(text_model::KIND) => {
            TextModel::<LanguageModelConfig>::load(path, &device)?.1.to_state_dict()
        }
        kind => match TextToText::load(path, &device)?.1 {
            AnyTranslator::Seq2seq(model) => model.to_state_dict(),
            AnyTranslator::Gnmt(model) => model.to_state_dict(),
            AnyTranslator::QuantizedGnmt(_) => bail!("{}", without_keys(path, kind)),
        },
    };
    let dict = dict.with_context(|| path.display().to_string())?;
    dict.write(file)?;
    let (path, file, count) = (path.display(), file.display(), dict.keys().count());
    Ok(writeln!(out, "{file} has the weights of {path} now, {count} tensors")?)
}

fn without_keys(path: &Path, kind: Option<&str>) -> String {
    let (path, kind) = (path.display(), kind.unwrap_or_default());
    format!("{path} holds a model of the kind `{kind}`, which has no keys for PyTorch")
}
