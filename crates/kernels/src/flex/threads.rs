//! Work that is split over threads, and memory they write together.
//!
//! How work is split changes no result: every element is computed by one thread, from sums whose order
//! does not depend on the split.

use std::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rayon::prelude::*;

/// Multiplications below which a second thread costs more than it brings: waking one takes as long as
/// some hundred thousand.
const WORTH_A_THREAD: usize = 4_000_000;

/// Into how many parts to split something that takes so many multiplications.
pub(crate) fn parts(multiplications: usize) -> usize {
    rayon::current_num_threads().min(multiplications / WORTH_A_THREAD).max(1)
}

/// Runs `work` for `0..count`, several at a time if `multiplications` in all are worth it.
pub(crate) fn each(count: usize, multiplications: usize, work: impl Fn(usize) + Send + Sync) {
    if count > 1 && parts(multiplications) > 1 {
        (0..count).into_par_iter().with_max_len(1).for_each(work);
    } else {
        (0..count).for_each(work);
    }
}

/// Work that is done in phases, one after the other, each of them in parts that several threads take.
///
/// Every part has a member of the team that takes it in every phase, so that what it needs stays in that
/// member's cache. A part whose member is not there (it has not been woken up yet, or something else
/// keeps it) is taken by another: nobody waits for a thread that does nothing for it.
#[derive(Debug)]
pub(crate) struct Team {
    /// How many phases of each part have been taken.
    taken: Vec<Alone>,
    /// How many parts are done, of all phases together.
    done: Alone,
    /// A member has panicked: what the others wait for will not come.
    broken: AtomicBool,
}

/// A number on a line of the cache of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicUsize);

/// Looks at a number that another thread will change, before the processor is left to others. A phase
/// is a few microseconds, and waking up takes longer than that.
const PATIENCE: usize = 2_000;

impl Team {
    pub(crate) fn new(parts: usize) -> Self {
        let taken = (0..parts).map(|_| Alone::default()).collect();
        Self { taken, done: Alone::default(), broken: AtomicBool::new(false) }
    }

    /// Which of `0..of` belong to a part.
    #[inline(always)]
    pub(crate) fn cut(&self, part: usize, of: usize) -> Range<usize> {
        let parts = self.taken.len();
        part * of / parts..(part + 1) * of / parts
    }

    /// The phases and parts that fall to one of the team. Asking for the next says that the one before
    /// is done. Within a phase the parts run at the same time; what earlier phases have written can be
    /// read.
    ///
    /// When all members are through, all is done.
    #[inline(always)]
    pub(crate) fn walk(&self, member: usize, phases: usize) -> Walk<'_> {
        Walk { team: self, member, phases, phase: 0, tried: 0, busy: false }
    }
}

/// See [`Team::walk`].
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    team: &'a Team,
    member: usize,
    phases: usize,
    phase: usize,
    /// How many parts of this phase were taken or found taken.
    tried: usize,
    /// Whether a part is being worked on.
    busy: bool,
}

impl Iterator for Walk<'_> {
    type Item = (usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.team.taken.len() == 1 {
            let phase = self.phase;
            self.phase += 1;
            return (phase < self.phases).then_some((phase, 0));
        }
        self.next_of_many()
    }
}

impl Walk<'_> {
    fn next_of_many(&mut self) -> Option<(usize, usize)> {
        let parts = self.team.taken.len();
        if self.busy {
            // Whoever sees that it is done sees what it has written.
            self.team.done.0.fetch_add(1, Ordering::Release);
            self.busy = false;
        }
        while self.wait() {
            while self.tried < parts {
                let part = (self.member + self.tried) % parts;
                self.tried += 1;
                let (taken, phase) = (&self.team.taken[part].0, self.phase);
                let free =
                    taken.compare_exchange(phase, phase + 1, Ordering::Relaxed, Ordering::Relaxed);
                if free.is_ok() {
                    self.busy = true;
                    return Some((phase, part));
                }
            }
            self.phase += 1;
            self.tried = 0;
        }
        None
    }

    /// Waits until all phases before this one are done; if later ones have begun, goes on with those.
    /// False if there are no more.
    fn wait(&mut self) -> bool {
        let parts = self.team.taken.len();
        for looks in 0.. {
            let done = self.team.done.0.load(Ordering::Acquire);
            if done / parts > self.phase {
                self.phase = done / parts;
                self.tried = 0;
            }
            if self.phase >= self.phases || self.team.broken.load(Ordering::Relaxed) {
                return false;
            }
            if done >= self.phase * parts {
                return true;
            }
            if looks < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        false
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        if self.busy {
            self.team.broken.store(true, Ordering::Relaxed);
        }
    }
}

