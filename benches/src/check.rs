//! Whether all sides do the same work: the same numbers must come out.

use burn::tensor::Device;
use thiserror::Error;

use crate::{
    case::{Case, OnProcessor},
    peer::{Peer, PeerError},
};

/// The most that two sides may differ by, relative to numbers above 1.
pub const TOLERANCE: f64 = 1e-5;

/// What was compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Numbers.
    pub count: usize,
    /// The largest difference, relative to numbers above 1.
    pub difference: f64,
}

/// Why two sides are no comparison.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The peer did not answer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// There is more of one than of the other.
    #[error("{case}: {ours} numbers from our side and {theirs} from {side}")]
    Count {
        /// Which case.
        case: String,
        /// The other side.
        side: &'static str,
        /// How many are ours.
        ours: usize,
        /// How many are theirs.
        theirs: usize,
    },
    /// They are others.
    #[error("{case}: our side and {side} differ by {difference:.1e}, above {TOLERANCE:.0e}")]
    Numbers {
        /// Which case.
        case: String,
        /// The other side.
        side: &'static str,
        /// The largest difference.
        difference: f64,
    },
}

/// Compares our side with Burn's own, if it has one.
///
/// # Errors
///
/// If they differ.
pub fn with_burn(case: &dyn Case, device: &Device) -> Result<Option<Compared>, CheckError> {
    let theirs = case.burn_results(device);
    theirs.map(|theirs| compare(case, "Burn", &case.results(device), &theirs)).transpose()
}

/// Compares our side on `other` with our side on `device`, if the work is done there.
///
/// # Errors
///
/// If they differ.
pub fn with_backend(
    case: &dyn Case,
    device: &Device,
    other: &Device,
) -> Result<Option<Compared>, CheckError> {
    match case.on_processor() {
        OnProcessor::None => {
            compare(case, "another backend", &case.results(device), &case.results(other)).map(Some)
        }
        OnProcessor::Ours | OnProcessor::All => Ok(None),
    }
}

/// Compares our side with a peer's, if it has one.
///
/// # Errors
///
/// If they differ, or the peer does not answer.
pub fn with_peer(
    case: &dyn Case,
    device: &Device,
    peer: &mut Peer,
) -> Result<Option<Compared>, CheckError> {
    if !peer.prepare(case)? {
        return Ok(None);
    }
    compare(case, case.peer().name(), &case.results(device), &peer.results()?).map(Some)
}

fn compare(
    case: &dyn Case,
    side: &'static str,
    ours: &[f64],
    theirs: &[f64],
) -> Result<Compared, CheckError> {
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(CheckError::Count { case: case.name(), side, ours, theirs });
    }
    let difference = |(a, b): (&f64, &f64)| (a - b).abs() / a.abs().max(1.0);
    // A NaN is larger than everything.
    let largest = |most: f64, next: f64| if most.is_nan() || next <= most { most } else { next };
    let difference = ours.iter().zip(theirs).map(difference).fold(0.0, largest);
    if difference <= TOLERANCE {
        Ok(Compared { count: ours.len(), difference })
    } else {
        Err(CheckError::Numbers { case: case.name(), side, difference })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    /// Burn's layers put out the same, and the same gradient comes back.
    #[test]
    fn burns_own_layers_do_the_same_work() {
        let device = Device::flex();
        let compared = case::small().into_iter().filter_map(|case| {
            with_burn(&*case, &device).unwrap().map(|compared| (case.name(), compared))
        });
        let compared: Vec<_> = compared.collect();
        let names: Vec<_> = compared.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["layer/lstm/3x5x8/training", "layer/gru/3x5x8/training"]);
        assert!(compared.iter().all(|(_, compared)| compared.count == 2 * 3 * 5 * 8));
    }

    /// Every case gives the same numbers each time, and can be measured.
    #[test]
    fn every_small_case_runs_and_repeats() {
        let device = Device::flex();
        for case in case::small() {
            let (first, second) = (case.results(&device), case.results(&device));
            let same = compare(&*case, "itself", &first, &second).unwrap();
            assert!(same.count > 0, "{}", case.name());
            let mut work = case.ours(&device);
            work();
            work();
        }
    }

    #[test]
    fn what_differs_is_told() {
        let case = &*case::small().remove(0);
        let message = |ours: &[f64], theirs: &[f64]| {
            compare(case, "it", ours, theirs).unwrap_err().to_string()
        };
        assert!(message(&[1.0], &[1.0, 2.0]).contains("1 numbers from our side and 2 from it"));
        assert!(message(&[1.0], &[1.1]).contains("differ by 1.0e-1"));
        assert!(message(&[1.0, 1.0], &[f64::NAN, 1.0]).contains("NaN"));
    }
}
