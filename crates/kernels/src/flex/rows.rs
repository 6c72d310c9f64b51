//! Who computes what of a recurrence. A team of threads takes sequences through all steps, each some of
//! the units, and meets at every step: its weights stay in its cache, and it multiplies all rows by each
//! of them. Where that would be too little for all threads, the sequences are dealt to several teams,
//! which have nothing to do with each other. A row's numbers do not depend on who computes them.

use std::ops::Range;

use pulp::Simd;

use super::{
    Real, Sizes,
    panels::Panels,
    simd::{Lanes, lanes},
    threads::{self, Shared, Team},
    tile::{self, MOST_ROWS, Rows},
};
use crate::{Step, ops::Course};

/// Fewer rows than this would leave a thread waiting for the weights.
const FEWEST_ROWS: usize = 4;

/// Multiplications of a step, for each of a team, below which meeting costs more than it brings.
const WORTH_A_MEETING: usize = 50_000;

/// As many threads as often share a cache: more would wait longer for each other. A guess, measured
/// with two threads only.
const MOST_MEMBERS: usize = 8;

/// Rows that one thread runs, or a team, the longest sequence first.
#[derive(Debug)]
pub(super) struct Share {
    rows: Vec<usize>,
    lengths: Vec<usize>,
    pub(super) team: Team,
}

impl Share {
    /// The rows whose step `t` is real, and the others.
    #[inline(always)]
    pub(super) fn at(&self, t: usize) -> (&[usize], &[usize]) {
        self.rows.split_at(self.lengths.partition_point(|length| *length > t))
    }
}

/// Deals the rows of a batch: as many to each of `count` shares, and as long ones. Each has a team of
/// so many members.
fn shares(course: &Course, count: usize, members: usize) -> Vec<Share> {
    let lengths = course.lengths.as_slice();
    let mut rows: Vec<usize> = (0..lengths.len()).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(lengths[*row]));
    let share = |n: usize| {
        let rows: Vec<usize> = rows.iter().copied().skip(n).step_by(count).collect();
        let lengths = rows.iter().map(|row| lengths[*row]).collect();
        Share { rows, lengths, team: Team::new(members) }
    };
    (0..count).map(share).collect()
}

/// Runs all rows of a batch, on several threads if it is worth it, where a step of a row costs so many
/// multiplications and can be cut into so many `panels`. `run` gets a share and which member of its
/// team it is to be.
pub(super) fn each_share(
    course: &Course,
    multiplications: usize,
    panels: usize,
    run: impl Fn(&Share, usize) + Send + Sync,
) {
    let batch = course.lengths.batch();
    let work = batch * multiplications * course.lengths.steps();
    let threads = threads::parts(work);
    let meetings = batch * multiplications / WORTH_A_MEETING;
    let members = threads.min(panels).min(meetings).clamp(1, MOST_MEMBERS);
    let count = (threads / members).min(batch / FEWEST_ROWS).max(1);
    let shares = shares(course, count, members);
    threads::each(count * members, work, |n| run(&shares[n / members], n % members));
}

/// The states `n` of some rows, to be multiplied.
///
/// # Safety
///
/// They are written, and nobody writes them while the result is used.
#[inline(always)]
#[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
pub(super) unsafe fn states<F: Real>(
    states: Shared<F>,
    sizes: Sizes,
    n: usize,
    rows: &[usize],
) -> Rows<F> {
    // SAFETY: the caller's promise.
    unsafe { shared(states, rows, sizes.hidden, |row| sizes.at(n, row)) }
}

/// The first `width` elements of some rows of shared memory, which start `at` somewhere.
///
/// # Safety
///
/// They are written, and nobody writes them while the result is used.
#[inline(always)]
#[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
pub(super) unsafe fn shared<F: Real>(
    memory: Shared<F>,
    rows: &[usize],
    width: usize,
    at: impl Fn(usize) -> usize,
) -> Rows<F> {
    assert!(rows.len() <= MOST_ROWS, "a tile has few rows");
    let mut starts = [std::ptr::null(); MOST_ROWS];
    for (start, row) in starts.iter_mut().zip(rows) {
        // SAFETY: the caller's promise.
        *start = unsafe { memory.slice(at(*row), width) }.as_ptr();
    }
    // SAFETY: as above.
    unsafe { Rows::of_pointers(starts, rows.len(), 1) }
}

/// Writes the state before the first step.
///
/// # Safety
///
/// Nothing else uses it meanwhile.
#[expect(unsafe_code, reason = "memory that is shared between threads")]
pub(super) unsafe fn start<F: Real>(states: Shared<F>, sizes: Sizes, course: &Course, h0: &[F]) {
    let first = sizes.at(course.direction.first(sizes.steps), 0);
    // SAFETY: the caller's promise.
    unsafe { states.slice_mut(first, sizes.state()) }.copy_from_slice(h0);
}

