use rstest::rstest;

use crate::{
    Adam, AdamW, Averaging, Decay, Direction, EarlyStopping, Monitor, OptimizerConfig, Schedule,
    TrainConfig, Warmup,
};

fn read(text: &str) -> Result<TrainConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn every_field_has_a_default() {
    assert_eq!(read("{}").unwrap(), TrainConfig::default());
    TrainConfig::default().validate().unwrap();
}

#[test]
fn a_choice_is_a_name_or_a_table() {
    let adam = |text: &str| read(&format!(r#"{{ "optimizer": {text} }}"#)).map(|c| c.optimizer);
    assert_eq!(adam(r#""adam""#), Ok(OptimizerConfig::default()));
    assert_eq!(adam(r#""sgd""#), Ok(OptimizerConfig::Sgd {}));
    let beta_2 = OptimizerConfig::Adam(Adam { beta_2: 0.98, ..Adam::default() });
    assert_eq!(adam(r#"{ "adam": { "beta_2": 0.98 } }"#), Ok(beta_2));

    let text = r#"{ "schedule": { "warmup": { "linear": { "steps": 9 } }, "decay": "luong10" } }"#;
    let schedule = Schedule { warmup: Warmup::Linear { steps: 9 }, decay: Decay::Luong10 };
    assert_eq!(read(text).unwrap().schedule, schedule);
}

/// As people write it.
#[test]
fn a_configuration_is_toml() {
    let text = r#"
        epochs = 12
        optimizer = { adam_w = { weight_decay = 0.1 } }
        schedule = { warmup = { exponential = { steps = 200 } }, decay = "luong234" }
        metric = { name = "wer", direction = "lowest" }
        average = { last = 5 }
        [early_stopping]
        patience = 3
    "#;
    let config: TrainConfig = toml::from_str(text).unwrap();
    let adam_w = AdamW { weight_decay: 0.1, ..AdamW::default() };
    assert_eq!(config.optimizer, OptimizerConfig::AdamW(adam_w));
    assert_eq!(config.schedule.decay, Decay::Luong234);
    assert_eq!(config.early_stopping, Some(EarlyStopping { patience: 3 }));
    assert_eq!(config.average, Some(Averaging { last: 5 }));
    assert_eq!(toml::from_str(&toml::to_string(&config).unwrap()), Ok(config));
    let error = toml::from_str::<TrainConfig>("optimizer = \"adamm\"").unwrap_err();
    assert!(error.to_string().contains("unknown variant `adamm`"), "{error}");
}

#[test]
fn a_configuration_reads_back() {
    let config = TrainConfig {
        optimizer: OptimizerConfig::AdamW(AdamW::default()),
        schedule: Schedule {
            warmup: Warmup::Exponential { steps: 200 },
            decay: Decay::Step { factor: 0.5, every: 2 },
        },
        clip_norm: Some(5.0),
        early_stopping: Some(EarlyStopping { patience: 3 }),
        metric: Monitor { name: "bleu".to_string(), direction: Direction::Highest },
        ..TrainConfig::default()
    };
    assert_eq!(read(&serde_json::to_string(&config).unwrap()), Ok(config));
}

#[rstest]
#[case(r#"{ "clip": 5.0 }"#, "unknown field `clip`")]
#[case(r#"{ "optimizer": "adamm" }"#, "unknown variant `adamm`")]
#[case(r#"{ "optimizer": { "adam": { "eps": 1.0 } } }"#, "unknown field `eps`")]
#[case(r#"{ "optimizer": { "sgd": { "momentum": 0.9 } } }"#, "unknown field `momentum`")]
#[case(
    r#"{ "optimizer": { "adam": {}, "sgd": {} } }"#,
    "expected one choice, got `adam` and `sgd`"
)]
#[case(
    r#"{ "optimizer": { "adam": {}, "foo": {} } }"#,
    "expected one choice, got `adam` and `foo`"
)]
#[case(
    r#"{ "schedule": { "warmup": { "linear": { "steps": 3 }, "exponential": { "steps": 9 } } } }"#,
    "expected one choice, got `linear` and `exponential`"
)]
#[case(r#"{ "schedule": { "decay": "step" } }"#, "missing field `factor`")]
#[case(r#"{ "metric": { "name": "wer" } }"#, "missing field `direction`")]
#[case(r#"{ "average": {} }"#, "missing field `last`")]
#[case(r#"{ "average": { "last": 3, "first": 1 } }"#, "unknown field `first`")]
fn what_is_misspelt_is_refused(#[case] text: &str, #[case] message: &str) {
    let error = read(text).unwrap_err();
    assert!(error.contains(message), "{error}");
}

#[rstest]
#[case(r#"{ "epochs": 0 }"#, "`epochs` must be above 0 and finite, got 0")]
#[case(r#"{ "accumulate": 0 }"#, "`accumulate` must be above 0 and finite, got 0")]
#[case(r#"{ "learning_rate": -1.0 }"#, "`learning_rate` must be above 0 and finite, got -1")]
#[case(r#"{ "clip_norm": 0.0 }"#, "`clip_norm` must be above 0 and finite, got 0")]
#[case(r#"{ "clip_value": -2.0 }"#, "`clip_value` must be above 0 and finite, got -2")]
#[case(
    r#"{ "early_stopping": { "patience": 0 } }"#,
    "`early_stopping.patience` must be above 0 and finite, got 0"
)]
#[case(
    r#"{ "average": { "last": 1 } }"#,
    "`average.last` must be at least 2 and at most `epochs`, which is 10, got 1"
)]
#[case(
    r#"{ "epochs": 4, "average": { "last": 5 } }"#,
    "`average.last` must be at least 2 and at most `epochs`, which is 4, got 5"
)]
#[case(
    r#"{ "optimizer": { "adam": { "beta_1": 1.0 } } }"#,
    "`optimizer.adam.beta_1` must be from 0 to below 1, got 1"
)]
#[case(
    r#"{ "schedule": { "decay": { "step": { "factor": 1.5, "every": 1 } } } }"#,
    "`schedule.decay.step.factor` must be above 0 and at most 1, got 1.5"
)]
#[case(
    r#"{ "schedule": { "warmup": { "linear": { "steps": 0 } } } }"#,
    "`schedule.warmup.steps` must be above 0, got 0"
)]
fn what_is_out_of_range_is_named(#[case] text: &str, #[case] message: &str) {
    assert_eq!(read(text).unwrap().validate().unwrap_err().to_string(), message);
}
