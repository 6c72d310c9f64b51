//! From the command line to the results.

use std::{cell::RefCell, fs, io::Write, rc::Rc};

use anyhow::{Context, Result};
use burn::tensor::Device;
use recurrent::{
    adapter::adapter_of,
    atomic::{make_folder, write_atomically},
    device::{DeviceName, Kind},
};
use thiserror::Error;

use crate::{
    args::{Arguments, Own},
    case::{Case, LinePoint, OnProcessor, all, is_wanted, small},
    check,
    measure::{Effort, Local, Side, alternate},
    memory,
    peer::{Peer, PeerError, Prepared},
    picture::{growth, picture},
    product,
    report::{Computes, Line, Point, Report, Row, seconds},
};

/// No case is named like this.
#[derive(Debug, Error)]
#[error("no case `{name}`, expected a family ({families}) or a name that `--list` shows")]
pub struct UnknownCase {
    name: String,
    families: String,
}

/// Does what the command line says.
///
/// # Errors
///
/// If a case or a device is unknown, a peer fails, sides differ, or results cannot be written.
pub fn run(arguments: &Arguments, out: &mut dyn Write, log: &mut dyn Write) -> Result<()> {
    let cases = wanted(&arguments.cases)?;
    let ways = arguments.ways;
    if ways.list {
        for case in cases {
            writeln!(out, "{}", case.name())?;
        }
        return Ok(());
    }
    // It fails only if threads are there already; then the tests of one process share them.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads.get()).build_global();
    let opened = arguments.backends.iter().map(|name| Ok((*name, name.open()?)));
    let devices: Vec<(DeviceName, Device)> = opened.collect::<Result<_>>()?;
    if let Some(side) = arguments.peak {
        return peak(&cases, side, &devices[0].1, out);
    }
    let python = arguments.peers.as_deref();
    let start = |python| Peer::start(python, arguments.threads.get());
    let peer = python.map(start).transpose()?.map(|peer| Rc::new(RefCell::new(peer)));
    if ways.check {
        return compare(&devices, peer.as_deref(), out);
    }
    let mut bench = Bench { arguments, devices, peer, log };
    let report = bench.measure(&cases)?;
    write_results(arguments, &report)?;
    if ways.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{}", report.markdown())?;
    }
    Ok(())
}

/// The cases of these names, or all.
fn wanted(names: &[String]) -> Result<Vec<Box<dyn Case>>, UnknownCase> {
    let cases = all();
    for name in names {
        if !cases.iter().any(|case| is_wanted(&case.name(), name)) {
            let mut families: Vec<String> = cases
                .iter()
                .map(|case| case.name().split('/').next().unwrap_or_default().to_owned())
                .collect();
            families.dedup();
            return Err(UnknownCase { name: name.clone(), families: families.join(", ") });
        }
    }
    let is_chosen = |case: &str| {
        let named = names.iter().any(|name| is_wanted(case, name));
        names.is_empty() || named
    };
    Ok(cases.into_iter().filter(|case| is_chosen(&case.name())).collect())
}

fn peak(cases: &[Box<dyn Case>], side: Own, device: &Device, out: &mut dyn Write) -> Result<()> {
    for case in cases {
        match memory::of_this_process(&**case, side, device) {
            Some(bytes) => writeln!(out, "{bytes}")?,
            None => writeln!(out, "none")?,
        }
    }
    Ok(())
}

fn compare(
    devices: &[(DeviceName, Device)],
    peer: Option<&RefCell<Peer>>,
    out: &mut dyn Write,
) -> Result<()> {
    for (place, (name, device)) in devices.iter().enumerate() {
        for case in small() {
            let mut show = |side: &str, compared: Option<check::Compared>| match compared {
                Some(check::Compared { count, difference }) => {
                    let case = case.name();
                    writeln!(out, "{case} on {name}, {side}: {count} numbers, {difference:.1e}")
                }
                None => Ok(()),
            };
            if place > 0 {
                let (first, on_first) = &devices[0];
                let compared = check::with_backend(&*case, on_first, device)?;
                show(&format!("ours on {first}"), compared)?;
            }
            show("Burn", check::with_burn(&*case, device)?)?;
            if let Some(peer) = peer {
                let compared = check::with_peer(&*case, device, &mut peer.borrow_mut())?;
                show(case.peer().name(), compared)?;
            }
        }
    }
    Ok(())
}

struct Bench<'a> {
    arguments: &'a Arguments,
    devices: Vec<(DeviceName, Device)>,
    peer: Option<Rc<RefCell<Peer>>>,
    log: &'a mut dyn Write,
}

