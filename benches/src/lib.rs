//! What the cells and models cost, beside Burn's own, PyTorch's and ReservoirPy's.
//!
//! | a question | answered in |
//! |---|---|
//! | what is measured | [`case`], and one file a family: [`layer`], [`attention`], [`step`], [`decode`], [`growth`], [`product`], [`int8`], [`reservoir`] |
//! | how is it measured | [`measure`] |
//! | who does it beside us | [`peer`], `peers/server.py`; Burn's own layers in `burn_layer.rs` |
//! | how much memory does it take | [`memory`] |
//! | do all sides do the same work | [`check`] |
//! | what is written | [`report`], [`picture`] |
//!
//! How to run it and how ratios are formed: `docs/benchmarks.md`.

pub mod args;
pub mod attention;
mod burn_layer;
pub mod case;
pub mod check;
pub mod decode;
pub mod growth;
pub mod int8;
pub mod layer;
pub mod measure;
pub mod memory;
pub mod model;
mod module;
pub mod peer;
pub mod picture;
pub mod product;
pub mod report;
pub mod reservoir;
pub mod run;
pub mod step;
