//! Which layer of a GNMT reads what, drawn from the model itself.

use std::fmt::Write;

use recurrent_cells::Cell;
use recurrent_gnmt::{FirstLayer, Gnmt, Query, Residual, Start};

use super::attention::{FONTS, escaped};

const WIDE: f64 = 190.0;
const HIGH: f64 = 34.0;
/// From the bottom of a layer to that of the next.
const STOREY: f64 = 62.0;
const ENCODER: f64 = 60.0;
const DECODER: f64 = 500.0;
const TOP: f64 = 70.0;
const PAPER: &str = "#ffffff";
const LAYER: &str = "#dbe9f6";
const ASKING: &str = "#fde3c8";
const CONTEXT: &str = "#d55e00";
const AROUND: &str = "#009e73";

/// A picture of the wiring: the encoder on the left, the decoder on the right, the layers from below.
pub fn wiring(model: &Gnmt) -> String {
    let layers = model.encoder.upper.len() + 1;
    let mut drawing = Drawing { svg: String::new(), layers };
    drawing.encoder(model);
    drawing.decoder(model);
    drawing.attention(model);
    if model.start == Start::Encoder {
        for layer in 1..=layers {
            let y = drawing.bottom(layer) - 0.25 * HIGH;
            drawing.line(&[(ENCODER + WIDE, y), (DECODER, y)], "#888", " stroke-dasharray=\"3 4\"");
        }
    }
    drawing.finished()
}

struct Drawing {
    svg: String,
    layers: usize,
}

impl Drawing {
    /// The lower edge of a layer; 0 is that of the embeddings.
    fn bottom(&self, layer: usize) -> f64 {
        TOP + (self.layers - layer) as f64 * STOREY + STOREY
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn place(&mut self, [x, bottom, wide]: [f64; 3], fill: &str, label: &str) {
        let y = bottom - HIGH;
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" rx=\"5\" \
             fill=\"{fill}\" stroke=\"#888\"/>"
        );
        self.text(x + 0.5 * wide, bottom - 0.5 * HIGH + 5.0, "middle", label);
    }

