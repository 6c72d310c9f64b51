//! Products of bytes against their formulas, in integers and in double precision, with every
//! instruction set that this processor has.

use burn::{prelude::*, tensor::DType};
use recurrent_testkit::random;
use rstest::rstest;

use super::*;
use crate::int8::instructions::{Instructions, forced};

/// `count` rows of uniform numbers, as different in size as rows of weights and activations may be.
fn rows(count: usize, len: usize, seed: u64) -> Vec<f32> {
    const SIZES: [f32; 5] = [1.0, 0.03, 25.0, 1e-3, 4e4];
    let drawn = random([(count * len).max(1)], seed, DType::F32, &Device::flex()).into_data();
    let mut rows: Vec<f32> = drawn.iter().take(count * len).collect();
    for (row, size) in rows.chunks_mut(len.max(1)).zip(SIZES.iter().cycle()) {
        row.iter_mut().for_each(|x| *x *= size);
    }
    rows
}

fn transposed(rows: &[f32], count: usize, len: usize) -> Vec<f32> {
    (0..len).flat_map(|k| (0..count).map(move |n| rows[n * len + k])).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// The largest number of a row without its sign.
fn largest_of(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |most, x| f64::from(x.abs()).max(most))
}

/// `round(W[n, k] / s_n · 127)`.
fn weights_by_formula(row: &[f32]) -> Vec<i64> {
    let scale = largest_of(row);
    row.iter().map(|w| (f64::from(*w) / scale * 127.0).round() as i64).collect()
}

/// `round(x[b, k] · (127 / m_b))` in single precision, as decoding computes it: of the two integers
/// beside `x[b, k] / m_b · 127` the nearer one, or either if it is all but in the middle.
fn activations_by_formula(row: &[f32]) -> Vec<i64> {
    let largest = largest_of(row);
    let factor = 127.0 / largest as f32;
    let round = |x: &f32| {
        let rounded = (x * factor).round_ties_even();
        assert!((f64::from(rounded) - f64::from(*x) / largest * 127.0).abs() < 0.5 + 1e-4);
        rounded as i64
    };
    row.iter().map(|x| if largest == 0.0 { 0 } else { round(x) }).collect()
}

/// `y`, `[B, N]`, by the header's formula; no row may be empty.
fn products_by_formula(x: &[f32], w: &[f32], k: usize) -> Vec<f64> {
    let weights: Vec<_> = w.chunks(k).map(|w| (largest_of(w), weights_by_formula(w))).collect();
    let of_row = |x: &[f32]| {
        let (largest, x) = (largest_of(x), activations_by_formula(x));
        let product = |(scale, w): &(f64, Vec<i64>)| {
            let sum: i64 = x.iter().zip(w).map(|(x, w)| x * w).sum();
            sum as f64 * scale * largest / (127.0 * 127.0)
        };
        weights.iter().map(product).collect::<Vec<_>>()
    };
    x.chunks(k).flat_map(of_row).collect()
}

fn assert_products(found: &[f32], products: &[f64], before: impl Fn(usize) -> f32) {
    assert_eq!(found.len(), products.len());
    for (n, (found, product)) in found.iter().zip(products).enumerate() {
        let before = f64::from(before(n));
        let tolerance = 1e-6 * (product.abs() + before.abs());
        let expected = product + before;
        assert!((f64::from(*found) - expected).abs() <= tolerance, "{n}: {found}, not {expected}");
    }
}

/// `x · Wᵀ`, `x · Wᵀ + b`, and `x · Wᵀ` added to what is there, with every instruction set.
fn check_products([b, k, n]: [usize; 3]) {
    let (x, w) = (rows(b, k, 1), rows(n, k, 2));
    let (bias, there) = (rows(1, n, 3), rows(b, n, 4));
    let expected = products_by_formula(&x, &w, k);
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    let all = Instructions::all().into_iter().map(|instructions| {
        forced(instructions, || {
            let mut plain = vec![f32::NAN; b * n];
            matrix.product(&x, &mut plain, None);
            assert_products(&plain, &expected, |_| 0.0);
            let mut biased = vec![f32::NAN; b * n];
            matrix.product(&x, &mut biased, Some(&bias));
            assert_products(&biased, &expected, |place| bias[place % n]);
            let mut added = there.clone();
            let mut quantized = QuantizedRows::new();
            quantized.quantize(&x, b, k);
            matrix.add_product_of(&quantized, &mut added);
            assert_products(&added, &expected, |place| there[place]);
            [plain, biased, added].map(|results| bits(&results))
        })
    });
    let all: Vec<_> = all.collect();
    assert!(all.iter().all(|results| *results == all[0]), "instruction sets differ");
}