impl Bench<'_> {
    fn measure(&mut self, cases: &[Box<dyn Case>]) -> Result<Report> {
        let mut report = Report {
            processor: processor(),
            threads: self.arguments.threads.get(),
            quick: self.arguments.ways.quick,
            devices: self.devices.iter().map(computes).collect(),
            ..Report::default()
        };
        report.load[0] = load();
        // What the machine can do comes first, whatever is wanted.
        let others = cases.iter().filter(|case| !is_wanted(&case.name(), "product"));
        let products = product::all().map(|case| Box::new(case) as Box<dyn Case>);
        for case in products.collect::<Vec<_>>().iter().chain(others) {
            report.rows.push(self.row(&**case)?);
        }
        report.load[1] = load();
        report.compare_with_peak();
        report.lines = self.lines(cases, &report.rows)?;
        Ok(report)
    }

    fn effort(&self) -> Effort {
        if self.arguments.ways.quick { Effort::QUICK } else { Effort::FULL }
    }

    /// The sides inside this process: ours on every device, then ours in single precision, then Burn's.
    fn own_sides(&self, case: &dyn Case) -> Vec<Box<dyn Side>> {
        let processor = [(DeviceName::default(), Device::flex())];
        let devices = self.devices.as_slice();
        let (ours, single) = match case.on_processor() {
            OnProcessor::None => (devices, devices),
            OnProcessor::Ours => (&processor[..], devices),
            OnProcessor::All => (&processor[..], &processor[..]),
        };
        let side = |what: &str, (name, device): &(DeviceName, Device), work| {
            Box::new(Local::new(format!("{what} on {name}"), device.clone(), work)) as Box<dyn Side>
        };
        let mut sides: Vec<_> = ours.iter().map(|on| side("ours", on, case.ours(&on.1))).collect();
        let single = single.iter().filter_map(|on| Some((on, case.single_precision(&on.1)?)));
        sides.extend(single.map(|(on, work)| side("f32", on, work)));
        let burn = devices.iter().filter_map(|on| Some((on, case.burn(&on.1)?)));
        sides.extend(burn.map(|(on, work)| side("Burn", on, work)));
        sides
    }

    fn row(&mut self, case: &dyn Case) -> Result<Row> {
        let mut sides = self.own_sides(case);
        if let Some(peer) = &self.peer
            && peer.borrow_mut().prepare(case)?
        {
            sides.push(Box::new(Prepared(case.peer(), peer.clone())));
        }
        let turns = alternate(&mut sides, self.effort()).with_context(|| case.name())?;
        let row = Row::new(case, &turns);
        write!(self.log, "{}", row.case)?;
        for side in &row.sides {
            write!(self.log, "  {} {}", side.side, seconds(side.seconds))?;
        }
        writeln!(self.log)?;
        Ok(row)
    }

    /// The lines of growth through the rows that are points of one.
    fn lines(&mut self, cases: &[Box<dyn Case>], rows: &[Row]) -> Result<Vec<Line>> {
        let mut points: Vec<(&'static str, String, Vec<Point>)> = Vec::new();
        for case in cases {
            let Some(LinePoint { line, at }) = case.line() else { continue };
            let Some(row) = rows.iter().find(|row| row.case == case.name()) else { continue };
            for side in &row.sides {
                let bytes = self.bytes(&**case, &side.side)?;
                let point = Point { at, seconds: side.best, bytes };
                let same = |(name, of, _): &&mut (&str, String, Vec<Point>)| {
                    *name == line && *of == side.side
                };
                match points.iter_mut().find(same) {
                    Some((_, _, points)) => points.push(point),
                    None => points.push((line, side.side.clone(), vec![point])),
                }
            }
        }
        // A line is of one axis and one side, and lines of one axis stand together.
        let mut lines: Vec<Line> = Vec::new();
        while !points.is_empty() {
            let axis = points[0].0;
            let (now, later): (Vec<_>, Vec<_>) =
                points.into_iter().partition(|(line, ..)| *line == axis);
            lines.extend(now.into_iter().map(|(line, side, points)| Line::new(line, side, points)));
            points = later;
        }
        Ok(lines)
    }

    /// The most memory of a run, where it can be counted.
    fn bytes(&mut self, case: &dyn Case, side: &str) -> Result<Option<f64>> {
        writeln!(self.log, "memory of {} by {side}", case.name())?;
        if side == case.peer().name() {
            return Ok(self.peers_bytes(case)?);
        }
        let own = if side.starts_with("ours") { Own::Ours } else { Own::Burn };
        let device = self.devices.iter().find(|(name, _)| side.ends_with(&format!(" {name}")));
        match device {
            // What is on another device, its own driver counts.
            Some((name, _)) if matches!(name.kind, Kind::Flex | Kind::Ndarray) => {
                Ok(memory::of_a_child(&case.name(), own, *name)?)
            }
            _ => Ok(None),
        }
    }

    fn peers_bytes(&self, case: &dyn Case) -> Result<Option<f64>, PeerError> {
        let Some(python) = &self.arguments.peers else { return Ok(None) };
        let mut fresh = Peer::start(python, self.arguments.threads.get())?;
        fresh.prepare(case)?;
        fresh.peak().map(Some)
    }
}

