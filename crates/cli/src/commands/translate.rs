//! `recurrent translate`: lines of text in, what a model makes of them out.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use recurrent_seq2seq::search::{Beam, Ending};
use recurrent_text::{TargetLanguages, UNK};
use serde::Serialize;

use super::evaluate::{load_ensemble, penalties_act, trained_with};
use crate::{
    alignment::pharaoh,
    any_translator::AnyTranslator,
    args::{self, UnknownTokens},
    atomic::{make_folder, write_atomically},
    decode::Search,
    folder::ModelFolder,
    lines::Lines,
    task::attention,
    terminal::{Stream, grouped},
    text_to_text::{TextToText, Written},
};

/// The most lines that are read before any of them is written.
const LINES: usize = 256;

/// The most cells of a picture of attention: more, and no program shows it.
const CELLS: usize = 100_000;

/// An output, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Output<'a> {
    text: &'a str,
    tokens: Vec<String>,
    score: f64,
    log_prob: f64,
    length_penalty: f64,
    coverage_penalty: f64,
    token_log_probs: &'a [f64],
    ending: Ending,
}

/// See [`args::Translate`].
///
/// # Errors
///
/// If a model is not whole, a line is not UTF-8, or something cannot be written.
pub fn run(arguments: &args::Translate, out: &mut dyn Write) -> anyhow::Result<()> {
    let device = arguments.device.open()?;
    let (texts, models) = load_ensemble(&arguments.models, &device)?;
    for (flag, path) in
        [("--attention", &arguments.attention), ("--alignments", &arguments.alignments)]
    {
        if let (Some(_), Some(pivot)) = (path, &arguments.pivot) {
            bail!(
                "{flag}: with --pivot {pivot} no model looks at the source and writes the target"
            );
        }
        let blind = models.iter().position(|model| !model.looks());
        if let (Some(_), Some(n)) = (path, blind) {
            let model = arguments.models[n].display();
            bail!("{flag}: {model} has no attention to show");
        }
    }
    let blind = models.iter().position(|model| !model.looks());
    if let (UnknownTokens::Copy, Some(n)) = (arguments.unknown, blind) {
        let model = arguments.models[n].display();
        bail!("--unknown copy: {model} has no attention that says by which word");
    }
    let search = search(arguments)?;
    let languages = texts.languages(&arguments.models[0], arguments.to.as_ref())?;
    if let (Some(pivot), Some(languages)) = (&arguments.pivot, &languages)
        && !languages.codes().contains(pivot)
    {
        let (model, known) = (arguments.models[0].display(), languages.codes().join(", "));
        bail!("--pivot {pivot}: {model} does not write it, only {known}");
    }
    // Only now that nothing more can be refused: what stands in the file is gone then.
    if let Some(folder) = &arguments.attention {
        make_folder(folder)?;
    }
    let alignments = arguments.alignments.as_deref().map(Alignments::create).transpose()?;
    let mut translator = Translator {
        search,
        arguments,
        texts,
        models,
        languages,
        alignments,
        progress: Progress::start(),
        lines: 0,
    };
    translator.all(Lines::new(io::stdin().lock()), out)
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
    let penalties = [arguments.length_penalty, arguments.coverage_penalty];
    penalties_act(width, penalties.map(|value| value.is_some_and(|value| value != 0.0)))?;
    let mut evaluation = experiment.evaluation;
    evaluation.beam = width;
    evaluation.length_penalty = arguments.length_penalty.unwrap_or(evaluation.length_penalty);
    evaluation.coverage_penalty = arguments.coverage_penalty.unwrap_or(evaluation.coverage_penalty);
    Ok(match evaluation.search() {
        Search::Beam(beam) => Search::Beam(Beam { n_best, ..beam }),
        other => other,
    })
}