/// Rows and columns that fill groups of inputs and panels of outputs, and such that do not.
#[rstest]
fn products_follow_the_formula(
    #[values(0, 1, 2, 7, 33)] b: usize,
    #[values(1, 3, 4, 5, 63, 65)] k: usize,
    #[values(1, 16, 17)] n: usize,
) {
    check_products([b, k, n]);
}

/// All numbers of rows and panels that are multiplied at once.
#[rstest]
fn tiles_of_every_size_follow_the_formula(
    #[values(1, 2, 3, 4, 5, 6, 7, 8, 9, 13)] b: usize,
    #[values(32, 40, 64, 112)] n: usize,
) {
    check_products([b, 20, n]);
}

/// The worked example of GNMT's quantisation.
#[test]
fn gn_8_the_worked_example() {
    let matrix = Int8Matrix::quantize(&[0.5, -0.24, 0.1], 1, 3).unwrap();
    assert_eq!(matrix.values(), [127, -61, 25]);
    assert_eq!(matrix.scales(), [0.5]);
}

#[rstest]
fn gn_8_weights_are_rounded_to_the_nearest_of_255(
    #[values(1, 3, 5, 63, 65, 300)] k: usize,
    #[values(1, 16, 17, 70)] n: usize,
) {
    let w = rows(n, k, 5);
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    let turned = Int8Matrix::quantize_transposed(&transposed(&w, n, k), n, k).unwrap();
    assert_eq!(turned, matrix);
    assert_eq!((matrix.outputs(), matrix.inputs()), (n, k));
    let values: Vec<i64> = matrix.values().into_iter().map(i64::from).collect();
    assert_eq!(values, w.chunks(k).flat_map(weights_by_formula).collect::<Vec<_>>());
    let mut row = vec![f32::NAN; k];
    for (n, w) in w.chunks(k).enumerate() {
        let scale = largest_of(w);
        assert_eq!(f64::from(matrix.scales()[n]), scale);
        matrix.row(n, &mut row);
        for (w, back) in w.iter().zip(&row) {
            let off = (f64::from(*w) - f64::from(*back)).abs();
            assert!(off <= scale / 254.0 * (1.0 + 1e-5), "{w} came back as {back}");
        }
        assert_eq!(largest_of(&row), scale, "the largest comes back as it was");
    }
}

/// What rounding may do: half a step of every weight and every activation.
#[rstest]
fn products_are_near_those_in_single_precision(#[values(64, 600)] k: usize) {
    let (b, n) = (5, 50);
    let (x, w) = (rows(b, k, 6), rows(n, k, 7));
    let mut y = vec![0.0; b * n];
    Int8Matrix::quantize(&w, n, k).unwrap().product(&x, &mut y, None);
    let mut off = 0.0;
    for (x, y) in x.chunks(k).zip(y.chunks(n)) {
        for (w, y) in w.chunks(k).zip(y) {
            let (half_x, half_w) = (largest_of(x) / 254.0, largest_of(w) / 254.0);
            let pairs = || x.iter().zip(w).map(|(x, w)| (f64::from(*x), f64::from(*w)));
            let exact: f64 = pairs().map(|(x, w)| x * w).sum();
            let bound: f64 =
                pairs().map(|(x, w)| x.abs() * half_w + w.abs() * half_x + half_x * half_w).sum();
            let share = (f64::from(*y) - exact).abs() / bound;
            assert!(share < 1.0, "{y}, not {exact}");
            off += share / (b * n) as f64;
        }
    }
    // Errors of both signs take each other away: of so many, little is left.
    assert!(off < 2.0 / (k as f64).sqrt(), "{off} of what could be");
}

/// All products at their largest, with signs that add up: nothing saturates and nothing overflows, not
/// even where one is −128, which a file may hold.
#[rstest]
fn the_largest_sums_are_exact(
    #[values(1, 3, 4, 1000, MOST_INPUTS)] k: usize,
    #[values(i8::MIN, -127, 127)] weight: i8,
    #[values(-1.0, 1.0)] x: f32,
) {
    let (b, n) = (3, 2);
    let matrix = Int8Matrix::from_parts(&vec![weight; n * k], &[127.0; 2], n, k).unwrap();
    // An exact power of two, so that no product is rounded behind the sum but once.
    let x = vec![x; b * k];
    let expected = (127 * i64::from(weight)).checked_mul(k as i64).unwrap() as f64;
    for instructions in Instructions::all() {
        let mut y = vec![0.0; b * n];
        forced(instructions, || matrix.product(&x, &mut y, None));
        let expected = vec![expected * f64::from(x[0]) / 127.0; b * n];
        assert_products(&y, &expected, |_| 0.0);
    }
}

