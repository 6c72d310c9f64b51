//! Training on burn-train: what its stock loop does not do.

mod learn;

pub use learn::{Carried, Learn, Loss, Moment};
