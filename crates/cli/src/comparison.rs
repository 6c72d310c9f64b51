//! Models, and ways to search, beside each other: scores and speed, and scores by length.

use std::{io::Write, path::Path};

use serde_json::{Value, json};

use crate::{
    atomic::{make_folder, write_atomically},
    picture::{Curve, HeatMap, Panel, curves},
    report::{Measured, score},
    terminal::{Align, Stream, Table},
};

/// How outputs were searched for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// So many hypotheses at once.
    Beam {
        /// How many.
        width: usize,
        /// `α`.
        length_penalty: f64,
        /// `β`.
        coverage_penalty: f64,
    },
    /// Drawn at this temperature.
    Temperature(f64),
}

impl Way {
    fn shown(self) -> String {
        match self {
            Self::Beam { width: 1, .. } => "greedy".to_owned(),
            Self::Beam { width, length_penalty, coverage_penalty } => {
                let weighed = |name, weight| match weight {
                    0.0 => String::new(),
                    _ => format!(", {name} {weight}"),
                };
                let (alpha, beta) = (weighed("α", length_penalty), weighed("β", coverage_penalty));
                format!("beam {width}{alpha}{beta}")
            }
            Self::Temperature(temperature) => format!("temperature {temperature}"),
        }
    }
}

/// The sources of some lengths.
#[derive(Clone, Debug)]
pub struct OfLength {
    /// The least and the most tokens of a source.
    pub tokens: [usize; 2],
    /// How many sources there are.
    pub sources: usize,
    /// What was measured of their outputs.
    pub scores: Vec<(String, f64)>,
}

/// What one model, or an ensemble, gave with one search.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub model: String,
    /// How it searched.
    pub way: Way,
    /// What was measured.
    pub measured: Measured,
    /// Seconds that the search took.
    pub seconds: f64,
    /// Target tokens that were written, `</s>` included.
    pub tokens: usize,
    /// Shorter sources before longer ones; empty if it was not asked for.
    pub by_length: Vec<OfLength>,
}

impl Row {
    fn speed(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// As `--json` shows it.
    pub fn to_json(&self) -> Value {
        let way = match self.way {
            Way::Beam { width, length_penalty, coverage_penalty } => json!({
                "beam": width,
                "length_penalty": length_penalty,
                "coverage_penalty": coverage_penalty,
            }),
            Way::Temperature(temperature) => json!({ "temperature": temperature }),
        };
        json!({
            "model": self.model,
            "search": way,
            "scores": self.measured.scores.to_json(),
            "seconds": self.seconds,
            "tokens": self.tokens,
            "by_length": by_length_json(&self.by_length),
        })
    }
}

/// As `--json` shows it.
pub fn by_length_json(lengths: &[OfLength]) -> Value {
    let one = |of: &OfLength| {
        let scores: serde_json::Map<_, _> =
            of.scores.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({ "tokens": of.tokens, "sources": of.sources, "scores": scores })
    };
    lengths.iter().map(one).collect()
}

/// A table of all rows.
///
/// # Errors
///
/// If it cannot be written.
pub fn show(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let names: Vec<String> =
        first.measured.scores.iter().map(|(name, _)| name.to_owned()).collect();
    let columns = [vec![Align::Left; 2], vec![Align::Right; names.len() + 2]].concat();
    let header = ["model", "search"].into_iter().chain(names.iter().map(String::as_str));
    let header = header.chain(["seconds", "tokens/s"]);
    let mut table = Table::new(columns).with_header(header).with_styles(Stream::Stdout.styles());
    for row in rows {
        let value = |name: &String| row.measured.scores.get(name);
        let scores = names.iter().map(|name| score(name, value(name).unwrap_or(f64::NAN)));
        let before = [row.model.clone(), row.way.shown()].into_iter().chain(scores);
        table.row(before.chain([format!("{:.1}", row.seconds), format!("{:.0}", row.speed())]));
    }
    write!(out, "{table}")
}

/// A table of the scores by length.
///
/// # Errors
///
/// If it cannot be written.
pub fn show_by_length(rows: &[Row], out: &mut dyn Write) -> std::io::Result<()> {
    let Some(first) = rows.iter().find_map(|row| row.by_length.first()) else { return Ok(()) };
    let names: Vec<String> = first.scores.iter().map(|(name, _)| name.clone()).collect();
    let columns = [vec![Align::Left; 2], vec![Align::Right; names.len() + 2]].concat();
    let header = ["model", "search", "source tokens", "sources"].into_iter();
    let header = header.chain(names.iter().map(String::as_str));
    let mut table = Table::new(columns).with_header(header).with_styles(Stream::Stdout.styles());
    for row in rows {
        for of in &row.by_length {
            let [least, most] = of.tokens;
            let before = [row.model.clone(), row.way.shown()];
            let before =
                before.into_iter().chain([format!("{least}–{most}"), of.sources.to_string()]);
            table.row(before.chain(of.scores.iter().map(|(name, value)| score(name, *value))));
        }
    }
    write!(out, "{table}")
}

/// Draws what there is to compare: `by-beam.svg`, `by-temperature.svg`, `by-length.svg`, and for each
/// model and score a map over both penalties, `penalties-bleu.svg`. What has one point only is left out.
///
/// # Errors
///
/// If a picture cannot be drawn or written.
pub fn draw(rows: &[Row], folder: &Path) -> anyhow::Result<()> {
    make_folder(folder)?;
    let beam = |way| match way {
        Way::Beam { width, .. } => Some(width as f64),
        Way::Temperature(_) => None,
    };
    let temperature = |way| match way {
        Way::Temperature(temperature) => Some(temperature),
        Way::Beam { .. } => None,
    };
    for (n, model) in models(rows).into_iter().enumerate() {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.model == model).collect();
        for (name, map) in by_penalties(&rows) {
            let number = if n == 0 { String::new() } else { format!("-{}", n + 1) };
            let path = folder.join(format!("penalties-{name}{number}.svg"));
            write_atomically(&path, map.svg().as_bytes())?;
        }
    }
    let pictures = [
        ("by-beam.svg", "beam width", by_way(rows, beam)),
        ("by-temperature.svg", "temperature", by_way(rows, temperature)),
        ("by-length.svg", "source tokens", by_length(rows)),
    ];
    for (name, x, panels) in pictures {
        let differ = |curve: &Curve| curve.points.iter().any(|point| point.0 != curve.points[0].0);
        if panels.iter().any(|panel| panel.curves.iter().any(differ)) {
            write_atomically(&folder.join(name), curves("", x, &panels)?.as_bytes())?;
        }
    }
    Ok(())
}