/// What is wrong in one row is wrong in that row alone, and nobody can overlook it.
#[rstest]
fn a_row_that_is_not_finite_has_no_results(
    #[values(f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY)] wrong: f32,
    #[values(0, 9, 18)] place: usize,
) {
    let (b, k, n) = (6, 19, 21);
    // A row of zeros among the weights is no exception.
    let mut w = rows(n, k, 8);
    w[4 * k..5 * k].fill(0.0);
    let mut x = rows(b, k, 9);
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    let bias = rows(1, n, 10);
    for instructions in Instructions::all() {
        forced(instructions, || {
            let product = |x: &[f32]| {
                let mut y = bias.repeat(b);
                matrix.product(x, &mut y, Some(&bias));
                let mut quantized = QuantizedRows::new();
                quantized.quantize(x, b, k);
                matrix.add_product_of(&quantized, &mut y);
                y
            };
            let finite = product(&x);
            let before = std::mem::replace(&mut x[2 * k + place], wrong);
            let y = product(&x);
            x[2 * k + place] = before;
            assert!(y[2 * n..3 * n].iter().all(|y| y.is_nan()));
            assert_eq!(bits(&y[..2 * n]), bits(&finite[..2 * n]));
            assert_eq!(bits(&y[3 * n..]), bits(&finite[3 * n..]));
        });
    }
}

/// Rounding knows no absolute size: a power of two passes through, down to numbers that single precision
/// holds with less than all its digits.
#[rstest]
fn rows_of_any_size_are_rounded_alike(#[values(-60, -30, 30, 100)] power: i32) {
    let (k, n) = (37, 18);
    let factor = 2_f32.powi(power);
    let (x, mut w) = (rows(1, k, 11), rows(n, k, 12));
    w.iter_mut().for_each(|w| *w *= 2_f32.powi(-40));
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    let product = |x: &[f32]| {
        let mut y = vec![0.0; n];
        matrix.product(x, &mut y, None);
        y
    };
    let scaled = |numbers: &[f32], factor: f32| -> Vec<f32> {
        numbers.iter().map(|number| number * factor).collect()
    };
    assert_eq!(product(&scaled(&x, factor)), scaled(&product(&x), factor));
    let small = scaled(&scaled(&x, f32::MIN_POSITIVE), 2_f32.powi(-12));
    let mut quantized = [QuantizedRows::new(), QuantizedRows::new()];
    quantized[0].quantize(&small, 1, k);
    // The same in double precision, brought to where all digits are there.
    let lifted: Vec<f32> = small.iter().map(|x| (f64::from(*x) * 2_f64.powi(130)) as f32).collect();
    quantized[1].quantize(&lifted, 1, k);
    assert_eq!(quantized[0].row(0), quantized[1].row(0));
    assert_eq!(f64::from(quantized[0].largest(0)), largest_of(&small));
}

#[test]
fn zeros_stay_zeros() {
    let (k, n) = (10, 20);
    let mut w = rows(n, k, 13);
    w[3 * k..4 * k].fill(0.0);
    let mut x = rows(3, k, 14);
    x[k..2 * k].fill(-0.0);
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    assert_eq!(matrix.scales()[3], 0.0);
    let mut row = vec![f32::NAN; k];
    matrix.row(3, &mut row);
    assert_eq!(row, vec![0.0; k]);
    let bias = rows(1, n, 15);
    let mut y = vec![f32::NAN; 3 * n];
    matrix.product(&x, &mut y, Some(&bias));
    assert_eq!(y[n..2 * n], bias, "without an input the bias is left");
    assert!((0..3).all(|b| y[b * n + 3] == bias[3]), "without weights the bias is left");
}

/// Nothing in, or nothing out.
#[test]
fn empty_products() {
    let bias = [1.0, 2.0];
    let without_inputs = Int8Matrix::quantize(&[], 2, 0).unwrap();
    let mut y = [f32::NAN; 4];
    without_inputs.product(&[], &mut y, Some(&bias));
    assert_eq!(y, [1.0, 2.0, 1.0, 2.0]);
    without_inputs.product(&[], &mut y, None);
    assert_eq!(y, [0.0; 4]);
    assert_eq!(Int8Matrix::quantize_transposed(&[], 2, 0), Ok(without_inputs));
    let without_outputs = Int8Matrix::quantize(&[], 0, 3).unwrap();
    without_outputs.product(&[1.0, 2.0, 3.0], &mut [], Some(&[]));
    assert_eq!(Int8Matrix::quantize_transposed(&[], 0, 3), Ok(without_outputs));
    let matrix = Int8Matrix::quantize(&[1.0, 2.0], 2, 1).unwrap();
    matrix.product(&[], &mut [], Some(&bias));
}

