//! Progress as JSON, one object a line, for programs.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::{AverageRecord, Best, EpochRecord, Event, Observer, Scores, Standing, StepReport};

/// Writes every event as one line of JSON. The key `event` says which it is:
///
/// | `event` | other keys |
/// |---|---|
/// | `started` | `epochs`, `done`, `step`, `parameters` |
/// | `skipped` | `path`, `why` |
/// | `step` | `epoch`, `epochs`, `batch`, `batches`, `step`, `loss`, `nll`, `items`, `learning_rate`, `gradient_norm`, `seconds`, `items_per_second`, `seconds_left` |
/// | `epoch` | `epoch`, `step`, `loss`, `nll`, `items`, `learning_rate`, `gradient_norm`, `scores` (an object), `best` (true or false), `seconds` |
/// | `average` | `first`, `last` (epochs), `scores` of their mean, `best` (true or false), `seconds` |
/// | `saved` | `path` |
/// | `ended` | `why` (`finished`, `early_stopped` or `interrupted`), `best_epoch` (`null` without one, or if the mean of the last epochs is better), `best_average` (`[first, last]`, `null` unless it is), `scores` of the best (`null` without one), `seconds` |
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
        Event::Epoch { record, best, seconds } => {
            let mut value = record.to_json();
            value["event"] = json!("epoch");
            value["best"] = json!(*best == Standing::Best);
            value["seconds"] = json!(seconds);
            value
        }
        Event::Average { record, best, seconds } => {
            let mut value = record.to_json();
            value["event"] = json!("average");
            value["best"] = json!(matches!(best, Best::Average(_)));
            value["seconds"] = json!(seconds);
            value
        }
        Event::Saved { path } => json!({ "event": "saved", "path": path.display().to_string() }),
        Event::Ended { ended, best, seconds } => {
            let (epoch, average) = match best {
                Some(Best::Epoch(record)) => (Some(record.epoch), None),
                Some(Best::Average(record)) => (None, Some([record.first, record.last])),
                None => (None, None),
            };
            json!({
                "event": "ended",
                "why": ended,
                "best_epoch": epoch,
                "best_average": average,
                "scores": best.as_ref().map(|best| best.scores().to_json()),
                "seconds": seconds,
            })
        }
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

impl EpochRecord {
    /// The record as an object with the keys of the event `epoch` of [`Json`], but for `event`,
    /// `best` and `seconds`. What `serde` writes of a record is for checkpoints: numbers as text,
    /// which reads back to the same bits.
    pub fn to_json(&self) -> Value {
        json!({
            "epoch": self.epoch,
            "step": self.steps,
            "loss": self.loss,
            "nll": self.nll,
            "items": self.items,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "scores": self.scores.to_json(),
        })
    }
}

impl AverageRecord {
    /// The record as an object with the keys of the event `average` of [`Json`], but for `event`,
    /// `best` and `seconds`.
    pub fn to_json(&self) -> Value {
        json!({ "first": self.first, "last": self.last, "scores": self.scores.to_json() })
    }
}

impl Scores {
    /// The scores as an object; those that are not finite are `null`.
    pub fn to_json(&self) -> Value {
        let scores = self.iter().map(|(name, value)| (name.to_string(), json!(value)));
        Value::Object(Map::from_iter(scores))
    }
}
