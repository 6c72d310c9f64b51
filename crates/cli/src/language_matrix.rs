//! How well a model of several languages translates from each to each, pairs that it has never seen
//! included.

use std::{io::Write, path::Path, time::Instant};

use anyhow::{Context, ensure};
use recurrent_seq2seq::Translator;
use recurrent_text::{
    Column, Group, Language, Languages, Pair, TargetLanguages, Tsv, group_references,
};
use recurrent_training::Scores;
use serde_json::{Value, json};

use crate::{
    atomic::{make_folder, write_atomically},
    data::DataConfig,
    decode::Search,
    metric::Metric,
    picture::HeatMap,
    report::score,
    terminal::{Align, Stream, Table},
    text_to_text::{TextToText, Written},
};

/// What a model makes of one language when it is asked for another.
#[derive(Clone, Debug)]
pub struct Direction {
    /// The language that is read.
    pub from: String,
    /// The language that is written.
    pub to: String,
    /// The language in between, where there are two steps.
    pub through: Option<String>,
    /// Whether the model has learned from this pair.
    pub seen: bool,
    /// How many sources there are.
    pub sources: usize,
    /// What was measured.
    pub scores: Scores,
    /// The shares in percent of outputs, and of their references, that are told to be in the language that
    /// was asked for; none where it is not among those that can be told.
    pub right_language: Option<[f64; 2]>,
    /// Seconds that the search took.
    pub seconds: f64,
}

/// Which directions are measured.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Only from this language.
    pub from: Option<&'a str>,
    /// Only to this one.
    pub to: Option<&'a str>,
    /// Through this one as well.
    pub pivot: Option<&'a str>,
}

/// Measures all directions between the columns of a file whose header has the codes of languages.
///
/// # Errors
///
/// If the file is not such a file, a language is asked for that is not there, or something cannot be
/// measured.
pub fn measure<M: Translator>(
    texts: &TextToText,
    models: &[M],
    (path, data): (&Path, &DataConfig),
    asked: Asked<'_>,
    (search, metrics): (&Search, &[Metric]),
) -> anyhow::Result<Vec<Direction>> {
    let known = &texts.about.languages;
    let columns = columns(texts, (path, data), asked)?;
    let codes: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
    // All or none: what cannot be told would be taken for another.
    let told = Languages::among(&codes).ok();
    let is = |wanted: Option<&str>, code: &str| wanted.is_none_or(|wanted| wanted == code);
    let mut directions = Vec::new();
    for from in columns.iter().filter(|from| is(asked.from, from)) {
        for to in columns.iter().filter(|to| is(asked.to, to) && known.contains(to)) {
            if from == to {
                continue;
            }
            let pairs = pairs((path, data), [from, to])?;
            let groups = group_references(&pairs);
            let pivot = asked.pivot.filter(|pivot| *pivot != from && *pivot != to);
            for through in [None].into_iter().chain(pivot.map(Some)) {
                let began = Instant::now();
                let outputs = write(texts, models, &groups, (through, to), search)?;
                let seconds = began.elapsed().as_secs_f64();
                let scores = texts.score(groups.iter().zip(&outputs), metrics, Scores::new())?;
                let right_language = match (&told, to.parse::<Language>()) {
                    (Some(told), Ok(language)) => {
                        let best: Vec<&str> =
                            outputs.iter().map(|written| written[0].text.as_str()).collect();
                        let right: Vec<&str> =
                            groups.iter().map(|group| group.targets[0].as_str()).collect();
                        let share = |texts: &[&str]| 100.0 * told.share(language, texts);
                        Some([share(&best), share(&right)])
                    }
                    _ => None,
                };
                let seen = data.pairs.iter().any(|pair| &pair.from == from && &pair.to == to);
                directions.push(Direction {
                    from: from.clone(),
                    to: to.clone(),
                    through: through.map(str::to_owned),
                    seen,
                    sources: groups.len(),
                    scores,
                    right_language,
                    seconds,
                });
            }
        }
    }
    Ok(directions)
}

/// The columns that are named after languages of the model.
fn columns(
    texts: &TextToText,
    (path, data): (&Path, &DataConfig),
    asked: Asked<'_>,
) -> anyhow::Result<Vec<String>> {
    let mut columns = Tsv::columns(path).context("--data")?;
    let known = &texts.about.languages;
    let read: Vec<&String> = data.pairs.iter().flat_map(|pair| [&pair.from, &pair.to]).collect();
    columns.retain(|column| read.contains(&column));
    ensure!(
        columns.iter().any(|column| known.contains(column)),
        "--data {}: no column is named after a language that the model writes: {}",
        path.display(),
        known.join(", ")
    );
    for (flag, language) in [("--from", asked.from), ("--to", asked.to), ("--pivot", asked.pivot)] {
        if let Some(language) = language {
            let found = columns.iter().any(|column| column == language);
            let written = flag == "--from" || known.iter().any(|code| code == language);
            let names: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
            ensure!(
                found && written,
                "{flag} {language}: the languages of {} are {}, and the model writes {}",
                path.display(),
                names.join(", "),
                known.join(", ")
            );
        }
    }
    Ok(columns)
}

/// The rows of two columns.
fn pairs(
    (path, data): (&Path, &DataConfig),
    [from, to]: [&String; 2],
) -> anyhow::Result<Vec<Pair>> {
    let tsv = Tsv {
        source: Column::Name(from.clone()),
        target: Column::Name(to.clone()),
        header: true,
        ..Tsv::new(path)
    };
    Ok(data.transform.apply(tsv.read()?).context("`data.transform`")?.pairs)
}

