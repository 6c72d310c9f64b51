//! Progress as lines of text, for pipes, files and people.

use std::io::Write;

use crate::{
    AverageRecord, Best, Ended, EpochRecord, Event, Observer, Scores, Standing, StepReport,
};

/// Writes a line about every so many seconds and one an epoch, without control characters.
pub(crate) struct Plain<W> {
    out: W,
    /// Seconds between two lines of steps.
    every: f64,
    last: Option<f64>,
}

impl<W: Write> Plain<W> {
    pub(crate) fn new(out: W, every: f64) -> Self {
        Self { out, every, last: None }
    }

    /// A reader that has gone away must not end a training.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    fn step(&mut self, report: &StepReport) {
        let due = self.last.is_none_or(|last| report.seconds - last >= self.every);
        if due {
            self.last = Some(report.seconds);
            self.line(&step(report));
        }
    }
}

impl<W: Write> Observer for Plain<W> {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Started { epochs, done, step, parameters } => {
                let parameters = thousands(*parameters);
                let from = match (done, step) {
                    (_, 0) => String::new(),
                    _ => format!(", continued after epoch {done}, step {step}"),
                };
                self.line(&format!("training {parameters} parameters for {epochs} epochs{from}"));
            }
            Event::Skipped(skipped) => {
                let path = skipped.path.display();
                self.line(&format!("passed over `{path}`: {}", skipped.why));
            }
            Event::Step(report) => self.step(report),
            Event::Epoch { record, best, seconds } => {
                self.line(&epoch(record, *best, *seconds));
            }
            Event::Average { record, best, seconds } => {
                self.line(&average(record, best, *seconds));
            }
            Event::Saved { .. } => {}
            Event::Ended { ended, best, seconds } => {
                let why = match ended {
                    Ended::Finished => "finished",
                    Ended::EarlyStopped => "stopped early",
                    Ended::Interrupted => "interrupted",
                };
                let best = best.as_ref().map_or(String::new(), |best| {
                    let whose = match best {
                        Best::Epoch(record) => format!("epoch {}", record.epoch),
                        Best::Average(record) => mean(record),
                    };
                    format!(", best {whose}{}", scores(best.scores()))
                });
                self.line(&format!("{why} after {}{best}", duration(*seconds)));
            }
        }
    }
}

fn step(report: &StepReport) -> String {
    let StepReport { epoch, epochs, batch, batches, .. } = report;
    format!(
        "epoch {epoch}/{epochs}  batch {batch}/{batches}  nll {:.4}  norm {:.3}  lr {:.2e}  \
         {} items/s  {} left",
        report.nll,
        report.gradient_norm,
        report.learning_rate,
        thousands(report.items_per_second.round() as usize),
        duration(report.seconds_left),
    )
}

fn epoch(record: &EpochRecord, standing: Standing, seconds: f64) -> String {
    let standing = match standing {
        Standing::Best => "  best".to_string(),
        Standing::Behind { epochs } => format!("  best was {epochs} before"),
    };
    format!(
        "epoch {} done  train nll {:.4}{}{standing}  {}",
        record.epoch,
        record.nll,
        scores(&record.scores),
        duration(seconds),
    )
}

fn average(record: &AverageRecord, best: &Best, seconds: f64) -> String {
    let standing = match best {
        Best::Average(_) => "best".to_string(),
        Best::Epoch(best) => format!("epoch {} was better", best.epoch),
    };
    let (mean, scores) = (mean(record), scores(&record.scores));
    format!("{mean}{scores}  {standing}  {}", duration(seconds))
}

fn mean(AverageRecord { first, last, .. }: &AverageRecord) -> String {
    format!("mean of epochs {first} to {last}")
}

fn scores(scores: &Scores) -> String {
    scores.iter().map(|(name, value)| format!("  {name} {value:.4}")).collect()
}

/// 18200 as "18,200".
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 90.0 => format!("{seconds:.0} s"),
        _ if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
