//! What holds for the models of all crates together, on every backend that is built in.

mod absent_devices;
mod every_backend;
mod graphs;

use burn::prelude::*;

use crate::device::{DeviceName, Kind};

/// Every backend that is built in, flex first. Each must be there: without its driver tests fail.
fn backends() -> Vec<(Kind, Device)> {
    let built_in = Kind::ALL.into_iter().filter(|kind| kind.is_built_in());
    // Where both are built in, they are one and the same.
    let twice = |kind: &Kind| *kind == Kind::Vulkan && Kind::Wgpu.is_built_in();
    let open = |kind: Kind| match (DeviceName { kind, number: None }).open() {
        Ok(device) => (kind, device),
        Err(error) => panic!("{} is built in and has to be tested: {error}", kind.name()),
    };
    built_in.filter(|kind| !twice(kind)).map(open).collect()
}
