//! The sides beside each other: a row a case, time to the right in the logarithm.

use plotters::prelude::*;
use thiserror::Error;

use crate::report::{Row, seconds};

/// Okabe & Ito's colours, which stay apart for colour-blind readers.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

const WIDTH: u32 = 900;
const LABELS: i32 = 300;
const ROW: i32 = 18;
/// Where names of sides begin.
const LEGEND: i32 = 48;
/// The names of sides in a line.
const ABREAST: usize = 6;
const BOTTOM: i32 = 40;

/// The library cannot draw it.
#[derive(Debug, Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(String);

/// A picture of the rows that are meant to be in it, as SVG.
///
/// # Errors
///
/// If the drawing library cannot draw it.
pub fn picture(rows: &[Row]) -> Result<String, PictureError> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.pictured).collect();
    let mut svg = String::new();
    draw(&mut svg, &rows).map_err(|reason| PictureError(reason.to_string()))?;
    Ok(svg)
}

fn draw(svg: &mut String, rows: &[&Row]) -> Result<(), Box<dyn std::error::Error>> {
    let all = || rows.iter().flat_map(|row| &row.sides);
    let mut sides: Vec<&str> = Vec::new();
    for side in all() {
        if !sides.contains(&side.side.as_str()) {
            sides.push(&side.side);
        }
    }
    let top = LEGEND + 4 + ROW * sides.len().div_ceil(ABREAST) as i32;
    let bottom = top + ROW * rows.len() as i32;
    let root = SVGBackend::with_string(svg, (WIDTH, (bottom + BOTTOM) as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let text =
        |text: String, x: i32, y: i32, size: i32| Text::new(text, (x, y), ("sans-serif", size));
    root.draw(&text("Seconds for one run; shorter is better".to_owned(), 20, 12, 18))?;
    let least = all().map(|side| side.seconds).fold(f64::INFINITY, f64::min).log10().floor();
    let most = all().map(|side| side.seconds).fold(f64::NEG_INFINITY, f64::max).log10().ceil();
    let span = (most - least).max(1.0);
    let right = WIDTH as i32 - 40;
    let place = |value: f64| {
        LABELS + ((value.log10() - least) / span * f64::from(right - LABELS)).round() as i32
    };
    if !rows.is_empty() {
        for power in least as i32..=most as i32 {
            let x = place(10f64.powi(power));
            root.draw(&PathElement::new([(x, top - 4), (x, bottom)], BLACK.mix(0.2)))?;
            root.draw(&text(seconds(10f64.powi(power)), x - 16, bottom + 8, 13))?;
        }
    }
    for (row, y) in rows.iter().zip((0..).map(|n| top + ROW * n + ROW / 2)) {
        root.draw(&text(row.case.clone(), 20, y - 7, 13))?;
        root.draw(&PathElement::new([(LABELS, y), (right, y)], BLACK.mix(0.08)))?;
        for side in &row.sides {
            let number = sides.iter().position(|name| *name == side.side).unwrap_or_default();
            root.draw(&Circle::new((place(side.seconds), y), 5, style(number)))?;
        }
    }
    for (number, name) in sides.iter().enumerate() {
        let (x, y) = entry(number);
        root.draw(&Circle::new((x, y), 5, style(number)))?;
        root.draw(&text((*name).to_owned(), x + 10, y - 7, 14))?;
    }
    root.present()?;
    Ok(())
}

/// Where the dot of a side stands in front of its name.
fn entry(number: usize) -> (i32, i32) {
    let column = (WIDTH as i32 - 40) / ABREAST as i32;
    (25 + column * (number % ABREAST) as i32, LEGEND + ROW * (number / ABREAST) as i32)
}

/// How the dots of a side look: of one colour, and beyond the last colour rings.
fn style(number: usize) -> ShapeStyle {
    let colour = PALETTE[number % PALETTE.len()];
    match number / PALETTE.len() {
        0 => colour.filled(),
        _ => colour.stroke_width(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::Turns, model::Model, step};

    #[test]
    fn every_side_of_every_row_has_a_dot_and_a_name() {
        let turns = ["ours on flex", "PyTorch"]
            .map(|side| Turns { side: side.to_owned(), seconds: vec![0.02, 0.03] });
        let rows: Vec<Row> = step::all().map(|case| Row::new(&case, &turns)).collect();
        let svg = picture(&rows).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2 * rows.len() + 2);
        for text in ["ours on flex", "PyTorch", &Model::GNMT.name()] {
            assert!(svg.contains(text), "no {text}");
        }
    }

    /// Three backends with three sides each and a peer: all names are inside, and no two sides look alike.
    #[test]
    fn many_sides_stand_in_lines() {
        let turns: Vec<Turns> = (0..10)
            .map(|n| Turns { side: format!("side {n}"), seconds: vec![0.02, 0.03] })
            .collect();
        let row = Row::new(&step::all().next().unwrap(), &turns);
        let svg = picture(&[row]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 20);
        let room = |n| WIDTH as i32 - entry(n).0;
        assert!((0..10).all(|n| room(n) >= 140), "a name fits");
        let entries: std::collections::HashSet<_> = (0..10).map(entry).collect();
        assert_eq!(entries.len(), 10);
        let looks: std::collections::HashSet<_> =
            (0..10).map(|n| format!("{:?}", style(n))).collect();
        assert_eq!(looks.len(), 10);
    }

    #[test]
    fn nothing_is_a_picture_too() {
        assert!(picture(&[]).unwrap().contains("<svg"));
    }
}
