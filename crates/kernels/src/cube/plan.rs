//! How a recurrence is split into launches, and a launch into cubes.

use std::ops::Range;

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use crate::Direction;

/// Which way a recurrence goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// Many steps in one launch. A cube has all units of a few sequences, and passes the states on in
    /// the memory that it shares.
    Loop,
    /// A launch a step, with the product. A cube has some units of a few sequences.
    Step,
    /// A product and a launch a step.
    Product,
}

/// Up to which `H` a recurrence takes the [`Loop`](Route::Loop). Narrow ones do not fill a GPU in any
/// case; wide ones read their weights once for every few sequences and are better spread out.
const LOOP_UP_TO: usize = 128;

/// Up to which `H` a recurrence goes by [`Step`](Route::Step). Beyond, the products are worth the kernels
/// that are made for them alone.
const STEP_UP_TO: usize = 512;

/// The steps of one launch of a [`Loop`](Route::Loop): desktop systems reset a GPU whose launch takes
/// more than a second or two.
const STEPS_A_LAUNCH: usize = 128;

/// Sequences of one cube, at most: so many sums are held in registers for every block.
const ROWS: usize = 4;

/// How many cubes keep a GPU busy that does not say how many it runs at once.
const CUBES: usize = 16;

/// What is compiled into a kernel. Sizes are arguments, so that it serves all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) route: Route,
    /// Sequences of one cube.
    pub(super) rows: usize,
    /// How many numbers of these sequences a cube shares, at most.
    pub(super) tile: usize,
}

impl Form {
    /// For `width` shared numbers of each sequence.
    fn new(route: Route, rows: usize, width: usize) -> Self {
        let tile = match route {
            Route::Loop | Route::Step => rows * width.next_multiple_of(64),
            Route::Product => 1,
        };
        Self { route, rows, tile }
    }

    /// How many numbers a cube has place for: in a loop one tile is read while the next is written.
    pub(super) fn shared(self) -> usize {
        match self.route {
            Route::Loop => 2 * self.tile,
            Route::Step | Route::Product => self.tile,
        }
    }
}

/// How one recurrence is split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) form: Form,
    passes: usize,
    batch: usize,
    hidden: usize,
    /// Units of one cube.
    units: usize,
}

impl Plan {
    /// For `passes` over the states of `batch` sequences of `hidden` units; `width` numbers of each are
    /// shared in a cube.
    pub(super) fn new(
        like: &CubeTensor,
        passes: usize,
        [batch, hidden, width]: [usize; 3],
    ) -> Self {
        let hardware = &like.client.properties().hardware;
        let most = hardware.max_units_per_cube.min(256) as usize;
        let wanted = route(hidden, passes);
        let rows = match wanted {
            Route::Loop => batch.div_ceil(CUBES).next_power_of_two().min(ROWS),
            Route::Step => batch.next_power_of_two().min(ROWS),
            Route::Product => 1,
        };
        let fits =
            |form: &Form| form.shared() * size_of::<f32>() <= hardware.max_shared_memory_size;
        let halved = std::iter::successors(Some(rows), |rows| (*rows > 1).then(|| rows / 2));
        let form = [wanted, Route::Step]
            .into_iter()
            .flat_map(|route| halved.clone().map(move |rows| Form::new(route, rows, width)))
            .find(fits)
            .unwrap_or(Form::new(Route::Product, 1, width));
        let units = match form.route {
            Route::Loop => hidden.next_multiple_of(32).min(most),
            Route::Step | Route::Product => hidden.next_multiple_of(32).min(64).min(most),
        };
        Self { form, passes, batch, hidden, units }
    }

    /// The units of a cube: each has a column of every block, then the next that is left.
    pub(super) fn dim(&self) -> CubeDim {
        CubeDim::new_1d(self.units as u32)
    }

    /// The cubes: columns by sequences.
    pub(super) fn count(&self) -> CubeCount {
        let columns = match self.form.route {
            Route::Loop => 1,
            Route::Step | Route::Product => self.hidden.div_ceil(self.units),
        };
        let tiles = self.batch.div_ceil(self.form.rows);
        CubeCount::Static(columns as u32, tiles as u32, 1)
    }

    /// The passes of each launch.
    pub(super) fn launches(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let passes = self.passes;
        let each = match self.form.route {
            Route::Loop => STEPS_A_LAUNCH,
            Route::Step | Route::Product => 1,
        };
        (0..passes).step_by(each).map(move |from| from..passes.min(from + each))
    }
}

/// Where a step stands among the inputs and the states, as [`Step`](crate::Step).
#[derive(CubeType, Clone, Copy)]
pub(super) struct Place {
    pub(super) t: usize,
    pub(super) before: usize,
    pub(super) after: usize,
}

/// As [`Direction::step`], of `n` of `steps`.
#[cube]
pub(super) fn place_of(n: usize, steps: usize, #[comptime] direction: Direction) -> Place {
    if comptime!(direction == Direction::Forward) {
        Place { t: n, before: n, after: n + 1 }
    } else {
        Place { t: steps - 1 - n, before: steps - n, after: steps - 1 - n }
    }
}

/// The state in front of pass `pass` of a backward run over `steps` steps: after the step that it enters
/// and before the one that it has left.
#[cube]
pub(super) fn state_between(pass: usize, steps: usize, #[comptime] direction: Direction) -> usize {
    if comptime!(direction == Direction::Forward) { steps - pass } else { pass }
}

fn route(hidden: usize, passes: usize) -> Route {
    #[cfg(test)]
    if let Some(route) = FORCED.get() {
        return route;
    }
    match hidden {
        // A step of a decoder is a launch in any case, and spread out it takes less time.
        0..=LOOP_UP_TO if passes > 1 => Route::Loop,
        ..=STEP_UP_TO => Route::Step,
        _ => Route::Product,
    }
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Route>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with all recurrences of this thread on one route.
#[cfg(test)]
pub(crate) fn routed<R>(route: Route, f: impl FnOnce() -> R) -> R {
    let before = FORCED.replace(Some(route));
    let result = f();
    FORCED.set(before);
    result
}
