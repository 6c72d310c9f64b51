//! `recurrent score`: how likely a model finds given outputs.

use std::io::{self, Read, Write};

use anyhow::{Context, bail};
use recurrent_seq2seq::search::Hypothesis;
use recurrent_text::TargetLanguages;

use super::evaluate::load_ensemble;
use crate::{
    alignment::pharaoh, any_translator::AnyTranslator, args, decode::scored, lines::Lines,
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
    let scorer = Scorer { arguments, texts, models, languages };
    let mut lines = Lines::new(io::stdin().lock());
    loop {
        let mut pairs = Vec::with_capacity(PAIRS);
        let mut ended = Ok(true);
        while pairs.is_empty() || pairs.len() < PAIRS && lines.is_waiting() {
            match scorer.read(&mut lines) {
                Ok(Some(pair)) => pairs.push(pair),
                other => {
                    ended = other.map(|_| false);
                    break;
                }
            }
        }
        // Whatever is wrong with a line, those before it are answered.
        scorer.score(&pairs, out)?;
        out.flush()?;
        if !ended? {
            return Ok(());
        }
    }
}

/// A line of the input.
struct Given {
    line: u64,
    source: String,
    /// The source with the token in front that asks for a language, if there is one.
    asked: String,
    target: String,
}

struct Scorer<'a> {
    arguments: &'a args::Score,
    texts: TextToText,
    models: Vec<AnyTranslator>,
    /// None for a model of one pair.
    languages: Option<TargetLanguages>,
}

impl Scorer<'_> {
    fn read(&self, lines: &mut Lines<impl Read>) -> anyhow::Result<Option<Given>> {
        let Some((number, line)) = lines.line()? else { return Ok(None) };
        let columns = line.split('\t').count();
        let Some((source, target)) = line.split_once('\t').filter(|_| columns == 2) else {
            bail!(
                "standard input, line {number}: expected a source, a tab and a target, got {columns} columns"
            );
        };
        let (source, target) = (source.to_owned(), target.to_owned());
        let asked = match (&self.languages, &self.arguments.to) {
            (Some(languages), Some(to)) => languages
                .ask(to, &source)
                .with_context(|| format!("standard input, line {number}"))?,
            _ => source.clone(),
        };
        Ok(Some(Given { line: number, source, asked, target }))
    }

    fn score(&self, pairs: &[Given], out: &mut dyn Write) -> anyhow::Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        let tokenizers = &self.texts.tokenizers;
        let (sources, targets): (Vec<Vec<u32>>, Vec<Vec<u32>>) = pairs
            .iter()
            .map(|pair| {
                (tokenizers.source().encode(&pair.asked), tokenizers.target().encode(&pair.target))
            })
            .unzip();
        let found = scored(&self.models, &sources, &targets)?;
        pairs.iter().zip(&found).try_for_each(|(pair, found)| self.show(pair, found, out))
    }

    fn show(
        &self,
        Given { line, source, target, .. }: &Given,
        hypothesis: &Hypothesis,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if !self.arguments.format.json {
            return Ok(writeln!(out, "{:.6}", hypothesis.log_prob)?);
        }
        let tokenizers = &self.texts.tokenizers;
        let asks = self.texts.asks();
        let rows = hypothesis.weights.iter();
        let weights = rows.map(|row| row.get(asks..).unwrap_or_default().to_vec());
        let weights: Vec<Vec<f32>> = weights.collect();
        let read = tokenizers.source().encode(source);
        let (read, wrote) =
            ((tokenizers.source(), &read[..]), (tokenizers.target(), &hypothesis.tokens[..]));
        let json = serde_json::json!({
            "line": line,
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