/// Bytes of a line of the cache, on most processors.
pub(super) const LINE: usize = 64;

/// Memory of which each thread writes a part of its own.
#[derive(Debug)]
pub(crate) struct Shared<F> {
    start: *mut F,
    len: usize,
}

// Not derived, which would ask it of `F` too.
impl<F> Clone for Shared<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Shared<F> {}

// SAFETY: a pointer and a length; who uses them promises that no two threads use the same elements.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
unsafe impl<F: Send> Send for Shared<F> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "threads write parts of the same memory")]
unsafe impl<F: Send> Sync for Shared<F> {}

impl<F> Shared<F> {
    pub(crate) fn new(elements: &mut [F]) -> Self {
        Self { start: elements.as_mut_ptr(), len: elements.len() }
    }

    /// The whole capacity of a vector that has no elements yet.
    pub(super) fn unwritten(elements: &mut Vec<F>) -> Self {
        Self { start: elements.as_mut_ptr(), len: elements.capacity() }
    }

    pub(super) fn len(self) -> usize {
        self.len
    }

    /// What follows the first `count` elements.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub(super) fn skip(self, count: usize) -> Self {
        assert!(count <= self.len, "a part is within the memory");
        Self { start: self.start.wrapping_add(count), len: self.len - count }
    }

    /// The part that begins with a line of the cache, so that no register is read across two.
    pub(super) fn aligned(self) -> Self {
        self.skip(self.start.align_offset(LINE).min(self.len))
    }

    /// Elements `from..from + count`, to write.
    ///
    /// # Safety
    ///
    /// The memory is still there, and nothing else reads or writes these elements meanwhile.
    ///
    /// # Panics
    ///
    /// If they are not within the memory.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    pub(crate) unsafe fn slice_mut<'a>(self, from: usize, count: usize) -> &'a mut [F] {
        assert!(from <= self.len && count <= self.len - from, "a part is within the memory");
        // SAFETY: within the memory, and the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), count) }
    }

    /// Elements `from..from + count`, to read.
    ///
    /// # Safety
    ///
    /// The memory is still there, these elements are written, and nothing writes them meanwhile.
    ///
    /// # Panics
    ///
    /// If they are not within the memory.
    #[inline(always)]
    #[expect(unsafe_code, reason = "threads write parts of the same memory")]
    pub(crate) unsafe fn slice<'a>(self, from: usize, count: usize) -> &'a [F] {
        assert!(from <= self.len && count <= self.len - from, "a part is within the memory");
        // SAFETY: within the memory, and the caller promises the rest.
        unsafe { std::slice::from_raw_parts(self.start.add(from), count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every part adds up what all parts of the phase before have left.
    fn sums(team: &Team, members: usize, phases: usize) -> Vec<u64> {
        let parts = team.taken.len();
        let mut numbers = vec![1_u64; (phases + 1) * parts];
        let shared = Shared::new(&mut numbers);
        (0..members).into_par_iter().with_max_len(1).for_each(|member| {
            for (phase, part) in team.walk(member, phases) {
                // SAFETY: the phase before is done; this part of this phase is this call's own.
                #[expect(unsafe_code, reason = "threads write parts of the same memory")]
                unsafe {
                    let before = shared.slice(phase * parts, parts);
                    let sum = before.iter().fold(part as u64, |sum, n| sum.wrapping_add(*n));
                    shared.slice_mut((phase + 1) * parts + part, 1)[0] = sum;
                }
            }
        });
        numbers.split_off(phases * parts)
    }

    #[test]
    fn a_team_does_every_part_once_and_phase_by_phase() {
        for parts in 1..5 {
            let alone = sums(&Team::new(parts), 1, 500);
            for _ in 0..50 {
                assert_eq!(sums(&Team::new(parts), parts, 500), alone, "{parts} parts");
            }
        }
    }

    /// Whether or not the others ever come.
    #[test]
    fn who_is_alone_does_all_and_who_is_late_nothing() {
        let team = Team::new(3);
        assert_eq!(team.walk(1, 10).count(), 30);
        assert_eq!(team.walk(0, 10).count(), 0);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_nobody_waits_for_ever() {
        let team = Team::new(2);
        let run = || {
            (0..2).into_par_iter().with_max_len(1).for_each(|member| {
                for (phase, part) in team.walk(member, 100) {
                    assert!(phase < 50 || part == 1, "as told");
                }
            });
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }

    #[test]
    fn parts_are_cut_without_gaps() {
        let team = Team::new(3);
        for of in 0..10 {
            let cuts: Vec<usize> = (0..3).flat_map(|part| team.cut(part, of)).collect();
            assert_eq!(cuts, (0..of).collect::<Vec<_>>());
        }
    }
}
