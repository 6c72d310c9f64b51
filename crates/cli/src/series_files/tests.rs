use recurrent_reservoir::signals;
use rstest::rstest;

use super::*;

fn of(text: &str) -> Result<NamedSeries, SeriesError> {
    read(text.as_bytes(), "a.csv")
}

fn refused(text: &str) -> String {
    of(text).unwrap_err().to_string()
}

#[rstest]
#[case("x,y\n1,2\n3,4\n", Named::ByItself, &["x", "y"])]
#[case("1,2\n3,4", Named::ByPlace, &["1", "2"])]
#[case("x;y\n1;2\n3;4\n", Named::ByItself, &["x", "y"])]
#[case("1\t2\r\n3\t4\r\n", Named::ByPlace, &["1", "2"])]
#[case(" 1 , 2\n3e0,4.0\n", Named::ByPlace, &["1", "2"])]
fn tables_of_numbers_are_read(#[case] text: &str, #[case] named: Named, #[case] names: &[&str]) {
    let found = of(text).unwrap();
    assert_eq!(
        (found.named, found.names),
        (named, names.iter().map(|n| (*n).to_owned()).collect())
    );
    assert_eq!(found.series, Series::new(vec![1.0, 2.0, 3.0, 4.0], 2));
}

#[rstest]
#[case("", "a.csv has no row of numbers")]
#[case("x,y\n", "a.csv has no row of numbers")]
#[case("x,y\n1,2\n3\n", "a.csv:3: a row of 1 columns, expected 2 as in the first")]
#[case("x,y\n1,2\n3,four\n", "a.csv:3: column `y` is `four`, expected a number")]
#[case("x,x\n1,2\n", "a.csv:1: two columns are called `x`")]
#[case(
    "x,y\n1,\nNaN,4\n5,NA\n",
    "a.csv has gaps, expected a number in every row and column: line 2 `y`, line 3 `x`, line 4 `y`"
)]
fn what_is_no_table_of_numbers_is_refused(#[case] text: &str, #[case] message: &str) {
    assert_eq!(refused(text), message);
}

/// A line with nothing on it is a step that is missing; those at the end are none.
#[test]
fn a_blank_line_is_a_gap() {
    assert_eq!(
        refused("y\n1\n\n3\n"),
        "a.csv has gaps, expected a number in every row and column: line 3 `y`"
    );
    assert_eq!(of("y\n1\n3\n\n\n").unwrap().series.steps(), 2);
    assert_eq!(refused("1.5,x\n2,3\n"), "a.csv:1: column `2` is `x`, expected a number");
}

#[test]
fn many_gaps_are_counted() {
    let rows = "nan\n".repeat(8);
    let message = refused(&format!("x\n1\n{rows}"));
    assert!(message.ends_with("line 7 `x` and 3 more"), "{message}");
}

/// What is written is read again to the bit.
#[test]
fn numbers_are_written_whole() {
    let numbers: Vec<f64> =
        (0..300).map(|n| (f64::from(n) * 12.9898).sin() * 10.0_f64.powi(n % 40 - 20)).collect();
    let series = Series::new(numbers, 2);
    let columns =
        ["a b", "c,d"].map(|name| Column { name: name.to_owned(), mean: 0.0, deviation: 1.0 });
    let mut text = Vec::new();
    write(&series, &columns, Named::ByItself, &mut text).unwrap();
    let again = read(text.as_slice(), "a.csv").unwrap();
    assert_eq!(again.series, series);
    assert_eq!(again.names, ["a b", "c,d"]);
}

fn config(text: &str) -> SeriesConfig {
    toml::from_str(text).unwrap()
}

fn named(values: &[[f64; 2]]) -> NamedSeries {
    NamedSeries {
        names: vec!["x".to_owned(), "y".to_owned()],
        named: Named::ByItself,
        series: Series::new(values.concat(), 2),
    }
}

/// What is heard and what is to be said of it, in numbers that the mean and deviation of what is learned from
/// have been taken out of.
#[test]
fn targets_are_later_and_scaled_by_what_is_learned_from() {
    let rows: Vec<[f64; 2]> = (0..10).map(|t| [f64::from(t), 100.0 * f64::from(t * t)]).collect();
    let config = config(
        "source = { csv = \"a.csv\" }\ninputs = [\"x\"]\ntargets = [\"y\"]\nahead = 2\nscaling = \"standard\"\nvalid = 1\n\
         test = 3",
    );
    let (heard, u, d) = config.heard(&named(&rows)).unwrap();
    // Learned from: steps 0 to 3, of which x is 0, 1, 2, 3 and y of the same steps 0, 100, 400, 900.
    assert_eq!((heard.inputs[0].mean, heard.inputs[0].deviation), (1.5, 1.25_f64.sqrt()));
    assert_eq!((heard.targets[0].mean, heard.ahead), (350.0, 2));
    assert_eq!((u.steps(), d.steps()), (8, 8));
    let back = (unscaled(&u, &heard.inputs), unscaled(&d, &heard.targets));
    for t in 0..8 {
        assert!((back.0.row(t)[0] - t as f64).abs() < 1e-12);
        assert!((back.1.row(t)[0] - 100.0 * ((t + 2) * (t + 2)) as f64).abs() < 1e-9);
    }
    assert!(!heard.goes_on());
}

