//! Reads a time by example, as Go's `time.Parse` does: the layout shows how 2006-01-02 15:04:05 would be written.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeZone};

/// One part of a layout.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Year,
    YearOfCentury,
    Month {
        padded: bool,
    },
    MonthName {
        long: bool,
    },
    Day {
        padded: bool,
    },
    Hour,
    Hour12,
    Minute {
        padded: bool,
    },
    Second {
        padded: bool,
    },
    Afternoon,
    WeekdayName {
        long: bool,
    },
    ZoneName,
    /// `zulu` means that `Z` stands for no offset.
    Offset {
        zulu: bool,
        colon: bool,
    },
    Literal(char),
}

/// Longer examples come before their own prefixes.
const EXAMPLES: [(&str, Part); 25] = [
    ("2006", Part::Year),
    ("January", Part::MonthName { long: true }),
    ("Jan", Part::MonthName { long: false }),
    ("Monday", Part::WeekdayName { long: true }),
    ("Mon", Part::WeekdayName { long: false }),
    ("MST", Part::ZoneName),
    ("Z07:00", Part::Offset { zulu: true, colon: true }),
    ("-07:00", Part::Offset { zulu: false, colon: true }),
    ("Z0700", Part::Offset { zulu: true, colon: false }),
    ("-0700", Part::Offset { zulu: false, colon: false }),
    ("01", Part::Month { padded: true }),
    ("02", Part::Day { padded: true }),
    ("_2", Part::Day { padded: false }),
    ("15", Part::Hour),
    ("03", Part::Hour12),
    ("04", Part::Minute { padded: true }),
    ("05", Part::Second { padded: true }),
    ("06", Part::YearOfCentury),
    ("PM", Part::Afternoon),
    ("pm", Part::Afternoon),
    ("1", Part::Month { padded: false }),
    ("2", Part::Day { padded: false }),
    ("3", Part::Hour12),
    ("4", Part::Minute { padded: false }),
    ("5", Part::Second { padded: false }),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What has been read so far. Without a date in the layout it is the first day of the year 0.
struct Reading<'a> {
    rest: &'a str,
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanosecond: u32,
    offset: Option<FixedOffset>,
}

/// Reads `text`; without a zone in it the time is in `zone`.
pub(super) fn parse(layout: &str, text: &str, zone: FixedOffset) -> Result<DateTime<FixedOffset>, String> {
    let failed = || format!("cannot parse {text:?} as {layout:?}");
    let mut reading = Reading {
        rest: text,
        year: 0,
        month: 1,
        day: 1,
        hour: 0,
        afternoon: None,
        minute: 0,
        second: 0,
        nanosecond: 0,
        offset: None,
    };
    for part in parts(layout) {
        reading.read(part).ok_or_else(failed)?;
    }
    if !reading.rest.is_empty() {
        return Err(format!("cannot parse {text:?} as {layout:?}: extra text: {:?}", reading.rest));
    }
    reading.time(zone).ok_or_else(failed)
}

fn parts(layout: &str) -> Vec<Part> {
    let mut rest = layout;
    let mut parts = Vec::new();
    while let Some(first) = rest.chars().next() {
        let example = EXAMPLES.iter().find(|(example, _)| rest.starts_with(example));
        let (length, part) =
            example.map_or((first.len_utf8(), Part::Literal(first)), |(text, part)| (text.len(), *part));
        parts.push(part);
        rest = rest.get(length..).unwrap_or_default();
    }
    parts
}

impl Reading<'_> {
    fn read(&mut self, part: Part) -> Option<()> {
        match part {
            Part::Year => self.year = self.number(4, 4)? as i32,
            Part::YearOfCentury => {
                let year = self.number(2, 2)? as i32;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Part::Month { padded } => self.month = self.number(1 + usize::from(padded), 2)?,
            Part::MonthName { long } => self.month = self.name(&MONTHS, long)? + 1,
            Part::Day { padded } => {
                if !padded {
                    self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
                }
                self.day = self.number(1 + usize::from(padded), 2)?;
            }
            Part::Hour => self.hour = self.number(1, 2)?,
            Part::Hour12 => {
                self.hour = self.number(1, 2)?;
                if self.hour > 12 {
                    return None;
                }
            }
            Part::Minute { padded } => self.minute = self.number(1 + usize::from(padded), 2)?,
            Part::Second { padded } => {
                self.second = self.number(1 + usize::from(padded), 2)?;
                self.fraction();
            }
            Part::Afternoon => {
                let half = self.rest.get(..2)?;
                self.afternoon = Some(match half {
                    "PM" | "pm" => true,
                    "AM" | "am" => false,
                    _ => return None,
                });
                self.rest = self.rest.get(2..)?;
            }
            Part::WeekdayName { long } => {
                self.name(&WEEKDAYS, long)?;
            }
            Part::ZoneName => self.zone_name()?,
            Part::Offset { zulu, colon } => self.offset(zulu, colon)?,
            Part::Literal(c) => self.rest = self.rest.strip_prefix(c)?,
        }
        Some(())
    }

    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().ok()
    }

    /// Seconds may carry a fraction even if the layout shows none.
    fn fraction(&mut self) {
        let Some(after) = self.rest.strip_prefix(['.', ',']) else { return };
        let count = after.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return;
        }
        let (digits, rest) = after.split_at(count);
        self.rest = rest;
        let nanoseconds: String = digits.chars().chain("000000000".chars()).take(9).collect();
        self.nanosecond = nanoseconds.parse().unwrap_or_default();
    }

    fn name(&mut self, names: &[&str], long: bool) -> Option<u32> {
        for (index, name) in names.iter().enumerate() {
            let name = if long { name } else { name.get(..3)? };
            if self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
                self.rest = self.rest.get(name.len()..)?;
                return Some(index as u32);
            }
        }
        None
    }

    /// An abbreviation says nothing about the offset, unless it is `GMT+3`; without one it is taken for UTC.
    fn zone_name(&mut self) -> Option<()> {
        let length = self.rest.bytes().take_while(u8::is_ascii_uppercase).count();
        if !(3..=4).contains(&length) {
            return None;
        }
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        let mut hours = 0;
        if name == "GMT" && rest.starts_with(['+', '-']) {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            self.rest = rest.get(1..)?;
            hours = sign * self.number(1, 2)? as i32;
        }
        self.offset = FixedOffset::east_opt(hours * 3600);
        self.offset.map(|_| ())
    }

    fn offset(&mut self, zulu: bool, colon: bool) -> Option<()> {
        if zulu && let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            self.offset = FixedOffset::east_opt(0);
            return Some(());
        }
        let sign = if self.rest.starts_with('-') { -1 } else { 1 };
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let hours = self.number(2, 2)?;
        if colon {
            self.rest = self.rest.strip_prefix(':')?;
        }
        let minutes = self.number(2, 2)?;
        self.offset = FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60) as i32);
        self.offset.map(|_| ())
    }

    fn time(&self, zone: FixedOffset) -> Option<DateTime<FixedOffset>> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            Some(_) | None => self.hour,
        };
        let naive = NaiveDate::from_ymd_opt(self.year, self.month, self.day)?.and_hms_nano_opt(
            hour,
            self.minute,
            self.second,
            self.nanosecond,
        )?;
        self.offset.unwrap_or(zone).from_local_datetime(&naive).single()
    }
}
