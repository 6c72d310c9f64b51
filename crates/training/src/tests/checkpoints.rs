//! What a checkpoint is worth when disks, plugs and people misbehave.

use std::{
    cell::Cell,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    rc::Rc,
};

use rstest::rstest;
use tempfile::tempdir;

use super::{
    average::averaging,
    resume::{same, stop_at},
    toy::{alone, config, names, train, training, unbiased},
};
use crate::{
    Decay, Schedule, Start, TrainConfig, TrainError, Training,
    disk::{Disk, FileSystem},
    holds_run,
};

/// What happens at the operation that fails, half done.
#[derive(Clone, Copy)]
enum Fault {
    /// The disk is full.
    Full,
    /// Somebody pulled the plug.
    Plug,
}

/// A disk that fails once, at its operation number `left`, and counts all. It does not wait for
/// its files to be safe, which takes most of the time and which no test can see.
struct Failing {
    left: Cell<usize>,
    count: Rc<Cell<usize>>,
    fault: Fault,
}

impl Failing {
    fn meets_fault(&self) -> bool {
        self.count.set(self.count.get() + 1);
        let left = self.left.get();
        self.left.set(left.wrapping_sub(1));
        left == 0
    }

    fn fail(&self) -> io::Result<()> {
        match self.fault {
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::Plug => panic!("the plug was pulled"),
        }
    }
}

impl Disk for Failing {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if self.meets_fault() { self.fail() } else { FileSystem.create_dir(path) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.meets_fault() {
            fs::write(path, &bytes[..bytes.len() / 2])?;
            return self.fail();
        }
        fs::write(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.meets_fault() { self.fail() } else { fs::rename(from, to) }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if self.meets_fault() {
            let half = fs::read_dir(path).into_iter().flatten().next();
            half.into_iter().flatten().for_each(|file| fs::remove_file(file.path()).unwrap());
            return self.fail();
        }
        FileSystem.remove_dir(path)
    }
}

fn sound(count: Rc<Cell<usize>>) -> Box<dyn Disk> {
    Box::new(Failing { left: Cell::new(usize::MAX), count, fault: Fault::Full })
}

/// Whatever operation a disk fails at, or the power goes at, the run goes on from what is complete
/// and ends with the same bits, with an average and without.
#[rstest]
fn a_disk_may_fail_at_any_operation(
    #[values(Fault::Full, Fault::Plug)] fault: Fault,
    #[values(config(3), averaging(3, 2))] config: TrainConfig,
) {
    let _alone = alone();
    let operations = Rc::new(Cell::new(0));
    let whole = training(tempdir().unwrap().path(), config.clone());
    let whole = whole.run_on(sound(operations.clone())).unwrap();
    for left in 0..operations.get() {
        let folder = tempdir().unwrap();
        let disk = Failing { left: Cell::new(left), count: Rc::default(), fault };
        let broken = training(folder.path(), config.clone());
        match (fault, catch_unwind(AssertUnwindSafe(|| broken.run_on(Box::new(disk))))) {
            (Fault::Full, Ok(Err(TrainError::Write { source, .. }))) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            }
            (Fault::Plug, Err(_)) => {}
            (_, Ok(ended)) => panic!("operation {left} went well: {:?}", ended.map(|t| t.ended)),
            (Fault::Full, Err(_)) => panic!("operation {left} panicked"),
        }
        let start = if holds_run(folder.path()) { Start::Resume } else { Start::Fresh };
        let resumed = Training { start, ..training(folder.path(), config.clone()) };
        let resumed = resumed.run_on(sound(Rc::default())).unwrap();
        assert!(resumed.skipped.is_empty(), "operation {left}: {:?}", resumed.skipped);
        same(&resumed, &whole);
    }
}

