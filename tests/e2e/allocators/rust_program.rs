// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
//
// What Rust programs do with memory, against their own count: vectors, boxes, zeroed and aligned
// memory, growth, panics that free while they unwind. No crates.
//
//	(nothing)	the system's allocator: malloc, calloc, realloc, posix_memalign, free
//	--cfg jemalloc	_rjem_mallocx, _rjem_calloc, _rjem_rallocx, _rjem_sdallocx
//	--cfg mimalloc	mi_malloc_aligned, mi_zalloc_aligned, mi_realloc_aligned, mi_free
//
// The conversation is that of truth.h.

use std::arch::asm;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

// The compiler must not remove an allocation that nobody reads, nor know its size. (std::hint's needs
// Rust 1.66.)
fn black_box<T>(value: T) -> T {
    unsafe { asm!("/* {} */", in(reg) &value, options(nostack, preserves_flags)) };
    value
}

#[cfg(jemalloc)]
mod global {
    use std::alloc::{GlobalAlloc, Layout};

    extern "C" {
        fn _rjem_mallocx(size: usize, flags: i32) -> *mut u8;
        fn _rjem_calloc(number: usize, size: usize) -> *mut u8;
        fn _rjem_rallocx(p: *mut u8, size: usize, flags: i32) -> *mut u8;
        fn _rjem_sdallocx(p: *mut u8, size: usize, flags: i32);
    }

    pub struct Allocator;

    // MALLOCX_LG_ALIGN
    fn flags(layout: Layout) -> i32 {
        layout.align().trailing_zeros() as i32
    }

    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            _rjem_mallocx(layout.size(), flags(layout))
        }
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if layout.align() <= 16 {
                _rjem_calloc(1, layout.size())
            } else {
                _rjem_mallocx(layout.size(), flags(layout) | 0x40)
            }
        }
        unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            _rjem_rallocx(p, size, flags(layout))
        }
        unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
            _rjem_sdallocx(p, layout.size(), flags(layout))
        }
    }

    #[global_allocator]
    static GLOBAL: Allocator = Allocator;
}

#[cfg(mimalloc)]
mod global {
    use std::alloc::{GlobalAlloc, Layout};

    extern "C" {
        fn mi_malloc_aligned(size: usize, align: usize) -> *mut u8;
        fn mi_zalloc_aligned(size: usize, align: usize) -> *mut u8;
        fn mi_realloc_aligned(p: *mut u8, size: usize, align: usize) -> *mut u8;
        fn mi_free(p: *mut u8);
    }

    pub struct Allocator;

    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            mi_malloc_aligned(layout.size(), layout.align())
        }
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            mi_zalloc_aligned(layout.size(), layout.align())
        }
        unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            mi_realloc_aligned(p, size, layout.align())
        }
        unsafe fn dealloc(&self, p: *mut u8, _layout: Layout) {
            mi_free(p)
        }
    }

    #[global_allocator]
    static GLOBAL: Allocator = Allocator;
}

struct Site {
    name: &'static str,
    live_bytes: AtomicI64,
    live_blocks: AtomicI64,
    alloc_bytes: AtomicI64,
    alloc_blocks: AtomicI64,
}

impl Site {
    const fn new(name: &'static str) -> Site {
        Site {
            name,
            live_bytes: AtomicI64::new(0),
            live_blocks: AtomicI64::new(0),
            alloc_bytes: AtomicI64::new(0),
            alloc_blocks: AtomicI64::new(0),
        }
    }
    fn alloc(&self, bytes: usize) {
        self.live_bytes.fetch_add(bytes as i64, Relaxed);
        self.live_blocks.fetch_add(1, Relaxed);
        self.alloc_bytes.fetch_add(bytes as i64, Relaxed);
        self.alloc_blocks.fetch_add(1, Relaxed);
    }
    fn free(&self, bytes: usize) {
        self.live_bytes.fetch_sub(bytes as i64, Relaxed);
        self.live_blocks.fetch_sub(1, Relaxed);
    }
}

