//! `recurrent inspect`.

use std::io::Write;

use anyhow::{Context, bail};
use burn::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::{
    any_translator::{AnyTranslator, Architecture},
    args::Inspect,
    atomic::write_atomically,
    folder::{ModelFolder, Part, Seal},
    picture::wiring,
    terminal::{Align, Stream, Styles, Table, grouped},
    text_to_text::TextToText,
    weights::Parameter,
};

/// What a folder holds, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Summary {
    folder: String,
    kind: String,
    model: Value,
    parameters: Vec<Row>,
    parameter_count: usize,
    files: Vec<File>,
    /// Nothing if the model was not evaluated.
    metrics: Option<Value>,
    /// Nothing if the model was not trained here.
    training: Option<toml::Table>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    count: usize,
}

#[derive(Debug, Serialize)]
struct File {
    name: &'static str,
    #[serde(flatten)]
    seal: Seal,
}

/// Shows what a model folder holds.
///
/// # Errors
///
/// If it is not a whole model folder, or the output cannot be written.
pub fn run(arguments: &Inspect, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = ModelFolder::open(&arguments.model)?;
    if let Some(path) = &arguments.wiring {
        let texts_and_model = match folder.kind() {
            Some(Architecture::GNMT) => Some(TextToText::load(&arguments.model, &Device::flex())?),
            _ => None,
        };
        let Some((_, AnyTranslator::Gnmt(model))) = texts_and_model else {
            bail!("--wiring is for a GNMT, and {} is none", arguments.model.display());
        };
        write_atomically(path, wiring(&model).as_bytes())?;
    }
    let summary = summary(&folder)?;
    match arguments.format.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&summary)?)?,
        false => show(&summary, Stream::Stdout.styles(), out)?,
    }
    Ok(())
}

fn summary(folder: &ModelFolder) -> anyhow::Result<Summary> {
    let named = |part: Part| folder.path().join(part.file_name()).display().to_string();
    let metrics = match folder.has(Part::Metrics) {
        false => None,
        true => {
            let text = folder.read_text(Part::Metrics)?;
            Some(serde_json::from_str(&text).with_context(|| named(Part::Metrics))?)
        }
    };
    let training = match folder.has(Part::Training) {
        false => None,
        true => {
            let text = folder.read_text(Part::Training)?;
            Some(text.parse().with_context(|| named(Part::Training))?)
        }
    };
    let parameters = folder.parameters()?;
    let files = folder.files().into_iter();
    Ok(Summary {
        folder: folder.path().display().to_string(),
        kind: folder.kind().unwrap_or_default().to_owned(),
        model: folder.model()?,
        parameter_count: parameters.iter().map(Parameter::count).sum(),
        parameters: parameters.into_iter().map(Row::from).collect(),
        files: files.map(|(part, seal)| File { name: part.file_name(), seal }).collect(),
        metrics,
        training,
    })
}

impl From<Parameter> for Row {
    fn from(parameter: Parameter) -> Self {
        let count = parameter.count();
        let Parameter { name, dtype, shape } = parameter;
        Self { name, dtype, shape, count }
    }
}

fn show(summary: &Summary, styles: Styles, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}: {}", styles.bold(&summary.folder), summary.kind)?;
    section(styles, "model", values(&summary.model), out)?;
    let mut parameters = Table::new([Align::Left, Align::Left, Align::Left, Align::Right])
        .with_header(["parameter", "type", "shape", "numbers"])
        .with_styles(styles);
    for Row { name, dtype, shape, count } in &summary.parameters {
        let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
        parameters.row([name, dtype, &sizes.join(" × "), &grouped(*count)]);
    }
    parameters.row(["total", "", "", &grouped(summary.parameter_count)]);
    write!(out, "\n{parameters}")?;
    if let Some(metrics) = &summary.metrics {
        section(styles, "metrics", values(metrics), out)?;
    }
    if let Some(training) = &summary.training {
        section(styles, "training", values(&serde_json::to_value(training)?), out)?;
    }
    Ok(())
}

fn section(
    styles: Styles,
    name: &str,
    rows: Vec<(String, String)>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut table =
        Table::new([Align::Left, Align::Left]).with_header([name, ""]).with_styles(styles);
    for (key, value) in rows {
        table.row([key, value]);
    }
    write!(out, "\n{table}")?;
    Ok(())
}

/// The paths of all keys, with their values.
fn values(value: &Value) -> Vec<(String, String)> {
    fn walk(path: &str, value: &Value, rows: &mut Vec<(String, String)>) {
        match value {
            Value::Object(inside) if !inside.is_empty() => {
                for (key, value) in inside {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{key}"), value, rows);
                }
            }
            Value::String(text) => rows.push((path.to_owned(), text.clone())),
            other => rows.push((path.to_owned(), other.to_string())),
        }
    }
    let mut rows = Vec::new();
    walk("", value, &mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::nn::LinearConfig;
    use serde_json::json;

    use super::*;
    use crate::{args::Format, folder::Start};

    fn model(path: &Path) -> ModelFolder {
        let mut folder = ModelFolder::create(path, Start::New).unwrap();
        folder.describe("layer", &json!({ "size": { "width": 3 } })).unwrap();
        let layer = LinearConfig::new(3, 400).init(&Device::flex());
        folder.save_weights(&layer).unwrap();
        folder
    }

    fn shown(path: &Path, format: Format) -> anyhow::Result<String> {
        let mut out = Vec::new();
        run(&Inspect { model: path.to_owned(), wiring: None, format }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn everything_is_shown() {
        let temporary = tempfile::tempdir().unwrap();
        let mut folder = model(temporary.path());
        folder.write(Part::Metrics, br#"{"bleu": 31.4}"#).unwrap();
        folder.write(Part::Training, b"[training]\nepochs = 3\n").unwrap();
        let text = shown(temporary.path(), Format::default()).unwrap();
        for row in ["size.width  3", "weight     F32   3 × 400    1 200", "bleu     31.4"] {
            assert!(text.contains(row), "no `{row}` in\n{text}");
        }
        assert!(text.contains("training.epochs  3") && text.contains("1 600"), "{text}");
        let summary: Value =
            serde_json::from_str(&shown(temporary.path(), Format { json: true }).unwrap()).unwrap();
        assert_eq!(summary["parameter_count"], 1600);
        assert_eq!(summary["parameters"][1]["shape"], json!([3, 400]));
        assert_eq!(summary["metrics"]["bleu"], 31.4);
        assert_eq!(summary["training"]["training"]["epochs"], 3);
    }

    #[test]
    fn damaged_notes_are_named() {
        let temporary = tempfile::tempdir().unwrap();
        let mut folder = model(temporary.path());
        assert!(
            shown(temporary.path(), Format { json: true }).unwrap().contains("\"metrics\": null")
        );
        folder.write(Part::Metrics, b"{").unwrap();
        let error = shown(temporary.path(), Format::default()).unwrap_err();
        assert!(crate::error::message(&error).contains("metrics.json"), "{error:?}");
    }
}