/// A checkpoint that a file system damaged is passed over, and said so.
#[rstest]
#[case("model.bpk", "model.bpk is damaged")]
#[case("optimizer.bpk", "optimizer.bpk is damaged")]
#[case("state.json", "EOF while parsing")]
fn a_damaged_checkpoint_is_passed_over(#[case] file: &str, #[case] why: &str) {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let whole = train(folder.path(), config(3), Start::Fresh).unwrap();
    let path = folder.path().join("epoch-0003").join(file);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();

    let resumed = train(folder.path(), config(3), Start::Resume).unwrap();

    assert_eq!(resumed.skipped.len(), 1);
    assert!(resumed.skipped[0].why.contains(why), "{}", resumed.skipped[0].why);
    same(&resumed, &whole);
}

/// One bit that has flipped is enough.
#[test]
fn a_flipped_bit_is_damage() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    train(folder.path(), config(1), Start::Fresh).unwrap();
    for name in names(folder.path()) {
        let path = folder.path().join(name).join("model.bpk");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let error = train(folder.path(), config(1), Start::Resume).unwrap_err();
    let TrainError::NothingToResume { skipped, .. } = &error else { panic!("{error}") };
    assert_eq!(skipped.len(), 2);
    assert!(error.to_string().contains("epoch-0001`: model.bpk is damaged"), "{error}");
}

#[test]
fn a_fresh_start_does_not_overwrite_a_run() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    stop_at(training(folder.path(), config(2)), 2);
    let before = names(folder.path());
    let error = train(folder.path(), config(2), Start::Fresh).unwrap_err();
    assert!(matches!(error, TrainError::HoldsRun { .. }), "{error}");
    assert_eq!(names(folder.path()), before);
}

#[test]
fn there_is_nothing_to_resume_in_an_empty_folder() {
    let folder = tempdir().unwrap();
    for path in [folder.path().to_path_buf(), folder.path().join("none")] {
        assert!(!holds_run(&path));
        let error = train(&path, config(1), Start::Resume).unwrap_err();
        assert!(matches!(error, TrainError::NothingToResume { .. }), "{error}");
    }
}

#[test]
fn another_configuration_is_refused_by_its_field() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    train(folder.path(), config(1), Start::Fresh).unwrap();
    let other = TrainConfig { learning_rate: 0.01, ..config(1) };
    let error = train(folder.path(), other, Start::Resume).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`learning_rate` was 0.05 when the run was started and is 0.01 now"
    );
    let mut fewer = Training { start: Start::Resume, ..training(folder.path(), config(1)) };
    fewer.batches.0.truncate(5);
    let error = fewer.run().unwrap_err();
    assert!(error.to_string().starts_with("`batches of the first epoch` was 6"), "{error}");
}

/// Where the rate depends on the length of the training, the epochs are fixed.
#[test]
fn epochs_are_fixed_where_the_rate_depends_on_them() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let schedule = Schedule { decay: Decay::Linear, ..Schedule::default() };
    let config = |epochs| TrainConfig { schedule: schedule.clone(), ..config(epochs) };
    train(folder.path(), config(1), Start::Fresh).unwrap();
    let error = train(folder.path(), config(2), Start::Resume).unwrap_err();
    assert_eq!(error.to_string(), "`epochs` was 1 when the run was started and is 2 now");
}

#[test]
fn another_model_is_refused() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    train(folder.path(), config(1), Start::Fresh).unwrap();
    let model = unbiased();
    let other = Training { start: Start::Resume, model, ..training(folder.path(), config(1)) };
    let error = other.run().unwrap_err();
    assert!(matches!(error, TrainError::OtherModel { .. }), "{error}");
    assert!(error.to_string().contains("linear.bias"), "{error}");
}

/// A folder that cannot be made: its name is a file's.
#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = train(&path, config(1), Start::Fresh).unwrap_err();
    let TrainError::Write { path: named, .. } = &error else { panic!("{error}") };
    assert_eq!(*named, path);
    assert!(error.to_string().contains("cannot be written"), "{error}");
}
