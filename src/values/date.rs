//! The calendar under the dates: seconds since 1970 to year, month, day and back.

/// A moment in UTC, as the fields that dates are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 … 12
    pub month: u8,
    /// 1 … 31
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0: Sunday
    pub weekday: u8,
}

pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// 9999-12-31 23:59:59, where nginx stops too.
const LAST: i64 = 2_932_896 * 86400 + 86399;

impl Civil {
    /// Times before 1970 read as 1970, times after the year 9999 as its last second.
    pub fn from_unix(time: i64) -> Self {
        let time = time.clamp(0, LAST);
        let (days, rest) = (time / 86400, time % 86400);
        // Years start on 1 March, so that the leap day is the last of a year; eras of 400 years.
        let shifted = days + 719_468;
        let (era, doe) = (shifted / 146_097, shifted % 146_097);
        let yoe = (doe - doe / 1460 + doe / 36524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Self {
            year: yoe + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (doy - (153 * mp + 2) / 5 + 1) as u8,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }

    /// `Jan` … `Dec`.
    pub fn month_name(&self) -> &'static str {
        MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("Jan")
    }

    /// `Sun` … `Sat`.
    pub fn weekday_name(&self) -> &'static str {
        const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        NAMES.get(usize::from(self.weekday)).copied().unwrap_or("Sun")
    }
}

/// Fields to seconds since 1970; `None` when they name no moment. Day 0 passes as the day before the 1st, as in nginx.
pub(super) fn to_unix(
    year: i64,
    month: u8,
    day: i64,
    (hour, minute, second): (i64, i64, i64),
) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || day > longest || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (y, m) = if month <= 2 { (year - 1, i64::from(month) + 9) } else { (year, i64::from(month) - 3) };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86400 + hour * 3600 + minute * 60 + second)
}

/// Two decimal digits.
pub(super) fn push2(out: &mut Vec<u8>, n: i64) {
    out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]);
}

/// ` 09:11:44 GMT`
pub(super) fn push_clock(out: &mut Vec<u8>, t: &Civil) {
    for (before, n) in [(b' ', t.hour), (b':', t.minute), (b':', t.second)] {
        out.push(before);
        push2(out, i64::from(n));
    }
    out.extend_from_slice(b" GMT");
}