/// Which word of `line` each word of an output looked at.
fn aligned(texts: &TextToText, line: &str, written: &Written) -> String {
    let (source, target) = (texts.tokenizers.source(), texts.tokenizers.target());
    let (read, hypothesis) = (source.encode(line), &written.hypothesis);
    // The token that asks for a language is no word of the line.
    let asks = texts.asks();
    let weights = hypothesis.weights.iter().map(|row| row.get(asks..).unwrap_or_default().to_vec());
    let weights: Vec<Vec<f32>> = weights.collect();
    pharaoh((source, &read), (target, &hypothesis.tokens), &weights)
}

fn numbered(sources: &[String], number: impl Fn(usize) -> u64) -> Vec<(u64, &str)> {
    sources.iter().enumerate().map(|(n, source)| (number(n), source.as_str())).collect()
}

/// Puts the word of `source` that was looked at most in the place of every unknown token.
fn replace_unknown(texts: &TextToText, source: &str, written: &mut Written) {
    let (reader, writer) = (texts.tokenizers.source(), texts.tokenizers.target());
    let words = reader.words(&reader.encode(source));
    let spelled = reader.written_words(source);
    let most = |position: usize| {
        let weights = written.hypothesis.weights.get(position)?.iter().zip(&words);
        let (_, word) = weights.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        *word
    };
    let tokens = &written.hypothesis.tokens;
    let text = writer.decode_with(tokens, |position| {
        let word = most(position)?;
        // A word of several unknown characters is put there once.
        let before = position.checked_sub(1).filter(|before| tokens[*before] == UNK);
        let again = before.is_some_and(|before| most(before) == Some(word));
        if again { None } else { spelled.get(word).map(String::as_str) }
    });
    written.text = text;
}

struct Translator<'a> {
    arguments: &'a args::Translate,
    texts: TextToText,
    models: Vec<AnyTranslator>,
    search: Search,
    /// None for a model of one pair.
    languages: Option<TargetLanguages>,
    alignments: Option<Alignments>,
    progress: Progress,
    /// Lines read.
    lines: u64,
}

/// The file of alignments, written line by line like the output.
struct Alignments {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Alignments {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("--alignments {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    fn write(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.file, "{line}").with_context(|| self.path.display().to_string())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| self.path.display().to_string())
    }
}

/// How far a long input has come, on a terminal to which nothing else is written.
struct Progress {
    shown: bool,
    start: Instant,
}

impl Progress {
    /// Before this nobody has begun to wonder.
    const PATIENCE: Duration = Duration::from_secs(2);

    fn start() -> Self {
        let alone = Stream::Stderr.is_terminal()
            && !Stream::Stdout.is_terminal()
            && !io::stdin().is_terminal();
        Self { shown: alone, start: Instant::now() }
    }

    fn show(&self, lines: u64) {
        let elapsed = self.start.elapsed();
        if self.shown && elapsed >= Self::PATIENCE {
            let rate = lines as f64 / elapsed.as_secs_f64();
            let lines = grouped(usize::try_from(lines).unwrap_or(usize::MAX));
            // If standard error is closed nobody wants to know.
            let _ = write!(io::stderr(), "\r{lines} lines, {rate:.0} a second\x1b[K");
        }
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Translator<'_> {
    fn all(&mut self, mut input: Lines<impl Read>, out: &mut dyn Write) -> anyhow::Result<()> {
        loop {
            let (lines, ended) = self.read(&mut input);
            if !lines.is_empty() {
                self.write(&lines, out)?;
                out.flush()?;
                if let Some(alignments) = &mut self.alignments {
                    alignments.flush()?;
                }
                self.lines += lines.len() as u64;
                self.progress.show(self.lines);
            }
            // Whatever is wrong with a line, those before it are answered.
            if ended.is_err() || lines.is_empty() {
                self.progress.end();
                return ended;
            }
        }
    }

    /// The next line and those behind it that are there already, as far as nothing is wrong with one.
    fn read(&self, input: &mut Lines<impl Read>) -> (Vec<String>, anyhow::Result<()>) {
        let mut lines = Vec::new();
        while lines.is_empty() || lines.len() < LINES && input.is_waiting() {
            match input.line().and_then(|line| self.checked(line)) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(error) => return (lines, Err(error)),
            }
        }
        (lines, Ok(()))
    }

