use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::tempdir;

use super::{
    average::averaging,
    toy::{alone, config, training},
};
use crate::{
    AverageRecord, Best, Ended, EpochRecord, Event, Observer, Progress, Scores, Standing,
    StepReport, TrainConfig, Training, plain::Plain,
};

/// A writer whose text the test can read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn told(progress: impl FnOnce(Page) -> Progress, config: TrainConfig) -> String {
    let page = Page::default();
    let folder = tempdir().unwrap();
    let progress = progress(page.clone());
    Training { progress, ..training(folder.path(), config) }.run().unwrap();
    page.text()
}

/// Every line is an object; the events come in order and every step is there.
#[test]
fn json_is_one_object_a_line() {
    let _alone = alone();
    let text = told(|page| Progress::Json(Box::new(page)), config(2));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let epoch = [["step"; 6].as_slice(), &["saved", "epoch"]].concat();
    assert_eq!(events, [&["started", "saved"], &epoch[..], &epoch, &["ended"]].concat());
    let epochs: Vec<&Value> = lines.iter().filter(|line| line["event"] == "epoch").collect();
    assert_eq!((&epochs[1]["epoch"], &epochs[1]["step"]), (&2.into(), &12.into()));
    assert!(epochs[1]["scores"]["ppl"].as_f64().unwrap() > 1.0);
    let end = lines.last().unwrap();
    assert_eq!((&end["why"], &end["best_average"]), (&"finished".into(), &Value::Null));
    assert!(end["best_epoch"].is_u64());
}

/// The mean of the last epochs has an event of its own, and exactly one of epoch and mean is best.
#[test]
fn json_tells_of_an_average() {
    let _alone = alone();
    let text = told(|page| Progress::Json(Box::new(page)), averaging(2, 2));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., saved, average, end] = lines.as_slice() else { panic!("{text}") };
    assert!(saved["path"].as_str().unwrap().ends_with("average-0002"), "{saved}");
    assert_eq!((&average["event"], &average["first"]), (&"average".into(), &1.into()));
    assert_eq!(average["last"], 2);
    assert!(average["scores"]["ppl"].as_f64().unwrap() > 1.0);
    let is_best = average["best"].as_bool().unwrap();
    assert_eq!((end["best_epoch"].is_null(), end["best_average"].is_array()), (is_best, is_best));
    assert_eq!(is_best, end["scores"] == average["scores"]);
}

/// Lines end in line feeds and have no other control character.
#[test]
fn plain_text_has_no_control_characters() {
    let _alone = alone();
    let text = told(|page| Progress::Plain(Box::new(page)), config(2));
    assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "training 8 parameters for 2 epochs");
    assert!(lines[1].starts_with("epoch 1/2  batch 1/6  nll "), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("epoch 2 done  train nll ")), "{text}");
    assert!(lines.last().unwrap().starts_with("finished after "), "{text}");
}

fn report(seconds: f64) -> Event {
    Event::Step(StepReport {
        epoch: 2,
        epochs: 12,
        batch: 340,
        batches: 812,
        step: 1152,
        loss: 0.9,
        nll: 0.81234,
        items: 400,
        learning_rate: 1e-3,
        gradient_norm: 1.5,
        seconds,
        items_per_second: 18_200.4,
        seconds_left: 200.0,
    })
}

fn record() -> EpochRecord {
    EpochRecord {
        epoch: 2,
        steps: 1624,
        loss: 0.9,
        nll: 0.8,
        items: 1_000,
        learning_rate: 1e-3,
        gradient_norm: 1.5,
        scores: Scores::new().with("nll", 0.7).with("wer", 0.25),
    }
}

/// A line of a step at most every ten seconds, of the clock of the events.
#[test]
fn plain_lines_say_what_matters() {
    let page = Page::default();
    let mut plain = Plain::new(page.clone(), 10.0);
    for seconds in [0.5, 5.0, 10.4, 10.5, 11.0] {
        plain.observe(&report(seconds));
    }
    plain.observe(&Event::Epoch { record: record(), best: Standing::Best, seconds: 700.0 });
    let behind = Standing::Behind { epochs: 1 };
    plain.observe(&Event::Epoch { record: record(), best: behind, seconds: 7000.0 });
    let best = Best::Epoch(record());
    let mean = AverageRecord { first: 1, last: 3, scores: Scores::new().with("nll", 0.65) };
    let average = |best: Best| Event::Average { record: mean.clone(), best, seconds: 60.0 };
    plain.observe(&average(best.clone()));
    plain.observe(&average(Best::Average(mean.clone())));
    plain.observe(&Event::Ended { ended: Ended::EarlyStopped, best: Some(best), seconds: 60.0 });
    let best = Some(Best::Average(mean.clone()));
    plain.observe(&Event::Ended { ended: Ended::Finished, best, seconds: 60.0 });
    let step = "epoch 2/12  batch 340/812  nll 0.8123  norm 1.500  lr 1.00e-3  18,200 items/s  \
                3 min left";
    let epoch = "epoch 2 done  train nll 0.8000  nll 0.7000  wer 0.2500";
    let expected = [
        step.to_string(),
        step.to_string(),
        format!("{epoch}  best  12 min"),
        format!("{epoch}  best was 1 before  1.9 h"),
        "mean of epochs 1 to 3  nll 0.6500  epoch 2 was better  60 s".to_string(),
        "mean of epochs 1 to 3  nll 0.6500  best  60 s".to_string(),
        "stopped early after 60 s, best epoch 2  nll 0.7000  wer 0.2500".to_string(),
        "finished after 60 s, best mean of epochs 1 to 3  nll 0.6500".to_string(),
    ];
    assert_eq!(page.text().lines().collect::<Vec<_>>(), expected);
}

/// A reader that has gone away does not end a training.
#[test]
fn a_writer_that_fails_is_ignored() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let _alone = alone();
    let folder = tempdir().unwrap();
    let progress = Progress::Plain(Box::new(Gone));
    let trained = Training { progress, ..training(folder.path(), config(1)) }.run().unwrap();
    assert_eq!(trained.ended, Ended::Finished);
}