/// The rows of two columns of a file whose header has the codes of languages, every source with the token in
/// front that asks for the other language.
///
/// # Errors
///
/// As [`measure`], and if the two are the same.
pub fn asked_pairs(
    texts: &TextToText,
    files: (&Path, &DataConfig),
    [from, to]: [&String; 2],
) -> anyhow::Result<Vec<Pair>> {
    ensure!(from != to, "--from {from} and --to {to} are the same language");
    columns(texts, files, Asked { from: Some(from), to: Some(to), pivot: None })?;
    ask(texts, to, pairs(files, [from, to])?)
}

/// `pairs` with the token in front of every source that asks for the language `to`.
///
/// # Errors
///
/// If the model does not write it, or a source has such a token in it.
pub fn ask(texts: &TextToText, to: &str, pairs: Vec<Pair>) -> anyhow::Result<Vec<Pair>> {
    let languages = TargetLanguages::new(&texts.about.languages)?;
    let ask = |(n, pair): (usize, Pair)| {
        let source = languages.ask(to, &pair.source);
        let source = source.with_context(|| format!("source {}", n + 1))?;
        Ok(Pair { source, ..pair })
    };
    pairs.into_iter().enumerate().map(ask).collect()
}

/// What is written for every source, in one step or two.
fn write<M: Translator>(
    texts: &TextToText,
    models: &[M],
    groups: &[Group],
    (through, to): (Option<&str>, &str),
    search: &Search,
) -> anyhow::Result<Vec<Vec<Written>>> {
    let mut sources: Vec<String> = groups.iter().map(|group| group.source.clone()).collect();
    if let Some(through) = through {
        let written = texts.write_in(models, &sources, through, search)?;
        sources = written.into_iter().map(|mut outputs| outputs.swap_remove(0).text).collect();
    }
    texts.write_in(models, &sources, to, search)
}

impl Direction {
    fn name(&self) -> String {
        match &self.through {
            None => format!("{} → {}", self.from, self.to),
            Some(through) => format!("{} → {through} → {}", self.from, self.to),
        }
    }

    /// As `--json` shows it.
    pub fn to_json(&self) -> Value {
        json!({
            "from": self.from,
            "to": self.to,
            "through": self.through,
            "seen": self.seen,
            "sources": self.sources,
            "scores": self.scores.to_json(),
            "right_language": self.right_language.map(|[outputs, references]| {
                json!({ "outputs": outputs, "references": references })
            }),
            "seconds": self.seconds,
        })
    }
}

/// A table of all directions.
///
/// # Errors
///
/// If it cannot be written.
pub fn show(directions: &[Direction], out: &mut dyn Write) -> std::io::Result<()> {
    let Some(first) = directions.first() else { return Ok(()) };
    let names: Vec<String> = first.scores.iter().map(|(name, _)| name.to_owned()).collect();
    let columns = [vec![Align::Left; 2], vec![Align::Right; names.len() + 4]].concat();
    let header = ["direction", "learned"].into_iter().chain(names.iter().map(String::as_str));
    let header = header.chain(["right language", "of references", "sources", "seconds"]);
    let mut table = Table::new(columns).with_header(header).with_styles(Stream::Stdout.styles());
    for direction in directions {
        let learned = match (direction.seen, &direction.through) {
            (true, None) => "yes",
            (false, None) => "no",
            (_, Some(_)) => "in two steps",
        };
        let value = |name: &String| direction.scores.get(name).unwrap_or(f64::NAN);
        let scores = names.iter().map(|name| score(name, value(name)));
        let before = [direction.name(), learned.to_owned()].into_iter().chain(scores);
        let share = |n: usize| match direction.right_language {
            Some(shares) => format!("{:.1} %", shares[n]),
            None => "not told".to_owned(),
        };
        let after = [direction.sources.to_string(), format!("{:.1}", direction.seconds)];
        table.row(before.chain([share(0), share(1)]).chain(after));
    }
    write!(out, "{table}")
}

/// Draws a map of the languages for each score, `languages-bleu.svg`: from those that label the rows to
/// those above the columns, in one step.
///
/// # Errors
///
/// If a picture cannot be written.
pub fn draw(directions: &[Direction], folder: &Path) -> anyhow::Result<()> {
    make_folder(folder)?;
    let Some(first) = directions.first() else { return Ok(()) };
    let each = |of: fn(&Direction) -> &String| {
        let mut all: Vec<String> =
            directions.iter().map(|direction| of(direction).clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (rows, columns) = (each(|direction| &direction.from), each(|direction| &direction.to));
    let names = first.scores.iter().map(|(name, _)| name);
    for name in names.chain(first.right_language.map(|_| "right_language")) {
        let cell = |from: &String, to: &String| {
            let mut direct = directions.iter().filter(|direction| direction.through.is_none());
            let found = direct.find(|direction| (&direction.from, &direction.to) == (from, to))?;
            match name {
                "right_language" => found.right_language.map(|[outputs, _]| outputs),
                name => found.scores.get(name),
            }
        };
        let row = |from: &String| columns.iter().map(|to| cell(from, to)).collect();
        let map = HeatMap {
            title: name.replace('_', " "),
            row_axis: "from".to_owned(),
            cells: rows.iter().map(row).collect(),
            rows: rows.clone(),
            column_axis: "to".to_owned(),
            columns: columns.clone(),
        };
        write_atomically(&folder.join(format!("languages-{name}.svg")), map.svg().as_bytes())?;
    }
    Ok(())
}
