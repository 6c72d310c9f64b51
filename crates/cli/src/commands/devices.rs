//! `recurrent devices`.

use std::io::Write;

use serde::Serialize;

use crate::{
    adapter::{Adapter, Limits},
    args::Devices,
    device::Kind,
    terminal::{Align, Stream, Table},
};

/// One kind of device, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Row {
    /// The name that `--device` takes.
    name: &'static str,
    /// What it is.
    description: &'static str,
    /// Whether this program was built with it.
    built_in: bool,
    /// How many of its kind this machine has.
    present: usize,
    /// Each of them.
    devices: Vec<Shown>,
}

/// One device, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Shown {
    /// The name that `--device` takes.
    name: String,
    /// What is known of it; nothing of the processor.
    adapter: Option<Adapter>,
    /// Why it cannot be used.
    error: Option<String>,
}

impl Row {
    fn of(kind: Kind) -> Self {
        let devices = kind.probed().into_iter().map(|(name, adapter)| {
            let name = name.to_string();
            match adapter {
                Ok(adapter) => Shown { name, adapter, error: None },
                Err(error) => Shown { name, adapter: None, error: Some(error.to_string()) },
            }
        });
        let devices: Vec<Shown> = devices.collect();
        Self {
            name: kind.name(),
            description: kind.description(),
            built_in: kind.is_built_in(),
            present: devices.len(),
            devices,
        }
    }
}

/// Lists the kinds of devices, whether they are built in, and which there are: each is opened, and asked what
/// fits on it.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(arguments: &Devices, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows = Kind::ALL.map(Row::of);
    match arguments.format.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?,
        false => {
            write!(out, "{}", table(&rows))?;
            for device in rows.iter().flat_map(|row| &row.devices) {
                write!(out, "{}", details(device))?;
            }
        }
    }
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let styles = Stream::Stdout.styles();
    let mut table = Table::new([Align::Left, Align::Left, Align::Left])
        .with_header(["device", "here", "what it is"])
        .with_styles(styles);
    for row in rows {
        let here = match (row.built_in, row.present) {
            (false, _) => format!("no: build with `--features {}`", row.name),
            (true, 0) => "no: this machine has none".to_owned(),
            (true, 1) => "yes".to_owned(),
            (true, count) => format!("yes: {0}:0 to {0}:{1}", row.name, count - 1),
        };
        table.row([row.name.to_owned(), here, row.description.to_owned()]);
    }
    table
}

/// What is known of a device, line by line.
fn details(device: &Shown) -> String {
    let Shown { name, adapter, error } = device;
    if let Some(error) = error {
        return format!("\n{name}  {error}\n");
    }
    let Some(Adapter { name: called, kind, interface, kernels, limits }) = adapter else {
        return String::new();
    };
    let Limits { buffer, shared_memory, workgroup, bindings, floats, .. } = limits;
    let (kind, buffer, shared) = (kind.name(), bytes(*buffer), bytes(*shared_memory as u64));
    let floats = floats.join(", ");
    let indent = " ".repeat(name.len() + 2);
    format!(
        "\n{name}  {called}\n\
         {indent}{kind}, by {interface}, kernels as {kernels}\n\
         {indent}largest buffer {buffer}; a workgroup has {workgroup} units and shares {shared}; \
         a kernel takes {bindings} buffers\n\
         {indent}computes in {floats}\n"
    )
}

/// In the largest unit that there is one of; a fraction is rounded.
fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((size, unit)) = units.into_iter().find(|(size, _)| count >= *size) else {
        return format!("{count} bytes");
    };
    let digits = usize::from(!count.is_multiple_of(size));
    format!("{:.digits$} {unit}", count as f64 / size as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Format;

    fn shown(format: Format) -> String {
        let mut out = Vec::new();
        run(&Devices { format }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flex_is_there() {
        let rows: serde_json::Value = serde_json::from_str(&shown(Format { json: true })).unwrap();
        assert_eq!(rows[0]["name"], "flex");
        assert_eq!((&rows[0]["built_in"], &rows[0]["present"]), (&true.into(), &1.into()));
        assert_eq!(rows.as_array().unwrap().len(), Kind::ALL.len());
    }

    /// Each device once, in the table and below it, and as JSON.
    #[test]
    fn every_adapter_is_described() {
        let rows: serde_json::Value = serde_json::from_str(&shown(Format { json: true })).unwrap();
        let text = shown(Format::default());
        for row in rows.as_array().unwrap() {
            let devices = row["devices"].as_array().unwrap();
            assert_eq!(row["present"], devices.len());
            for device in devices {
                assert_eq!(device["error"], serde_json::Value::Null);
                let Some(name) = device["adapter"]["name"].as_str() else {
                    assert!(["flex", "ndarray"].contains(&row["name"].as_str().unwrap()));
                    continue;
                };
                let heading = format!("\n{}  {name}\n", device["name"].as_str().unwrap());
                assert!(text.contains(&heading), "{text}");
                assert!(device["adapter"]["limits"]["buffer"].is_u64());
            }
        }
    }

    #[test]
    fn a_device_that_is_broken_says_why() {
        let error = Some("device `wgpu:0` cannot be opened: no memory".to_owned());
        let device = Shown { name: "wgpu:0".to_owned(), adapter: None, error };
        assert_eq!(details(&device), "\nwgpu:0  device `wgpu:0` cannot be opened: no memory\n");
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [100, 1 << 10, 48 << 10, 1 << 31, (1 << 31) - 4, 1 << 32, 1_500_000];
        assert_eq!(
            sizes.map(bytes),
            ["100 bytes", "1 KiB", "48 KiB", "2 GiB", "2.0 GiB", "4 GiB", "1.4 MiB"]
        );
    }

    #[test]
    fn what_is_not_built_in_says_how_to_get_it() {
        let text = shown(Format::default());
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_built_in()) {
            assert!(text.contains(&format!("build with `--features {}`", kind.name())), "{text}");
        }
    }
}