fn write_results(arguments: &Arguments, report: &Report) -> Result<()> {
    let folder = &arguments.out;
    make_folder(folder)?;
    let json = serde_json::to_string_pretty(report)?;
    write_atomically(&folder.join("benchmarks.json"), json.as_bytes())?;
    write_atomically(&folder.join("benchmarks.svg"), picture(&report.rows)?.as_bytes())?;
    if !report.lines.is_empty() {
        write_atomically(&folder.join("growth.svg"), growth(&report.lines)?.as_bytes())?;
    }
    write_atomically(&folder.join("benchmarks.md"), report.markdown().as_bytes())?;
    Ok(())
}

fn computes((name, device): &(DeviceName, Device)) -> Computes {
    Computes { name: name.to_string(), adapter: adapter_of(device), peak_gflops: None }
}

/// What the processor calls itself.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Processes that want to run, over the last minute.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn said(arguments: &[&str]) -> Result<String> {
        let arguments = Arguments::parse_from(["benches"].iter().chain(arguments));
        let mut out = Vec::new();
        run(&arguments, &mut out, &mut Vec::new())?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn cases_are_listed_by_family() {
        let steps = "step/g2p\nstep/gnmt/4x256\nstep/gnmt/8x128\n";
        assert_eq!(said(&["step", "--list"]).unwrap(), steps);
        let alone = ["greedy", "beam5", "int8/greedy", "int8/beam5"];
        let alone = alone.map(|how| format!("decode/gnmt/4x256/one/{how}\n")).concat();
        assert_eq!(said(&["decode/gnmt/4x256/one", "--list"]).unwrap(), alone);
        assert!(said(&["--list"]).unwrap().contains("layer/lstm/32x50x256/training-ragged\n"));
    }

    /// The devices of this build, flex first, separated by commas.
    fn backends() -> String {
        let built_in = Kind::ALL.into_iter().filter(|kind| kind.is_built_in());
        built_in.map(|kind| kind.name()).collect::<Vec<_>>().join(",")
    }

    /// The same work on every backend that is built in, and what it is done on.
    #[test]
    fn every_backend_is_a_side() {
        let arguments = Arguments::parse_from(["benches", "--backends", &backends()]);
        let opened = arguments.backends.iter().map(|name| (*name, name.open().unwrap()));
        let devices: Vec<_> = opened.collect();
        let on: Vec<Computes> = devices.iter().map(computes).collect();
        let mut log = Vec::new();
        let bench = Bench { arguments: &arguments, devices, peer: None, log: &mut log };
        let cases = wanted(&["layer/rnn/16x20x64/training".to_owned()]).unwrap();
        let mut sides = bench.own_sides(&*cases[0]);
        assert_eq!(sides.len(), on.len());
        for (side, on) in sides.iter_mut().zip(&on) {
            assert_eq!(side.name(), format!("ours on {}", on.name));
            assert_eq!(on.adapter.is_none(), ["flex", "ndarray"].contains(&on.name.as_str()));
            assert!(side.run(1).unwrap() > 0.0);
        }
    }

    /// What comes out on every backend that is built in is what comes out on flex.
    #[test]
    fn backends_do_the_same_work() {
        let said = said(&["--check", "--backends", &backends()]).unwrap();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_built_in()).skip(1) {
            let compared = format!(" on {}, ours on flex: ", kind.name());
            let count = said.lines().filter(|line| line.contains(&compared)).count();
            let on_device =
                small().iter().filter(|case| case.on_processor() == OnProcessor::None).count();
            assert_eq!(count, on_device, "{said}");
        }
    }

    #[test]
    fn work_on_the_processor_is_done_once() {
        let backends = [DeviceName::default(); 2];
        let arguments = Arguments::parse_from(["benches"]);
        let devices = backends.map(|name| (name, Device::flex())).into();
        let mut log = Vec::new();
        let bench = Bench { arguments: &arguments, devices, peer: None, log: &mut log };
        let sides = |case: &str| {
            let cases = wanted(&[case.to_owned()]).unwrap();
            let sides = bench.own_sides(&*cases[0]);
            sides.iter().map(|side| side.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(sides("step/g2p"), ["ours on flex"; 2]);
        assert_eq!(sides("int8"), ["ours on flex", "f32 on flex", "f32 on flex"]);
        assert_eq!(sides("reservoir/harvest"), ["ours on flex", "f32 on flex"]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let error = said(&["layers"]).unwrap_err().to_string();
        assert!(error.contains("`layers`") && error.contains("layer, attention"), "{error}");
        let error = said(&["step", "--peers", "no-such-python"]).unwrap_err().to_string();
        assert!(error.contains("no-such-python"), "{error}");
    }

    #[test]
    fn results_are_written_as_table_picture_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let arguments =
            ["layer/rnn/16x20x64", "--quick", "--json", "--out", path.to_str().unwrap()];
        let json: serde_json::Value = serde_json::from_str(&said(&arguments).unwrap()).unwrap();
        assert_eq!(json["rows"].as_array().unwrap().len(), 3 + 3);
        assert!(json["peak_gflops"].as_f64().unwrap() > 0.0);
        assert_eq!(json["devices"][0]["name"], "flex");
        for file in ["benchmarks.json", "benchmarks.svg", "benchmarks.md"] {
            assert!(path.join(file).exists(), "{file}");
        }
    }
}
