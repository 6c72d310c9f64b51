//! How far predictions are from targets.
//!
//! ```text
//! RMSE  = √( mean (y − d)² )
//! NMSE  = mean (y − d)² / var(d)          NRMSE = √NMSE          R² = 1 − NMSE
//! ```
//!
//! `var(d)` is the population variance of the targets that are measured on. `NRMSE` is sometimes divided by the
//! range or the deviation of other data; here it never is.

fn pairs<'a>(y: &'a [f64], d: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    assert_eq!(y.len(), d.len(), "a prediction for every target");
    y.iter().zip(d).map(|(y, d)| (y - d) * (y - d))
}

/// The population variance.
pub fn variance(d: &[f64]) -> f64 {
    let mean = d.iter().sum::<f64>() / d.len() as f64;
    d.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / d.len() as f64
}

/// The root of the mean squared error.
///
/// # Panics
///
/// If there is not a prediction for every target.
pub fn rmse(y: &[f64], d: &[f64]) -> f64 {
    (pairs(y, d).sum::<f64>() / d.len() as f64).sqrt()
}

/// The mean squared error over the variance of the targets; infinite or NaN for targets that never change.
///
/// # Panics
///
/// If there is not a prediction for every target.
pub fn nmse(y: &[f64], d: &[f64]) -> f64 {
    pairs(y, d).sum::<f64>() / d.len() as f64 / variance(d)
}

/// The root of [`nmse`].
///
/// # Panics
///
/// If there is not a prediction for every target.
pub fn nrmse(y: &[f64], d: &[f64]) -> f64 {
    nmse(y, d).sqrt()
}

/// The share of the variance that is explained, `1 − NMSE`.
///
/// # Panics
///
/// If there is not a prediction for every target.
pub fn r_squared(y: &[f64], d: &[f64]) -> f64 {
    1.0 - nmse(y, d)
}

/// The squared correlation of two series; 0 if one never changes.
///
/// # Panics
///
/// If they have different lengths.
pub fn squared_correlation(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "two series of one length");
    let count = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    let covariance = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / count;
    let scale = variance(a) * variance(b);
    if scale > 0.0 { covariance * covariance / scale } else { 0.0 }
}
