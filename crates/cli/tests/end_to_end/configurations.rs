//! The configurations that come with the program.

use std::{fs, path::Path};

use recurrent::{experiment::Experiment, settings};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs"))
}

#[test]
fn all_can_be_trained() {
    let mut found = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            settings::read_valid::<Experiment>(&path, &[])
                .unwrap_or_else(|error| panic!("{error}"));
            found += 1;
        }
    }
    assert!(found > 0);
}
