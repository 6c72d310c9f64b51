//! `recurrent devices`.

use std::io::Write;

use serde::Serialize;

use crate::{
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
}

/// Lists the kinds of devices, whether they are built in, and how many there are.
///
/// # Errors
///
/// If the output cannot be written.
pub fn run(arguments: &Devices, out: &mut dyn Write) -> anyhow::Result<()> {
    let rows = Kind::ALL.map(|kind| Row {
        name: kind.name(),
        description: kind.description(),
        built_in: kind.is_built_in(),
        present: kind.present().len(),
    });
    match arguments.format.json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?,
        false => write!(out, "{}", table(&rows))?,
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

    #[test]
    fn what_is_not_built_in_says_how_to_get_it() {
        let text = shown(Format::default());
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_built_in()) {
            assert!(text.contains(&format!("build with `--features {}`", kind.name())), "{text}");
        }
    }
}
