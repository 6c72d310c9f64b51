//! Progress as JSON, one object a line, for programs.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::{EpochRecord, Event, Observer, Standing, StepReport};

/// Writes every event as one line of JSON. The key `event` says which it is:
///
/// | `event` | other keys |
/// |---|---|
/// | `started` | `epochs`, `done`, `step`, `parameters` |
/// | `skipped` | `path`, `why` |
/// | `step` | `epoch`, `epochs`, `batch`, `batches`, `step`, `loss`, `nll`, `items`, `learning_rate`, `gradient_norm`, `seconds`, `items_per_second`, `seconds_left` |
/// | `epoch` | `epoch`, `step`, `loss`, `nll`, `items`, `learning_rate`, `gradient_norm`, `scores` (an object), `best` (true or false), `seconds` |
/// | `saved` | `path` |
/// | `ended` | `why` (`finished`, `early_stopped` or `interrupted`), `best_epoch` and `scores` of the best epoch (`null` without one), `seconds` |
///
/// The names and meanings are those of [`Event`]. Numbers that are not finite are `null`. A line
/// that cannot be written is lost.
#[derive(Debug)]
pub struct Json<W>(pub W);

impl<W: Write> Observer for Json<W> {
    fn observe(&mut self, event: &Event) {
        let line = value(event);
        let _ = writeln!(self.0, "{line}").and_then(|()| self.0.flush());
    }
}

fn value(event: &Event) -> Value {
    match event {
        Event::Started { epochs, done, step, parameters } => json!({
            "event": "started",
            "epochs": epochs,
            "done": done,
            "step": step,
            "parameters": parameters,
        }),
        Event::Skipped(skipped) => json!({
            "event": "skipped",
            "path": skipped.path.display().to_string(),
            "why": skipped.why,
        }),
        Event::Step(report) => step(report),
        Event::Epoch { record, best, seconds } => json!({
            "event": "epoch",
            "epoch": record.epoch,
            "step": record.steps,
            "loss": record.loss,
            "nll": record.nll,
            "items": record.items,
            "learning_rate": record.learning_rate,
            "gradient_norm": record.gradient_norm,
            "scores": scores(record),
            "best": *best == Standing::Best,
            "seconds": seconds,
        }),
        Event::Saved { path } => json!({ "event": "saved", "path": path.display().to_string() }),
        Event::Ended { ended, best, seconds } => json!({
            "event": "ended",
            "why": ended,
            "best_epoch": best.as_ref().map(|best| best.epoch),
            "scores": best.as_ref().map(scores),
            "seconds": seconds,
        }),
    }
}

fn step(report: &StepReport) -> Value {
    json!({
        "event": "step",
        "epoch": report.epoch,
        "epochs": report.epochs,
        "batch": report.batch,
        "batches": report.batches,
        "step": report.step,
        "loss": report.loss,
        "nll": report.nll,
        "items": report.items,
        "learning_rate": report.learning_rate,
        "gradient_norm": report.gradient_norm,
        "seconds": report.seconds,
        "items_per_second": report.items_per_second,
        "seconds_left": report.seconds_left,
    })
}

fn scores(record: &EpochRecord) -> Value {
    let scores = record.scores.iter().map(|(name, value)| (name.to_string(), json!(value)));
    Value::Object(Map::from_iter(scores))
}