    fn line(&mut self, points: &[(f64, f64)], colour: &str, style: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            self.svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" \
             marker-end=\"url(#tip)\"{style}/>"
        );
    }

    /// From the layer below to this one, and around it where there is a way.
    fn up(&mut self, x: f64, layer: usize, around: Option<f64>) {
        let (from, to) = (self.bottom(layer - 1) - HIGH, self.bottom(layer));
        let middle = x + 0.5 * WIDE;
        self.line(&[(middle, from), (middle, to)], "#444", "");
        if let Some(side) = around {
            let (low, high) = (0.5 * (from + to) + 4.0, to - HIGH - 0.5 * (STOREY - HIGH) + 4.0);
            let out = side + if side > middle { 22.0 } else { -22.0 };
            let points = [(middle, low), (out, low), (out, high), (middle, high)];
            self.line(&points, AROUND, "");
        }
    }

    fn encoder(&mut self, model: &Gnmt) {
        let encoder = &model.encoder;
        self.text(ENCODER + 0.5 * WIDE, 30.0, "middle", "encoder");
        let width = encoder.both.forward.d_input();
        self.place([ENCODER, self.bottom(0), WIDE], PAPER, &format!("E of the source, {width}"));
        for (side, cell) in [&encoder.both.forward, &encoder.both.backward].into_iter().enumerate()
        {
            let half = 0.5 * WIDE - 3.0;
            let label = format!("{} {}", ["→", "←"][side], sizes(cell));
            let x = ENCODER + side as f64 * (half + 6.0);
            self.place([x, self.bottom(1), half], LAYER, &label);
        }
        self.up(ENCODER, 1, None);
        for (n, cell) in encoder.upper.iter().enumerate() {
            let layer = n + 2;
            self.place([ENCODER, self.bottom(layer), WIDE], LAYER, &layer_label(layer, cell));
            let around = encoder.residual == Residual::FromThird && layer > 2;
            self.up(ENCODER, layer, around.then_some(ENCODER));
        }
    }

    fn decoder(&mut self, model: &Gnmt) {
        let decoder = &model.decoder;
        self.text(DECODER + 0.5 * WIDE, 30.0, "middle", "decoder");
        let width = model.target_embedding.d_embedding();
        self.place([DECODER, self.bottom(0), WIDE], PAPER, &format!("E of the target, {width}"));
        self.place([DECODER, self.bottom(1), WIDE], ASKING, &layer_label(1, &decoder.first));
        self.up(DECODER, 1, None);
        for (n, cell) in decoder.upper.iter().enumerate() {
            let layer = n + 2;
            self.place([DECODER, self.bottom(layer), WIDE], LAYER, &layer_label(layer, cell));
            let around = decoder.residual == Residual::FromThird && layer > 2;
            self.up(DECODER, layer, around.then_some(DECODER + WIDE));
        }
        let top = self.bottom(self.layers) - HIGH;
        let middle = DECODER + 0.5 * WIDE;
        self.line(&[(middle, top), (middle, top - 30.0)], "#444", "");
        let vocabulary = model.vocabulary();
        self.text(middle + 10.0, top - 22.0, "start", &format!("softmax over {vocabulary}"));
    }

    fn attention(&mut self, model: &Gnmt) {
        let decoder = &model.decoder;
        let [x, wide] = [ENCODER + WIDE + 45.0, 120.0];
        let bottom = self.bottom(1);
        self.place([x, bottom, wide], ASKING, "attention");
        // What is looked at.
        let top = self.bottom(self.layers) - HIGH;
        let looked = [
            (ENCODER + 0.5 * WIDE, top),
            (ENCODER + 0.5 * WIDE, top - 14.0),
            (x + 0.4 * wide, top - 14.0),
            (x + 0.4 * wide, bottom - HIGH),
        ];
        self.line(&looked, "#0072b2", "");
        self.text(x + 0.4 * wide - 6.0, top - 20.0, "end", "is looked at");
        // What it is asked with.
        let y = bottom - 0.35 * HIGH;
        self.line(&[(DECODER, y), (x + wide, y)], "#444", "");
        let asked = match decoder.query {
            Query::Current => "now",
            Query::Previous => "the step before",
        };
        self.text(x + wide + 12.0, y + 22.0, "start", &format!("asked: {asked}"));
        // Who is told.
        let along = x + wide - 16.0;
        let first = match decoder.first_layer {
            FirstLayer::Token => 2,
            FirstLayer::Context => 1,
        };
        for layer in first..=self.layers {
            let y = self.bottom(layer) - 0.7 * HIGH;
            match layer {
                1 => self.line(&[(x + wide, y), (DECODER, y)], CONTEXT, ""),
                _ => self.line(&[(along, bottom - HIGH), (along, y), (DECODER, y)], CONTEXT, ""),
            }
        }
        let y = self.bottom(self.layers) - 0.7 * HIGH - 6.0;
        self.text(along + 6.0, y, "start", "context");
    }

    fn finished(self) -> String {
        let (wide, high) = (DECODER + WIDE + 60.0, self.bottom(0) + 24.0);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
             viewBox=\"0 0 {wide:.0} {high:.0}\" font-family=\"{FONTS}\" font-size=\"13\" \
             fill=\"#222\">\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" \
             markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" \
             fill=\"context-stroke\"/></marker></defs>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.svg
        )
    }
}

fn layer_label<C: Cell>(layer: usize, cell: &C) -> String {
    format!("{layer}: LSTM {}", sizes(cell))
}

fn sizes<C: Cell>(cell: &C) -> String {
    format!("{} → {}", cell.d_input(), cell.d_hidden())
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use recurrent_gnmt::GnmtConfig;

    use super::*;

    fn picture(config: GnmtConfig) -> String {
        wiring(&config.init([30, 30], &Device::flex()))
    }

    fn base() -> GnmtConfig {
        GnmtConfig { layers: 4, d_hidden: 8, ..GnmtConfig::default() }
    }

    /// Each difference in the wiring is one in the picture.
    #[test]
    fn what_is_wired_is_drawn() {
        let svg = picture(base());
        for text in ["E of the source, 8", "→ 8 → 8", "2: LSTM 16 → 8", "asked: now", "over 30"]
        {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        // Layers 3 and 4 of both sides have a way around them; layers 2 to 4 are told.
        let count = |svg: &str, colour: &str| svg.matches(&format!("stroke=\"{colour}\"")).count();
        assert_eq!((count(&svg, AROUND), count(&svg, CONTEXT)), (4, 3));
        let plain = picture(GnmtConfig { residual: Residual::None, ..base() });
        assert_eq!(count(&plain, AROUND), 0);
        let fed = picture(GnmtConfig { first_layer: FirstLayer::Context, ..base() });
        assert_eq!(count(&fed, CONTEXT), 4);
        assert!(fed.contains("1: LSTM 16 → 8"));
        let paper = picture(GnmtConfig { query: Query::Previous, start: Start::Encoder, ..base() });
        assert!(paper.contains("asked: the step before"));
        assert_eq!(paper.matches("stroke-dasharray").count(), 4);
    }
}
