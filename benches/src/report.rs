//! What was measured, as data and as a table.

use std::fmt::Write;

use recurrent::adapter::Adapter;
use serde::Serialize;

use crate::{
    case::Case,
    measure::{Turns, exponent, quantile},
};

/// Everything that one run has measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The processor, as it calls itself.
    pub processor: String,
    /// Threads of every side.
    pub threads: usize,
    /// Whether repetitions were few.
    pub quick: bool,
    /// Processes that wanted to run before and after, over the last minute, ours among them.
    pub load: [f64; 2],
    /// What computes, under the names that sides have.
    pub devices: Vec<Computes>,
    /// Floating-point operations a second in the best turn of any product by any side on the processor, in
    /// thousand millions.
    pub peak_gflops: f64,
    /// One a case.
    pub rows: Vec<Row>,
    /// One a line of `growth`.
    pub lines: Vec<Line>,
}

/// A device that sides compute on.
#[derive(Clone, Debug, Serialize)]
pub struct Computes {
    /// Its name: `wgpu:0`.
    pub name: String,
    /// What it is; nothing where it is the processor.
    pub adapter: Option<Adapter>,
    /// Floating-point operations a second in the best turn of any product there, in thousand millions; nothing
    /// where it is the processor.
    pub peak_gflops: Option<f64>,
}

/// One case.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub case: String,
    /// Multiplications and additions in its products, if that is nearly all of it.
    pub flops: Option<f64>,
    /// Whether it is in the picture.
    pub pictured: bool,
    /// What each side took; ours on the first backend is the first.
    pub sides: Vec<SideTime>,
}

/// What one side took for one case.
#[derive(Clone, Debug, Serialize)]
pub struct SideTime {
    /// Which side.
    pub side: String,
    /// The median of the turns, in seconds.
    pub seconds: f64,
    /// The quickest turn, in seconds.
    pub best: f64,
    /// Turns.
    pub turns: usize,
    /// How much it has of the speed of the best product on the processor, or on the adapter it is on.
    pub share_of_peak: Option<f64>,
    /// How many times the time of the first side it takes.
    pub ratio: Ratio,
}

/// How two sides stand to each other: above 1, the first is faster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// Of the medians.
    pub of_medians: f64,
    /// The quartiles of the ratios turn by turn.
    pub quartiles: [f64; 2],
}

/// How one side grows along one line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What grows: `T`, `B` or `H`.
    pub axis: &'static str,
    /// Which side.
    pub side: String,
    /// Points, with the seconds of the best turn and bytes.
    pub points: Vec<Point>,
    /// Time grows as the axis to this power.
    pub time_exponent: Option<f64>,
    /// Memory grows as the axis to this power.
    pub memory_exponent: Option<f64>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// How far along the axis.
    pub at: usize,
    /// Seconds.
    pub seconds: f64,
    /// The most bytes at once.
    pub bytes: Option<f64>,
}

impl Row {
    /// The row of a case from the turns of its sides.
    pub fn new(case: &dyn Case, turns: &[Turns]) -> Self {
        let sides = turns.iter().map(|side| SideTime {
            side: side.side.clone(),
            seconds: quantile(&side.seconds, 0.5),
            best: quantile(&side.seconds, 0.0),
            turns: side.seconds.len(),
            share_of_peak: None,
            ratio: Ratio::of(&side.seconds, &turns[0].seconds),
        });
        let (sides, flops) = (sides.collect(), case.flops());
        Self { case: case.name(), flops, pictured: case.is_pictured(), sides }
    }

    fn family(&self) -> &str {
        self.case.split('/').next().unwrap_or_default()
    }
}

impl Ratio {
    /// Of the times of another side to those of the first, turn by turn.
    pub fn of(other: &[f64], first: &[f64]) -> Self {
        let paired: Vec<f64> = other.iter().zip(first).map(|(a, b)| a / b).collect();
        Self {
            of_medians: quantile(other, 0.5) / quantile(first, 0.5),
            quartiles: [0.25, 0.75].map(|share| quantile(&paired, share)),
        }
    }
}

impl Line {
    /// The line of one side through its points.
    pub fn new(axis: &'static str, side: String, points: Vec<Point>) -> Self {
        let at = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
            let pairs = points.iter().filter_map(|point| Some((point.at as f64, value(point)?)));
            pairs.collect()
        };
        // Below a megabyte, what else a process does drowns it.
        let bytes = at(|point| point.bytes.filter(|bytes| *bytes > 1e6));
        let (time_exponent, memory_exponent) =
            (exponent(&at(|point| Some(point.seconds))), exponent(&bytes));
        Self { axis, side, points, time_exponent, memory_exponent }
    }
}

