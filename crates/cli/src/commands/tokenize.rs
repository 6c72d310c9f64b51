//! `recurrent tokenize`: how a model cuts texts.

use std::io::{self, Write};

use crate::{
    any_translator::Architecture, args, args::Side, dialogue_model, examples::Tokenizers,
    folder::ModelFolder, lines::Lines, text_model, text_vae,
};

/// The kinds of models that read texts.
const TEXTS: [&str; 7] = [
    Architecture::SEQ2SEQ,
    Architecture::GNMT,
    Architecture::QUANTIZED_GNMT,
    text_model::KIND,
    text_vae::SEQUENCE_VAE,
    dialogue_model::HRED,
    dialogue_model::VHRED,
];

/// See [`args::Tokenize`].
///
/// # Errors
///
/// If the model's tokenisers are not whole, or a line is not UTF-8.
pub fn run(arguments: &args::Tokenize, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = ModelFolder::open(&arguments.model)?;
    folder.expect_kind(&TEXTS)?;
    let tokenizers = Tokenizers::open(&folder)?;
    let tokenizer = match arguments.side {
        Side::Source => tokenizers.source(),
        Side::Target => tokenizers.target(),
    };
    let mut lines = Lines::new(io::stdin().lock());
    while let Some((_, line)) = lines.line()? {
        let shown = |id: u32| match arguments.ids {
            true => id.to_string(),
            false => visible(tokenizer.vocabulary().token(id).unwrap_or_default()),
        };
        let tokens: Vec<String> = tokenizer.encode(&line).into_iter().map(shown).collect();
        writeln!(out, "{}", tokens.join(" "))?;
    }
    Ok(())
}

/// A token without blanks, so that blanks part tokens.
fn visible(token: &str) -> String {
    token.chars().map(|character| if character.is_whitespace() { '␣' } else { character }).collect()
}