/// Some units of a row at a step that is padding: they go on as they are.
///
/// # Safety
///
/// The state before the step is written, and nothing else uses these units of the one after it.
#[inline(always)]
#[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
pub(super) unsafe fn carry<F: Real>(
    states: Shared<F>,
    sizes: Sizes,
    step: Step,
    units: Range<usize>,
    row: usize,
) {
    let from = |n| sizes.at(n, row) + units.start;
    // SAFETY: the caller's promise.
    unsafe {
        let before = states.slice(from(step.before), units.len());
        states.slice_mut(from(step.after), units.len()).copy_from_slice(before);
    }
}

/// The gradient of some units of a row's state at a step that is padding: what it is and what arrives
/// from outside, `grad`.
///
/// # Safety
///
/// Nothing else uses these units of `dh`.
#[inline(always)]
#[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
pub(super) unsafe fn pass_on<F: Real>(
    dh: Shared<F>,
    sizes: Sizes,
    units: Range<usize>,
    row: usize,
    grad: &[F],
) {
    // SAFETY: the caller's promise.
    let dh = unsafe { dh.slice_mut(row * sizes.hidden + units.start, units.len()) };
    dh.iter_mut().zip(&grad[units]).for_each(|(dh, grad)| *dh = *dh + *grad);
}

/// What belongs to the steps, `[T, B, width]`: the left-hand side of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<F> {
    pub(super) memory: Shared<F>,
    pub(super) width: usize,
    pub(super) sizes: Sizes,
}

/// Multiplies the first columns of step `t` of some rows by rows `k` of some `panels` of `w`, and hands
/// each register of the results to `put` with its row and its first column. What `put` will need is
/// asked for with `soon`, by row and columns.
///
/// # Safety
///
/// These rows of step `t` are written, and nobody writes them meanwhile.
///
/// # Panics
///
/// If there are not as many columns as `k` says.
#[inline(always)]
#[expect(unsafe_code, reason = "rows of memory that is shared between threads")]
pub(super) unsafe fn times<S: Simd, F: Real>(
    simd: S,
    (left, t): (Steps<F>, usize),
    rows: &[usize],
    (w, panels): (&Panels<F>, Range<usize>),
    k: Range<usize>,
    soon: impl Fn(usize, Range<usize>),
    put: impl Fn(usize, usize, Lanes<S, F>),
) {
    let Steps { memory, width, sizes } = left;
    assert!(k.len() <= width, "the columns of a step are as many as are multiplied");
    for n in panels {
        let panel = w.get(n).rows::<S>(k.clone());
        for piece in tile::pieces::<S>(rows.len(), panel.width) {
            let rows = &rows[piece];
            rows.iter().for_each(|row| soon(*row, w.columns(n)));
            let mut sums = tile::no_sums::<S, F>(simd);
            // SAFETY: the caller's promise.
            unsafe {
                let left = shared(memory, rows, k.len(), |row| sizes.row(t, row) * width);
                tile::multiply(simd, left, panel, &mut sums);
            }
            for (row, sums) in rows.iter().zip(&sums) {
                for (register, sum) in sums.iter().take(panel.width).enumerate() {
                    let at = w.columns(n).start + register * lanes::<S, F>();
                    put(*row, at, Lanes::new(simd, *sum));
                }
            }
        }
    }
}

/// Where the state before every real step starts, and where what belongs to the step does, which is
/// `width` wide: in the order of the steps, then of the rows.
pub(super) fn starts_of_steps(
    course: &Course,
    hidden: usize,
    width: usize,
) -> (Vec<usize>, Vec<usize>) {
    let lengths = course.lengths.as_slice();
    let before = course.direction.inputs_from();
    let steps =
        (0..course.lengths.steps()).flat_map(|t| (0..lengths.len()).map(move |row| (t, row)));
    let real = steps.filter(|(t, row)| *t < lengths[*row]);
    real.map(|(t, row)| {
        let step = t * lengths.len() + row;
        ((step + before * lengths.len()) * hidden, step * width)
    })
    .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Lengths};

    #[test]
    fn every_row_is_in_one_share_and_shares_are_about_as_long() {
        let lengths: Vec<usize> = (0..37).map(|row| row * 7 % 12).collect();
        let total: usize = lengths.iter().sum();
        let course = Course { lengths: Lengths::new(lengths, 12), direction: Direction::Forward };
        for count in 1..6 {
            let shares = shares(&course, count, 1);
            let mut all: Vec<usize> = shares.iter().flat_map(|share| share.rows.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..37).collect::<Vec<_>>());
            for share in &shares {
                let steps: usize = share.lengths.iter().sum();
                assert!(steps.abs_diff(total / count) <= 12, "{steps} of {total} in {count}");
                let (running, resting) = share.at(5);
                assert_eq!(running.len() + resting.len(), share.rows.len());
                assert!(running.iter().all(|row| row * 7 % 12 > 5));
                assert!(resting.iter().all(|row| row * 7 % 12 <= 5));
            }
        }
    }
}