impl Report {
    /// Fills in how every side stands to the best product on what it computes on.
    pub fn compare_with_peak(&mut self) {
        self.peak_gflops = self.peak_on(None) / 1e9;
        let adapters: Vec<String> = self.adapters().map(|device| device.name.clone()).collect();
        let peaks: Vec<(&String, f64)> =
            adapters.iter().map(|name| (name, self.peak_on(Some(name)))).collect();
        for device in &mut self.devices {
            let peak = peaks.iter().find(|(name, _)| **name == device.name);
            device.peak_gflops = peak.map(|(_, peak)| peak / 1e9);
        }
        for row in &mut self.rows {
            for side in &mut row.sides {
                let on = peaks.iter().find(|(name, _)| is_on(&side.side, name));
                let peak = on.map_or(self.peak_gflops * 1e9, |(_, peak)| *peak);
                side.share_of_peak = row.flops.map(|flops| flops / side.seconds / peak);
            }
        }
    }

    /// The devices that are not the processor.
    fn adapters(&self) -> impl Iterator<Item = &Computes> {
        self.devices.iter().filter(|device| device.adapter.is_some())
    }

    /// Operations a second in the best turn of any product on an adapter, or on the processor.
    fn peak_on(&self, adapter: Option<&str>) -> f64 {
        let is_there = |side: &str| match adapter {
            Some(name) => is_on(side, name),
            None => !self.adapters().any(|device| is_on(side, &device.name)),
        };
        let products = self.rows.iter().filter(|row| row.family() == "product");
        let speeds = products.flat_map(|row| {
            let sides = row.sides.iter().filter(|side| is_there(&side.side));
            sides.map(|side| row.flops.unwrap_or(0.0) / side.best)
        });
        speeds.fold(0.0, f64::max)
    }

    /// A line for each adapter.
    fn adapters_as_text(&self) -> String {
        let mut text = String::new();
        for Computes { name, adapter, peak_gflops } in &self.devices {
            let (Some(adapter), Some(peak)) = (adapter, peak_gflops) else { continue };
            let Adapter { name: called, kind, interface, kernels, .. } = adapter;
            let _ = write!(
                text,
                "\n\n`{name}` is {called} ({}, by {interface}, kernels as {kernels}); the best product there \
                 reaches {peak:.0} GFLOP/s.",
                kind.name()
            );
        }
        text
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let quick =
            if self.quick { " Few repetitions: these numbers are not to be quoted." } else { "" };
        let _ = writeln!(
            text,
            "# Benchmarks\n\n{}, {} threads, load {:.1} before and {:.1} after; the best product reaches \
             {:.0} GFLOP/s.{quick}{}\n\n\
             Times are medians, in brackets the best turn. Behind them is the share of the speed of the best \
             product on the same hardware, and how many times the first side's time it is, with the quartiles of the pairs: \
             above 1 the first side is faster. How it is measured: `docs/benchmarks.md`.",
            self.processor,
            self.threads,
            self.load[0],
            self.load[1],
            self.peak_gflops,
            self.adapters_as_text()
        );
        for family in self.rows.chunk_by(|a, b| a.family() == b.family()) {
            write_family(&mut text, family);
        }
        if !self.lines.is_empty() {
            text.push_str(
                "\n## Exponents of growth\n\n| axis | side | time | memory |\n|---|---|---|---|\n",
            );
        }
        for line in &self.lines {
            let shown = |value: Option<f64>| value.map_or("–".to_owned(), |x| format!("{x:.2}"));
            let (time, memory) = (shown(line.time_exponent), shown(line.memory_exponent));
            let _ = writeln!(text, "| {} | {} | {time} | {memory} |", line.axis, line.side);
        }
        text
    }
}

/// Whether a side computes on the device of this name.
fn is_on(side: &str, device: &str) -> bool {
    side.strip_suffix(device).is_some_and(|rest| rest.ends_with(" on "))
}

