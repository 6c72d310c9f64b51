//! What holds for the models of all crates together.

mod every_backend;