#[test]
fn parts_make_the_same_matrix() {
    let (k, n) = (37, 35);
    let matrix = Int8Matrix::quantize(&rows(n, k, 16), n, k).unwrap();
    let (values, scales) = (matrix.values(), matrix.scales().to_vec());
    let again = Int8Matrix::from_parts(&values, &scales, n, k).unwrap();
    assert_eq!(again, matrix);
    assert_eq!((again.values(), again.scales().to_vec()), (values, scales));
    let every: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    assert_eq!(Int8Matrix::from_parts(&every, &[1.0; 2], 2, 128).unwrap().values(), every);
}

/// The weights are there once: a byte each, and zeros up to whole panels.
#[test]
fn a_weight_takes_a_byte() {
    for (n, k, bytes) in [(16, 64, 16 * 64), (17, 65, 32 * 68), (1, 1, 16 * 4)] {
        let matrix = Int8Matrix::quantize(&rows(n, k, 17), n, k).unwrap();
        assert_eq!(size_of_val(&*matrix.groups), bytes);
        let zeros = |values: &[i8]| values.iter().filter(|value| **value == 0).count();
        let stored = matrix.groups.iter().map(|group| zeros(&group.0)).sum::<usize>();
        assert_eq!(stored - zeros(&matrix.values()), bytes - n * k);
        assert_eq!(matrix.groups.as_ptr().align_offset(64), 0, "a group is a line of the cache");
    }
}

#[test]
fn what_is_no_matrix_is_refused() {
    let said = |result: Result<Int8Matrix, Int8Error>| result.unwrap_err().to_string();
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut w = rows(3, 5, 18);
        w[5 + 3] = wrong;
        let expected = format!("weight [1, 3] is {wrong}, expected a finite number");
        assert_eq!(said(Int8Matrix::quantize(&w, 3, 5)), expected);
        let turned = transposed(&w, 3, 5);
        assert_eq!(said(Int8Matrix::quantize_transposed(&turned, 3, 5)), expected);
    }
    let parts = |values: usize, scales: &[f32], outputs, inputs| {
        said(Int8Matrix::from_parts(&vec![1; values], scales, outputs, inputs))
    };
    assert_eq!(parts(7, &[1.0; 2], 2, 4), "7 values for a matrix [2, 4]");
    // 2⁶³ · 2 is 0 in so many bits.
    let many = usize::MAX / 2 + 1;
    assert_eq!(parts(0, &[], many, 2), format!("0 values for a matrix [{many}, 2]"));
    assert_eq!(parts(8, &[1.0], 2, 4), "1 scales for 2 rows");
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        let expected = format!("the scale of row 1 is {wrong}, expected a finite number from 0");
        assert_eq!(parts(8, &[1.0, wrong], 2, 4), expected);
    }
    let wide = MOST_INPUTS + 1;
    let expected = "rows of 65537 weights, expected at most 65536";
    assert_eq!(parts(wide, &[1.0], 1, wide), expected);
    assert_eq!(said(Int8Matrix::quantize(&vec![1.0; wide], 1, wide)), expected);
}

/// One part or many, the same bits.
#[test]
fn no_result_depends_on_how_work_is_split() {
    let (b, k, n) = (33, 512, 1100);
    let (x, w) = (rows(b, k, 19), rows(n, k, 20));
    let matrix = Int8Matrix::quantize(&w, n, k).unwrap();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut y = vec![f32::NAN; b * n];
        pool.install(|| matrix.product(&x, &mut y, None));
        bits(&y)
    };
    let alone = with(1);
    assert_eq!(with(2), alone);
    assert_eq!(with(3), alone);
    assert_products(
        &alone.iter().map(|bits| f32::from_bits(*bits)).collect::<Vec<_>>(),
        &products_by_formula(&x, &w, k),
        |_| 0.0,
    );
}

#[test]
#[should_panic(expected = "as many weights as [N, K] has")]
fn too_few_weights() {
    let _ = Int8Matrix::quantize(&[1.0; 5], 2, 3);
}

#[rstest]
#[case(&[1.0; 7], 4, None)]
#[case(&[1.0; 6], 5, None)]
#[case(&[1.0; 6], 4, Some(3))]
#[should_panic(expected = "left == right")]
fn shapes_that_do_not_fit(#[case] x: &[f32], #[case] to: usize, #[case] bias: Option<usize>) {
    let matrix = Int8Matrix::quantize(&[1.0; 6], 2, 3).unwrap();
    let bias = bias.map(|len| vec![0.0; len]);
    matrix.product(x, &mut vec![0.0; to], bias.as_deref());
}
