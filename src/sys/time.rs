//! The wall clock and the local time zone.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds and milliseconds since 1970.
pub fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_millis())
}

/// Milliseconds of a clock that is never set, the same in all processes since the machine started.
pub fn monotonic_millis() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "clock_gettime fills the structure it is given")]
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// How far local time is from UTC at that second, in minutes. It reads the zone file's rules; callers keep the answer
/// for as long as a second lasts.
pub fn utc_offset_minutes(seconds: i64) -> i32 {
    #[expect(unsafe_code, reason = "localtime_r fills the zeroed structure it is given")]
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        let when = seconds as libc::time_t;
        if libc::localtime_r(&raw const when, &raw mut tm).is_null() {
            return 0;
        }
        tm
    };
    i32::try_from(tm.tm_gmtoff / 60).unwrap_or(0)
}