/// Without targets what is heard is said a step later, and the model can go on by itself.
#[test]
fn a_series_foretells_itself() {
    let rows: Vec<[f64; 2]> = (0..10).map(|t| [f64::from(t), -f64::from(t)]).collect();
    let config = config("source = { csv = \"a.csv\" }");
    let (heard, u, d) = config.heard(&named(&rows)).unwrap();
    assert!(heard.goes_on());
    assert_eq!((heard.sizes(), heard.ahead), ([2, 2], 1));
    assert_eq!((u.row(3), d.row(3)), (&[3.0, -3.0][..], &[4.0, -4.0][..]));
}

/// Parts are in order, and what is measured has steps in front of it that are heard.
#[test]
fn a_series_is_cut_in_order() {
    let source = "source = { mackey_glass = { tau = 17, steps = 101 } }\nvalid = 20\ntest = 30";
    let (_, data) = config(source).read(10).unwrap();
    let test = data.test.unwrap();
    assert_eq!((data.train.count(), data.valid.count(), test.count()), (50, 20, 30));
    assert_eq!((data.train.lead_in, data.valid.lead_in, test.lead_in), (0, 10, 10));
    let whole = signals::mackey_glass(17, 101, 1);
    assert_eq!(data.train.u.values(), &whole[..50]);
    assert_eq!(data.valid.u.values(), &whole[40..70]);
    assert_eq!(test.u.values(), &whole[60..100]);
    assert_eq!(test.measured().values(), &whole[71..101]);
}

#[rstest]
#[case("inputs = [\"z\"]", "data.series.inputs: a.csv has no column `z`, only `x`, `y`")]
#[case(
    "test = 9",
    "`data.series.valid` + `data.series.test` is 9, expected below the 10 steps of the series less the 1 of `ahead`"
)]
#[case(
    "scaling = \"standard\"",
    "column `y` is 7 at every step that is learned from, expected a column that changes for `scaling = \"standard\"`"
)]
fn what_cannot_be_cut_is_refused(#[case] more: &str, #[case] message: &str) {
    let rows: Vec<[f64; 2]> = (0..10).map(|t| [f64::from(t), 7.0]).collect();
    let config = config(&format!("source = {{ csv = \"a.csv\" }}\n{more}"));
    assert_eq!(config.heard(&named(&rows)).unwrap_err().to_string(), message);
}

/// Columns of a user are found by name, in whatever order; without names by place, if there are as many.
#[test]
fn columns_are_found_by_name_or_place() {
    let column = |name: &str| Column { name: name.to_owned(), mean: 1.0, deviation: 2.0 };
    let inputs = vec![column("y"), column("x")];
    let heard = Heard { inputs, targets: vec![column("w")], ahead: 0, named: Named::ByItself };
    let inputs = |text: &str| heard.inputs_of(&of(text).unwrap(), "a.csv");
    assert_eq!(inputs("x,z,y\n3,9,5\n").unwrap().values(), [2.0, 1.0]);
    assert_eq!(inputs("5,3\n").unwrap().values(), [2.0, 1.0]);
    assert_eq!(
        inputs("5,3,1,2\n").unwrap_err().to_string(),
        "a.csv has 4 columns without names, expected 3: `y`, `x`, `w`"
    );
    assert_eq!(inputs("5,3,1\n").unwrap().values(), [2.0, 1.0]);
    let targets = heard.targets_of(&of("5,3,9\n").unwrap(), "a.csv");
    assert_eq!(targets.unwrap().values(), [4.0]);
    assert_eq!(
        inputs("x,z\n1,2\n").unwrap_err().to_string(),
        "the model: a.csv has no column `y`, only `x`, `z`"
    );
}

/// Every signal is read with the columns that it has.
#[rstest]
#[case("mackey_glass = { tau = 17, steps = 20 }", &["y"])]
#[case("narma10 = { steps = 20 }", &["u", "y"])]
#[case("lorenz = { step = 0.02, steps = 20 }", &["x", "y", "z"])]
#[case("roessler = { step = 0.1, steps = 20 }", &["x", "y", "z"])]
#[case("henon = { steps = 20 }", &["x"])]
#[case("superimposed_oscillators = { sines = 5, steps = 20 }", &["y"])]
fn signals_have_columns(#[case] source: &str, #[case] names: &[&str]) {
    let config = config(&format!("source = {{ {source} }}"));
    config.validate().unwrap();
    let found = config.source.read().unwrap();
    assert_eq!(found.names, names);
    assert_eq!((found.series.steps(), found.series.columns()), (20, names.len()));
}

#[rstest]
#[case(
    "mackey_glass = { tau = 0, steps = 20 }",
    "`source.mackey_glass.tau` must be from 1 to 10000, got 0"
)]
#[case("narma10 = { steps = 0 }", "`source.narma10.steps` must be from 1 to 100000, got 0")]
#[case("lorenz = { step = 0.0, steps = 20 }", "`source.lorenz.step` must be in (0, 0.1], got 0")]
#[case(
    "roessler = { step = 0.21, steps = 20 }",
    "`source.roessler.step` must be in (0, 0.2], got 0.21"
)]
#[case("henon = { steps = 0 }", "`source.henon.steps` must be from 1 to 100000000, got 0")]
#[case(
    "superimposed_oscillators = { sines = 13, steps = 20 }",
    "`source.superimposed_oscillators.sines` must be from 1 to 12, got 13"
)]
fn a_wrong_signal_is_named(#[case] source: &str, #[case] message: &str) {
    let config = config(&format!("source = {{ {source} }}"));
    assert_eq!(config.validate().unwrap_err().to_string(), message);
}
