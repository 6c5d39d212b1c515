//! Asking for memory before it is needed: the only unsafe code of the program.
//!
//! Reading a place early does the same, but a read holds up the processor until it is answered, and a prefetch does not:
//! counting 10 million packets over 300,000 flows took 105 ns a packet with early reads.

/// Asks for the cache line that `place` begins in. It changes nothing that a program can see.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint that reads nothing into the program and cannot fault; the address is that of a live
    // reference besides. SSE, which has the instruction, is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(place);
}