/// Rows that belong to one model, in the order in which models come.
fn models(rows: &[Row]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for row in rows {
        if !models.contains(&row.model.as_str()) {
            models.push(&row.model);
        }
    }
    models
}

/// A panel for each score that depends on the search and one for the speed; a curve for each model.
fn by_way(rows: &[Row], x: impl Fn(Way) -> Option<f64>) -> Vec<Panel> {
    let Some(first) = rows.first() else { return Vec::new() };
    let names = first.measured.scores.iter().map(|(name, _)| name.to_owned());
    // The likelihood of what is right does not depend on how it is searched for.
    let names = names.filter(|name| name != "nll" && name != "ppl").chain(["tokens/s".to_owned()]);
    names
        .map(|name| {
            let curve = |model: &&str| {
                let of_model = rows.iter().filter(|row| row.model == *model);
                let point = |row: &Row| {
                    let y = if name == "tokens/s" {
                        Some(row.speed())
                    } else {
                        row.measured.scores.get(&name)
                    };
                    Some((x(row.way)?, y?))
                };
                Curve { name: (*model).to_owned(), points: of_model.filter_map(point).collect() }
            };
            Panel { curves: models(rows).iter().map(curve).collect(), label: name.clone() }
        })
        .collect()
}

/// For each score that depends on the search, a map over `α` and `β`, of the widest beam; none where
/// there are no two of both.
fn by_penalties(rows: &[&Row]) -> Vec<(String, HeatMap)> {
    let Some(first) = rows.first() else { return Vec::new() };
    let beam = |row: &&Row| match row.way {
        Way::Beam { width, length_penalty, coverage_penalty } => {
            Some((width, length_penalty, coverage_penalty))
        }
        Way::Temperature(_) => None,
    };
    let ways: Vec<(usize, f64, f64)> = rows.iter().filter_map(beam).collect();
    let Some(widest) = ways.iter().map(|way| way.0).max() else { return Vec::new() };
    let each = |of: &dyn Fn(&(usize, f64, f64)) -> f64| {
        let mut all: Vec<f64> = ways.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let (alphas, betas) = (each(&|way| way.1), each(&|way| way.2));
    if alphas.len() < 2 || betas.len() < 2 {
        return Vec::new();
    }
    let names = first.measured.scores.iter().map(|(name, _)| name.to_owned());
    let names = names.filter(|name| name != "nll" && name != "ppl");
    let map = |name: String| {
        let at = |alpha: f64, beta: f64| {
            let row = rows.iter().find(|row| beam(row) == Some((widest, alpha, beta)))?;
            row.measured.scores.get(&name)
        };
        let row = |beta: &f64| alphas.iter().map(|alpha| at(*alpha, *beta)).collect();
        let map = HeatMap {
            title: format!("{name}, beam {widest}"),
            row_axis: "β".to_owned(),
            rows: betas.iter().map(ToString::to_string).collect(),
            column_axis: "α".to_owned(),
            columns: alphas.iter().map(ToString::to_string).collect(),
            cells: betas.iter().map(row).collect(),
        };
        (name, map)
    };
    names.map(map).collect()
}

/// A panel for each score, a curve for each model and search.
fn by_length(rows: &[Row]) -> Vec<Panel> {
    let Some(first) = rows.iter().find_map(|row| row.by_length.first()) else { return Vec::new() };
    let ways = rows.iter().filter(|row| row.model == rows[0].model).count();
    first
        .scores
        .iter()
        .map(|(name, _)| {
            let curve = |row: &Row| {
                let point = |of: &OfLength| {
                    let (_, value) = of.scores.iter().find(|(other, _)| other == name)?;
                    Some((of.tokens[1] as f64, *value))
                };
                let way = if ways > 1 { format!(", {}", row.way.shown()) } else { String::new() };
                Curve {
                    name: format!("{}{way}", row.model),
                    points: row.by_length.iter().filter_map(point).collect(),
                }
            };
            Panel { label: name.clone(), curves: rows.iter().map(curve).collect() }
        })
        .collect()
}