    /// A line that can be asked for, after what is odd about it was said.
    fn checked(&self, line: Option<(u64, String)>) -> anyhow::Result<Option<String>> {
        let Some((number, line)) = line else { return Ok(None) };
        if let (Some(to), Some(_)) = (&self.arguments.to, &self.languages) {
            self.asked(std::slice::from_ref(&line), to, |_| number - 1)?;
        }
        self.warn(number, &line);
        Ok(Some(line))
    }

    /// Says what is odd about a line, which is translated all the same unless it is empty.
    fn warn(&self, number: u64, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let tokens = self.texts.source_tokens(line).len() - 1;
        // The token that asks for a language is no part of the line.
        let longest = self.texts.about.longest_source.saturating_sub(self.texts.asks());
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

    fn write(&mut self, lines: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
        // There is nothing to say about an empty line, so it stays one.
        let full: Vec<usize> = (0..lines.len()).filter(|n| !lines[*n].trim().is_empty()).collect();
        let asked = self.found(lines, &full)?;
        let mut written = vec![Vec::new(); lines.len()];
        for (n, outputs) in full.into_iter().zip(asked) {
            written[n] = outputs;
        }
        for (n, (line, outputs)) in lines.iter().zip(&written).enumerate() {
            let number = self.lines + n as u64 + 1;
            self.show(number, line, outputs, out)?;
            if let (Some(folder), Some(best)) = (&self.arguments.attention, outputs.first()) {
                self.draw(folder, number, line, best)?;
            }
            if let Some(alignments) = &mut self.alignments {
                let aligned = outputs.first().map(|best| aligned(&self.texts, line, best));
                alignments.write(&aligned.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// What is written for the lines `full`.
    fn found(&self, lines: &[String], full: &[usize]) -> anyhow::Result<Vec<Vec<Written>>> {
        let mut sources: Vec<String> = full.iter().map(|n| lines[*n].clone()).collect();
        let number = |n: usize| self.lines + full[n] as u64;
        let Self { texts, models, search, .. } = self;
        let (pivot, to) = (self.arguments.pivot.as_deref(), self.arguments.to.as_deref());
        if let Some(pivot) = pivot {
            let asked = self.asked(&sources, pivot, number)?;
            let numbered: Vec<(u64, &str)> = numbered(&asked, number);
            let outputs = texts.write(models, &numbered, search.clone())?;
            sources = outputs.into_iter().map(|mut outputs| outputs.swap_remove(0).text).collect();
        }
        let asked = match to {
            Some(to) => self.asked(&sources, to, number)?,
            None => sources,
        };
        let mut found = texts.write(models, &numbered(&asked, number), search.clone())?;
        if self.arguments.unknown == UnknownTokens::Copy {
            for (source, outputs) in asked.iter().zip(&mut found) {
                outputs.iter_mut().for_each(|written| replace_unknown(texts, source, written));
            }
        }
        Ok(found)
    }

    /// The sources with the token in front that asks for `language`.
    fn asked(
        &self,
        sources: &[String],
        language: &str,
        number: impl Fn(usize) -> u64,
    ) -> anyhow::Result<Vec<String>> {
        let languages = self.languages.as_ref().context("a model of one pair")?;
        let ask = |(n, source): (usize, &String)| {
            let line = number(n) + 1;
            languages.ask(language, source).with_context(|| format!("standard input, line {line}"))
        };
        sources.iter().enumerate().map(ask).collect()
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
            length_penalty: hypothesis.length_penalty,
            coverage_penalty: hypothesis.coverage_penalty,
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
        let asked = match &self.arguments.to {
            None => line.to_owned(),
            Some(to) => self.asked(&[line.to_owned()], to, |_| number - 1)?.remove(0),
        };
        let Some(svg) = attention(&self.texts, &asked, best)? else { return Ok(()) };
        Ok(write_atomically(&folder.join(format!("{number}.svg")), svg.as_bytes())?)
    }
}
