//! `recurrent translate`: lines of text in, what a model makes of them out.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use anyhow::{Context, bail};
use recurrent_cells::AnyCell;
use recurrent_seq2seq::{
    Decoder, Seq2Seq,
    search::{Beam, Ending},
};
use serde::Serialize;

use super::evaluate::{load_ensemble, trained_with};
use crate::{
    args,
    atomic::{make_folder, write_atomically},
    decode::Search,
    folder::ModelFolder,
    task::attention,
    terminal::grouped,
    text_to_text::{TextToText, Written},
};

/// The most lines that are read before any of them is written.
const LINES: usize = 256;

/// Bytes that are read at once.
const BYTES: usize = 1 << 16;

/// The most cells of a picture of attention: more, and no program shows it.
const CELLS: usize = 100_000;

/// An output, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Output<'a> {
    text: &'a str,
    tokens: Vec<String>,
    score: f64,
    log_prob: f64,
    token_log_probs: &'a [f64],
    ending: Ending,
}

/// See [`args::Translate`].
///
/// # Errors
///
/// If a model is not whole, a line is not UTF-8, or something cannot be written.
pub fn run(arguments: &args::Translate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.name.open()?;
    let (texts, models) = load_ensemble(&arguments.models, &device)?;
    let mut translator =
        Translator { search: search(arguments)?, arguments, texts, models, lines: 0 };
    if let Some(folder) = &arguments.attention {
        let blind =
            translator.models.iter().position(|model| matches!(model.decoder, Decoder::Thought(_)));
        if let Some(n) = blind {
            let model = arguments.models[n].display();
            bail!("--attention: {model} has no attention to draw");
        }
        make_folder(folder)?;
    }
    translator.all(BufReader::with_capacity(BYTES, io::stdin().lock()), out)
}

fn search(arguments: &args::Translate) -> anyhow::Result<Search> {
    if arguments.sample {
        return Ok(Search::Sample(arguments.drawing.sampling()));
    }
    let experiment = trained_with(&ModelFolder::open(&arguments.models[0])?)?;
    let n_best = arguments.n_best.map_or(1, std::num::NonZero::get);
    let width = match arguments.beam {
        Some(width) if width.get() < n_best => {
            bail!("--n-best {n_best} needs a --beam of at least {n_best}, got {width}")
        }
        Some(width) => width.get(),
        None => experiment.evaluation.beam.max(n_best),
    };
    let mut evaluation = experiment.evaluation;
    evaluation.beam = width;
    Ok(match evaluation.search() {
        Search::Beam(beam) => Search::Beam(Beam { n_best, ..beam }),
        other => other,
    })
}

struct Translator<'a> {
    arguments: &'a args::Translate,
    texts: TextToText,
    models: Vec<Seq2Seq<AnyCell>>,
    search: Search,
    /// Lines read.
    lines: u64,
}

impl Translator<'_> {
    fn all(&mut self, mut input: BufReader<impl Read>, out: &mut dyn Write) -> anyhow::Result<()> {
        loop {
            let lines = self.read(&mut input)?;
            if lines.is_empty() {
                return Ok(());
            }
            self.write(&lines, out)?;
            out.flush()?;
            self.lines += lines.len() as u64;
        }
    }

    /// The next line, and those behind it that are there already: whoever waits for an answer before
    /// the next line gets it.
    fn read(&self, input: &mut BufReader<impl Read>) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        while lines.is_empty() || lines.len() < LINES && input.buffer().contains(&b'\n') {
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).context("standard input")? == 0 {
                break;
            }
            let number = self.lines + lines.len() as u64 + 1;
            let line = String::from_utf8(line)
                .map_err(|_| anyhow::anyhow!("standard input, line {number}: it is not UTF-8"))?;
            let line = line.trim_end_matches(['\n', '\r']).to_owned();
            self.warn(number, &line);
            lines.push(line);
        }
        Ok(lines)
    }

    /// Says what is odd about a line, which is translated all the same unless it is empty.
    fn warn(&self, number: u64, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let tokens = self.texts.source_tokens(line).len() - 1;
        let longest = self.texts.about.longest_source;
        let unknown = self.texts.unknown(line);
        let say = |remark: String| {
            // If standard error is closed nobody wants to know.
            let _ = writeln!(io::stderr(), "warning: line {number}: {remark}");
        };
        if tokens > longest {
            say(format!("{tokens} tokens, the longest the model has learned from had {longest}"));
        }
        if unknown > 0 {
            say(format!("{unknown} of {tokens} tokens were never seen in training"));
        }
    }

    fn write(&self, lines: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
        // There is nothing to say about an empty line, so it stays one.
        let full: Vec<usize> = (0..lines.len()).filter(|n| !lines[*n].trim().is_empty()).collect();
        let source = |n: &usize| (self.lines + *n as u64, lines[*n].as_str());
        let sources: Vec<(u64, &str)> = full.iter().map(source).collect();
        let mut written = vec![Vec::new(); lines.len()];
        let found = self.texts.write(&self.models, &sources, self.search.clone())?;
        for (n, outputs) in full.into_iter().zip(found) {
            written[n] = outputs;
        }
        for (n, (line, outputs)) in lines.iter().zip(&written).enumerate() {
            let number = self.lines + n as u64 + 1;
            self.show(number, line, outputs, out)?;
            if let (Some(folder), Some(best)) = (&self.arguments.attention, outputs.first()) {
                self.draw(folder, number, line, best)?;
            }
        }
        Ok(())
    }

    fn show(
        &self,
        number: u64,
        line: &str,
        outputs: &[Written],
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if self.arguments.format.json {
            let outputs: Vec<Output> = outputs.iter().map(|written| self.output(written)).collect();
            let json = serde_json::json!({ "line": number, "source": line, "outputs": outputs });
            return Ok(writeln!(out, "{json}")?);
        }
        match self.arguments.n_best {
            None => {
                let text = outputs.first().map_or("", |written| written.text.as_str());
                writeln!(out, "{text}")?;
            }
            Some(_) => {
                for written in outputs {
                    let score = written.hypothesis.score;
                    writeln!(out, "{number}\t{score:.4}\t{}", written.text)?;
                }
            }
        }
        Ok(())
    }

    fn output<'w>(&self, written: &'w Written) -> Output<'w> {
        let hypothesis = &written.hypothesis;
        Output {
            text: &written.text,
            tokens: self.texts.target_tokens(&hypothesis.tokens),
            score: hypothesis.score,
            log_prob: hypothesis.log_prob,
            token_log_probs: &hypothesis.token_log_probs,
            ending: hypothesis.ending,
        }
    }

    fn draw(&self, folder: &Path, number: u64, line: &str, best: &Written) -> anyhow::Result<()> {
        let weights = &best.hypothesis.weights;
        let cells = weights.len() * weights.first().map_or(0, Vec::len);
        if cells > CELLS {
            // If standard error is closed nobody wants to know.
            let _ = writeln!(
                io::stderr(),
                "warning: line {number}: no picture, it would have {} cells and {} are the most",
                grouped(cells),
                grouped(CELLS)
            );
            return Ok(());
        }
        let Some(svg) = attention(&self.texts, line, best)? else { return Ok(()) };
        Ok(write_atomically(&folder.join(format!("{number}.svg")), svg.as_bytes())?)
    }
}