fn write_family(text: &mut String, rows: &[Row]) {
    let mut sides: Vec<&str> = Vec::new();
    for side in rows.iter().flat_map(|row| &row.sides) {
        if !sides.contains(&side.side.as_str()) {
            sides.push(&side.side);
        }
    }
    let _ = writeln!(text, "\n## {}\n\n| case | {} |", rows[0].family(), sides.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(sides.len()));
    for row in rows {
        let _ = write!(text, "| {} |", row.case);
        for name in &sides {
            let side = row.sides.iter().position(|side| side.side == *name);
            let shown = side.map_or("–".to_owned(), |place| cell(&row.sides[place], place));
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
}

fn cell(side: &SideTime, place: usize) -> String {
    let mut text = format!("{} ({})", seconds(side.seconds), seconds(side.best));
    if let Some(share) = side.share_of_peak {
        let _ = write!(text, ", {:.0} %", 100.0 * share);
    }
    if place > 0 {
        let Ratio { of_medians, quartiles: [low, high] } = side.ratio;
        let _ = write!(text, ", ×{of_medians:.2} ({low:.2}–{high:.2})");
    }
    text
}

/// Seconds with three digits and a unit.
pub fn seconds(value: f64) -> String {
    let (value, unit) = match value {
        value if value < 1e-3 => (value * 1e6, "µs"),
        value if value < 1.0 => (value * 1e3, "ms"),
        value => (value, "s"),
    };
    let digits = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use recurrent::adapter::{AdapterKind, Limits};

    use super::*;
    use crate::product::Product;

    fn turns(side: &str, seconds: &[f64]) -> Turns {
        Turns { side: side.to_owned(), seconds: seconds.to_vec() }
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_quartiles_are_of_pairs() {
        let ratio = Ratio::of(&[2.0, 6.0, 4.0], &[1.0, 2.0, 4.0]);
        assert_eq!(ratio, Ratio { of_medians: 2.0, quartiles: [1.5, 2.5] });
    }

    #[test]
    fn the_best_product_is_the_peak() {
        let case = Product { size: 1000 };
        let row = Row::new(&case, &[turns("ours", &[0.02]), turns("it", &[0.01])]);
        let mut report = Report { rows: vec![row], ..Report::default() };
        report.compare_with_peak();
        assert!((report.peak_gflops - 200.0).abs() < 1e-9);
        let text = report.markdown();
        assert!(
            text.contains(
                "| product/1000 | 20.0 ms (20.0 ms), 50 % | 10.0 ms (10.0 ms), 100 %, ×0.5"
            ),
            "{text}"
        );
    }

    /// A GPU is compared with itself, and says what it is.
    #[test]
    fn what_is_not_the_processor_has_a_peak_of_its_own() {
        let limits = Limits {
            buffer: 1 << 30,
            shared_memory: 1 << 15,
            workgroup: 256,
            workgroups: [65535; 3],
            bindings: 7,
            plane: [32, 32],
            floats: vec!["f32"],
        };
        let adapter = Adapter {
            name: "a card".to_owned(),
            kind: AdapterKind::Discrete,
            interface: "Vulkan".to_owned(),
            kernels: "SPIR-V".to_owned(),
            limits,
        };
        let device =
            |name: &str, adapter| Computes { name: name.to_owned(), adapter, peak_gflops: None };
        let turns = [turns("ours on flex", &[0.02]), turns("ours on wgpu:1", &[0.0002])];
        let mut report = Report {
            rows: vec![Row::new(&Product { size: 1000 }, &turns)],
            devices: vec![device("flex", None), device("wgpu:1", Some(adapter))],
            ..Report::default()
        };
        report.compare_with_peak();
        assert!((report.peak_gflops - 100.0).abs() < 1e-9);
        assert!((report.devices[1].peak_gflops.unwrap() - 10_000.0).abs() < 1e-6);
        assert_eq!(report.devices[0].peak_gflops, None);
        let text = report.markdown();
        assert!(text.contains("| 20.0 ms (20.0 ms), 100 % | 200 µs (200 µs), 100 %"), "{text}");
        assert!(
            text.contains("`wgpu:1` is a card (discrete, by Vulkan, kernels as SPIR-V); the best"),
            "{text}"
        );
    }

    #[test]
    fn small_memory_does_not_count() {
        let point = |at, bytes| Point { at, seconds: at as f64, bytes: Some(bytes) };
        let line = Line::new("T", String::new(), vec![point(1, 5.0), point(2, 2e6), point(4, 8e6)]);
        assert!((line.time_exponent.unwrap() - 1.0).abs() < 1e-12);
        assert!((line.memory_exponent.unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn units() {
        assert_eq!([2.5e-5, 0.0123, 1.5].map(seconds), ["25.0 µs", "12.3 ms", "1.50 s"]);
    }
}
