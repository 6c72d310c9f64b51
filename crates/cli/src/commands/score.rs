//! `recurrent score`: how likely a model finds given outputs.

use std::io::{self, BufRead, Write};

use anyhow::{Context, bail};
use recurrent_seq2seq::search::Hypothesis;
use recurrent_text::TargetLanguages;

use super::evaluate::load_ensemble;
use crate::{
    alignment::pharaoh, any_translator::AnyTranslator, args, decode::scored,
    text_to_text::TextToText,
};

/// Pairs that are scored at once.
const PAIRS: usize = 256;

/// See [`args::Score`].
///
/// # Errors
///
/// If a model is not whole, a line is not UTF-8 or no pair, or a model does not give numbers.
pub fn run(arguments: &args::Score, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let (texts, models) = load_ensemble(&arguments.models, &device)?;
    let languages = texts.languages(&arguments.models[0], arguments.to.as_ref())?;
    let mut scorer = Scorer { arguments, texts, models, languages, line: 0 };
    let mut pairs = Vec::with_capacity(PAIRS);
    for line in io::stdin().lock().lines() {
        let number = scorer.line + pairs.len() + 1;
        let line = line.with_context(|| format!("standard input, line {number}"))?;
        let columns = line.split('\t').count();
        let Some((source, target)) = line.split_once('\t').filter(|_| columns == 2) else {
            bail!(
                "standard input, line {number}: expected a source, a tab and a target, got {columns} columns"
            );
        };
        pairs.push([source.to_owned(), target.to_owned()]);
        if pairs.len() == PAIRS {
            scorer.score(&std::mem::take(&mut pairs), out)?;
        }
    }
    scorer.score(&pairs, out)
}

struct Scorer<'a> {
    arguments: &'a args::Score,
    texts: TextToText,
    models: Vec<AnyTranslator>,
    /// None for a model of one pair.
    languages: Option<TargetLanguages>,
    /// Lines that were scored.
    line: usize,
}

impl Scorer<'_> {
    fn score(&mut self, pairs: &[[String; 2]], out: &mut dyn Write) -> anyhow::Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        let tokenizers = &self.texts.tokenizers;
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        for (n, [source, target]) in pairs.iter().enumerate() {
            let number = self.line + n + 1;
            let asked = match (&self.languages, &self.arguments.to) {
                (Some(languages), Some(to)) => languages
                    .ask(to, source)
                    .with_context(|| format!("standard input, line {number}"))?,
                _ => source.clone(),
            };
            sources.push(tokenizers.source().encode(&asked));
            targets.push(tokenizers.target().encode(target));
        }
        let found = scored(&self.models, &sources, &targets)?;
        for (n, (pair, hypothesis)) in pairs.iter().zip(&found).enumerate() {
            self.show(self.line + n + 1, pair, hypothesis, out)?;
        }
        self.line += pairs.len();
        Ok(())
    }

    fn show(
        &self,
        number: usize,
        [source, target]: &[String; 2],
        hypothesis: &Hypothesis,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if !self.arguments.format.json {
            return Ok(writeln!(out, "{:.6}", hypothesis.log_prob)?);
        }
        let tokenizers = &self.texts.tokenizers;
        let asks = usize::from(self.arguments.to.is_some());
        let rows = hypothesis.weights.iter();
        let weights = rows.map(|row| row.get(asks..).unwrap_or_default().to_vec());
        let weights: Vec<Vec<f32>> = weights.collect();
        let read = tokenizers.source().encode(source);
        let (read, wrote) =
            ((tokenizers.source(), &read[..]), (tokenizers.target(), &hypothesis.tokens[..]));
        let json = serde_json::json!({
            "line": number,
            "source": source,
            "target": target,
            "tokens": self.texts.target_tokens(&hypothesis.tokens),
            "log_prob": hypothesis.log_prob,
            "token_log_probs": hypothesis.token_log_probs,
            "alignment": pharaoh(read, wrote, &weights),
        });
        Ok(writeln!(out, "{json}")?)
    }
}
