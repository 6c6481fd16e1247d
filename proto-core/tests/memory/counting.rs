//! An allocator that counts, for each thread: tests that run side by side do not see each other.
#![expect(unsafe_code, reason = "an allocator is unsafe to write; this one only counts and hands on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends may free after its counters are gone.
    let _ = LIVE.try_with(|live| {
        let now = live.get().wrapping_add(bytes);
        live.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn size(layout: Layout) -> isize {
    layout.size() as isize
}

// SAFETY: every call goes to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new are there at once when it has to move: the worse case is counted.
        count(new_size as isize);
        // SAFETY: the caller's promise is the one asked for.
        let moved = unsafe { System.realloc(pointer, layout, new_size) };
        count(-size(layout));
        moved
    }
}

/// Bytes this thread has allocated and not freed.
pub(crate) fn live() -> isize {
    LIVE.with(Cell::get)
}

/// The most that was live at once, beyond what was before.
pub(crate) fn peak_of(run: impl FnOnce()) -> usize {
    let before = live();
    PEAK.with(|peak| peak.set(before));
    run();
    usize::try_from(PEAK.with(Cell::get) - before).unwrap_or(0)
}

#[test]
fn allocations_are_counted() {
    let before = live();
    let mut bytes = Vec::with_capacity(1000);
    assert_eq!(live() - before, 1000);
    bytes.push(1u8);
    let peak = peak_of(|| bytes.reserve_exact(2000));
    assert!((2001..=3001).contains(&peak), "{peak}");
    drop(bytes);
    assert_eq!(live(), before);
}
