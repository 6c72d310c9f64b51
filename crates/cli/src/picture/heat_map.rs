//! Numbers in a grid, the darker the higher.

use std::fmt::Write;

use super::attention::{FONTS, escaped, shade};
use crate::terminal::width;

const WIDE: f64 = 64.0;
const HIGH: f64 = 34.0;
const FONT: f64 = 14.0;
const ADVANCE: f64 = 0.58 * FONT;
const MARGIN: f64 = 14.0;

/// A grid of numbers.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// What the numbers are.
    pub title: String,
    /// What rows are.
    pub row_axis: String,
    /// The labels of the rows, top first.
    pub rows: Vec<String>,
    /// What columns are.
    pub column_axis: String,
    /// The labels of the columns.
    pub columns: Vec<String>,
    /// A number for each column of each row; where there is none, the place stays empty.
    pub cells: Vec<Vec<Option<f64>>>,
}

impl HeatMap {
    /// The picture: white is the lowest number of the grid, dark blue the highest.
    ///
    /// # Panics
    ///
    /// If there is not one number for each column of each row.
    pub fn svg(&self) -> String {
        assert_eq!(self.cells.len(), self.rows.len(), "as many rows as labels");
        let longest = self.rows.iter().chain([&self.row_axis]).map(|label| width(label)).max();
        let left = MARGIN + longest.unwrap_or(0) as f64 * ADVANCE + 10.0;
        let top = MARGIN + 4.0 * FONT + 10.0;
        let grid = self.columns.len() as f64 * WIDE;
        let title = (width(&self.title).max(width(&self.column_axis))) as f64 * ADVANCE;
        let full_width = left + grid.max(title) + MARGIN;
        let full_height = top + self.rows.len() as f64 * HIGH + MARGIN;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{full_width:.0}\" \
             height=\"{full_height:.0}\" viewBox=\"0 0 {full_width:.0} {full_height:.0}\" \
             font-family=\"{FONTS}\" font-size=\"{FONT}\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let mut text = |x: f64, y: f64, anchor: &str, style: &str, text: &str| {
            let text = escaped(text);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{style}>{text}</text>"
            );
        };
        text(left, MARGIN + FONT, "start", " font-weight=\"bold\"", &self.title);
        text(left, MARGIN + 2.4 * FONT, "start", " fill=\"#666\"", &self.column_axis);
        text(left - 10.0, top - 8.0, "end", " fill=\"#666\"", &self.row_axis);
        let middle = |column: usize| left + (column as f64 + 0.5) * WIDE;
        for (column, label) in self.columns.iter().enumerate() {
            text(middle(column), top - 8.0, "middle", "", label);
        }
        for (row, label) in self.rows.iter().enumerate() {
            text(left - 10.0, top + (row as f64 + 0.5) * HIGH + 0.35 * FONT, "end", "", label);
        }
        let numbers = || self.cells.iter().flatten().filter_map(|cell| *cell);
        let numbers = || numbers().filter(|number| number.is_finite());
        let (least, most) =
            (numbers().fold(f64::INFINITY, f64::min), numbers().fold(f64::NEG_INFINITY, f64::max));
        for (row, cells) in self.cells.iter().enumerate() {
            assert_eq!(cells.len(), self.columns.len(), "as many columns as labels");
            for (column, cell) in cells.iter().enumerate() {
                let (x, y) = (left + column as f64 * WIDE, top + row as f64 * HIGH);
                let share = match cell {
                    Some(number) if most > least => (number - least) / (most - least),
                    Some(_) => 0.5,
                    None => 0.0,
                };
                let fill = shade(share as f32 * 0.85);
                let ink = if share > 0.5 { "#fff" } else { "#222" };
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDE}\" height=\"{HIGH}\" \
                     fill=\"{fill}\" stroke=\"#d0d0d0\" stroke-width=\"0.5\"/>"
                );
                if let Some(number) = cell {
                    let (x, y) = (x + 0.5 * WIDE, y + 0.5 * HIGH + 0.35 * FONT);
                    let _ = writeln!(
                        svg,
                        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" \
                         fill=\"{ink}\">{number:.1}</text>"
                    );
                }
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(cells: Vec<Vec<Option<f64>>>) -> HeatMap {
        HeatMap {
            title: "BLEU <4>".to_owned(),
            row_axis: "β".to_owned(),
            rows: vec!["0".to_owned(), "0.2".to_owned()],
            column_axis: "α".to_owned(),
            columns: vec!["0".to_owned(), "1".to_owned()],
            cells,
        }
    }

    #[test]
    fn the_highest_is_darkest_and_what_is_missing_stays_empty() {
        let svg = map(vec![vec![Some(10.0), Some(20.0)], vec![None, Some(15.0)]]).svg();
        for number in [">10.0<", ">20.0<", ">15.0<", "BLEU &lt;4&gt;", ">β<", ">α<"] {
            assert!(svg.contains(number), "{number} in {svg}");
        }
        let dark = svg.find(&shade(0.85)).expect("the highest");
        assert!(dark < svg.find(">20.0<").unwrap() && dark > svg.find(">10.0<").unwrap());
        assert_eq!(svg.matches("stroke-width=\"0.5\"").count(), 4);
        assert_eq!(svg.matches("text-anchor=\"middle\" fill").count(), 3);
    }

    #[test]
    fn equal_numbers_and_none_are_drawn_too() {
        assert!(map(vec![vec![Some(1.0); 2]; 2]).svg().contains(">1.0<"));
        assert!(map(vec![vec![None; 2]; 2]).svg().ends_with("</svg>\n"));
        assert!(map(vec![vec![Some(f64::NAN); 2]; 2]).svg().contains("NaN"));
    }
}
