//! Which source tokens each target token looked at.

use std::fmt::Write;

use super::PictureError;
use crate::terminal::width;

/// Side of a cell, in pixels.
const CELL: f64 = 26.0;
/// Size of the labels.
const FONT: f64 = 14.0;
/// About how wide half of a Chinese character is, and any Latin one.
const ADVANCE: f64 = 0.56 * FONT;
/// The most columns of text that a label has.
const LONGEST: usize = 24;
const MARGIN: f64 = 14.0;
/// Labels of the sources lean by this angle.
const ANGLE: f64 = 50.0;
/// Has letters for every script that is likely, in the order in which browsers look.
pub(super) const FONTS: &str = "'Noto Sans', 'DejaVu Sans', 'Noto Sans CJK JP', 'Noto Sans JP', \
                     'Hiragino Sans', 'Yu Gothic', 'Noto Sans Arabic', sans-serif";

/// A picture of attention: a row for each target token, a column for each source token, the darker
/// the more weight. White is 0 and dark blue is 1; a weight that is no number is red.
///
/// # Errors
///
/// If `weights` does not have a row for each target token with a weight for each source token.
pub fn attention_map<S: AsRef<str>, T: AsRef<str>>(
    source: &[S],
    target: &[T],
    weights: &[Vec<f32>],
) -> Result<String, PictureError> {
    if weights.len() != target.len() {
        return Err(PictureError::Rows { rows: weights.len(), tokens: target.len() });
    }
    for (row, weights) in weights.iter().enumerate() {
        if weights.len() != source.len() {
            let (weights, tokens) = (weights.len(), source.len());
            return Err(PictureError::Columns { row, weights, tokens });
        }
    }
    let source: Vec<String> = source.iter().map(|token| label(token.as_ref())).collect();
    let target: Vec<String> = target.iter().map(|token| label(token.as_ref())).collect();
    let mut svg = Drawing::new(&source, &target);
    for (row, (token, weights)) in target.iter().zip(weights).enumerate() {
        svg.target(row, token);
        for (column, (token_read, &weight)) in source.iter().zip(weights).enumerate() {
            let title = format!("{token_read} → {token}: {weight:.3}");
            svg.cell(row, column, weight, &title);
        }
    }
    for (column, token) in source.iter().enumerate() {
        svg.source(column, token);
    }
    Ok(svg.finished())
}

struct Drawing {
    text: String,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Drawing {
    fn new(source: &[String], target: &[String]) -> Self {
        let longest = |labels: &[String]| {
            let columns = labels.iter().map(|label| width(label)).max().unwrap_or(0);
            columns as f64 * ADVANCE
        };
        let (sine, cosine) = ANGLE.to_radians().sin_cos();
        let left = MARGIN + longest(target) + 8.0;
        let top = MARGIN + (longest(source) + FONT) * sine + 6.0;
        let lean = (longest(source) + FONT) * cosine;
        let columns = source.len() as f64 * CELL;
        // The last labels lean out of the picture otherwise.
        let full_width = left + columns + MARGIN.max(lean - 0.5 * CELL + 4.0);
        let full_height = top + target.len() as f64 * CELL + MARGIN;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{full_width:.0}\" \
             height=\"{full_height:.0}\" viewBox=\"0 0 {full_width:.0} {full_height:.0}\" \
             font-family=\"{FONTS}\" font-size=\"{FONT}\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
        );
        Self { text, left, top, width: columns, height: target.len() as f64 * CELL }
    }

    fn cell(&mut self, row: usize, column: usize, weight: f32, title: &str) {
        let (x, y) = (self.left + column as f64 * CELL, self.top + row as f64 * CELL);
        let (colour, title) = (colour(weight), escaped(title));
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{CELL}\" \
             fill=\"{colour}\" stroke=\"#d0d0d0\" stroke-width=\"0.5\"><title>{title}</title></rect>"
        );
    }

    fn target(&mut self, row: usize, token: &str) {
        let (x, y) = (self.left - 8.0, self.top + (row as f64 + 0.5) * CELL + 0.35 * FONT);
        let token = escaped(token);
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{token}</text>"
        );
    }

    fn source(&mut self, column: usize, token: &str) {
        let (x, y) = (self.left + (column as f64 + 0.6) * CELL, self.top - 6.0);
        let token = escaped(token);
        let _ = writeln!(
            self.text,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-{ANGLE})\">{token}</text>"
        );
    }

    fn finished(mut self) -> String {
        let Self { left, top, width, height, .. } = self;
        let _ = writeln!(
            self.text,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height}\" \
             fill=\"none\" stroke=\"#888\"/>\n</svg>"
        );
        self.text
    }
}

/// The colour of a weight. The eye sees small ones better if they are lifted.
fn colour(weight: f32) -> String {
    shade(weight.clamp(0.0, 1.0).sqrt())
}

/// From white, 0, to dark blue, 1; what is no number is red.
pub(super) fn shade(share: f32) -> String {
    if share.is_nan() {
        return "#d62728".to_owned();
    }
    let between = |white: f32, dark: f32| (white + (dark - white) * share).round() as u8;
    let (red, green, blue) = (between(255.0, 8.0), between(255.0, 48.0), between(255.0, 107.0));
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A token as it is shown: spaces are visible, and a long one is cut.
fn label(token: &str) -> String {
    let mut shown = String::new();
    for character in token.chars() {
        if width(&shown) >= LONGEST {
            shown.push('…');
            break;
        }
        shown.push(match character {
            character if character.is_whitespace() => '␣',
            character if character.is_control() => '\u{FFFD}',
            // XML has no notation for these.
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            character => character,
        });
    }
    shown
}

pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_for_each_pair_of_tokens() {
        let weights = vec![vec![0.9, 0.1], vec![0.2, 0.8], vec![0.0, 1.0]];
        let svg = attention_map(&["猫", "は"], &["the", "cat", "</s>"], &weights).unwrap();
        assert_eq!(svg.matches("<title>").count(), 6);
        assert!(svg.contains("<title>猫 → the: 0.900</title>"));
        assert!(svg.contains("text-anchor=\"end\">&lt;/s&gt;</text>"));
        assert!(!svg.contains("</s>"));
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let rows = attention_map(&["a"], &["b"], &[]).unwrap_err();
        assert_eq!(rows, PictureError::Rows { rows: 0, tokens: 1 });
        let columns = attention_map(&["a"], &["b"], &[vec![]]).unwrap_err();
        assert_eq!(columns, PictureError::Columns { row: 0, weights: 0, tokens: 1 });
    }

    #[test]
    fn nothing_is_a_picture_too() {
        let svg = attention_map::<&str, &str>(&[], &[], &[]).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn more_weight_is_darker() {
        assert_eq!(
            [0.0, 1.0, 7.0, f32::NAN].map(colour),
            ["#ffffff", "#08306b", "#08306b", "#d62728"]
        );
    }

    #[test]
    fn labels_are_short_and_visible() {
        assert_eq!(label(" a\u{7}"), "␣a\u{FFFD}");
        assert_eq!(label(&"長".repeat(30)), format!("{}…", "長".repeat(12)));
    }
}
