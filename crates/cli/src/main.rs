//! The `recurrent` command.

fn main() {}