static VECTOR: Site = Site::new("s_vector");
static ZEROED: Site = Site::new("s_zeroed");
static BOXED: Site = Site::new("s_boxed");
static ALIGNED: Site = Site::new("s_aligned");
static GROWN: Site = Site::new("s_grown");
static SHRUNK: Site = Site::new("s_shrunk");
static TEXT: Site = Site::new("s_text");
static THREADS: Site = Site::new("s_thread");
static PANICS: Site = Site::new("s_panics");

#[repr(align(64))]
struct Aligned([u8; 192]);

// Two of three blocks stay for good.
fn keep<T>(site: &Site, i: usize, bytes: usize, block: T) {
    site.alloc(bytes);
    let block = black_box(block);
    if i % 3 == 0 {
        drop(block);
        site.free(bytes);
    } else {
        std::mem::forget(block);
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_vector() {
    for i in 0..101 {
        let size = 17 + 13 * i;
        keep(&VECTOR, i, size, Vec::<u8>::with_capacity(black_box(size)));
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_zeroed() {
    for i in 0..97 {
        let size = 19 + 11 * i;
        keep(&ZEROED, i, size, vec![0u8; black_box(size)]);
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_boxed() {
    for i in 0..89 {
        keep(&BOXED, i, 80, Box::new(black_box([i as u64; 10])));
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_aligned() {
    for i in 0..83 {
        keep(&ALIGNED, i, 192, Box::new(black_box(Aligned([i as u8; 192]))));
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_grown() {
    let mut v = Vec::<u32>::new();
    for i in 1..500 {
        if i > 1 {
            GROWN.free(40 * (i - 1));
        }
        v.reserve_exact(black_box(10 * i) - v.len());
        GROWN.alloc(40 * i);
        v.resize(10 * i, 7);
        v = black_box(v);
    }
    std::mem::forget(v);
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_shrunk() {
    for i in 0..61 {
        let mut v = Vec::<u8>::with_capacity(black_box(5000 + i));
        SHRUNK.alloc(5000 + i);
        v.resize(100 + i, 1);
        v.shrink_to_fit();
        SHRUNK.free(5000 + i);
        keep(&SHRUNK, i, 100 + i, v);
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_text() {
    for i in 0..59 {
        let text = String::from(black_box("as long as this text"));
        keep(&TEXT, i, text.len(), text);
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_thread() {
    for i in 0..41 {
        keep(&THREADS, i, 3000 + i, Vec::<u8>::with_capacity(black_box(3000 + i)));
    }
}

#[inline(never)]
fn panic_with(block: &Vec<u8>) {
    if black_box(block.capacity()) > 0 {
        std::panic::resume_unwind(Box::new(7u32)); // no message, no backtrace
    }
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn s_panics() -> usize {
    let mut caught = 0;
    for _ in 0..53 {
        let result = std::panic::catch_unwind(|| {
            let block = black_box(Vec::<u8>::with_capacity(777));
            panic_with(&block);
        });
        caught += result.is_err() as usize;
    }
    caught
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{}", line).unwrap();
    out.flush().unwrap();
}

fn hear() {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
}

fn main() {
    say(&format!("ready {}", std::process::id()));
    hear();
    s_vector();
    s_zeroed();
    s_boxed();
    s_aligned();
    s_grown();
    s_shrunk();
    s_text();
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| s_thread())).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let caught = s_panics();
    for s in [&VECTOR, &ZEROED, &BOXED, &ALIGNED, &GROWN, &SHRUNK, &TEXT, &THREADS] {
        say(&format!(
            "site {} {} {} {} {}",
            s.name,
            s.live_bytes.load(Relaxed),
            s.live_blocks.load(Relaxed),
            s.alloc_bytes.load(Relaxed),
            s.alloc_blocks.load(Relaxed)
        ));
    }
    say(&format!("live {} 0 0", PANICS.name));
    say(&format!("value caught {}", caught));
    say("done");
    hear();
}
