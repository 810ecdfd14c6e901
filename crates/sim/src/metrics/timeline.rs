//! Counters as a scraper sees them (by scrape) and as an aggregating collector sees them (by second).

/// Upper bounds in milliseconds of Istio's request duration histogram; a bucket without bound follows.
pub(crate) const BUCKETS_MS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// The counters of one series at one scrape, since the beginning.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) duration_ms: f64,
    /// Requests by duration, each in one bucket only.
    pub(crate) buckets: [u64; BUCKETS_MS.len() + 1],
}

impl Totals {
    fn add(&mut self, duration_ms: f64, bucket: usize) {
        self.requests += 1;
        self.duration_ms += duration_ms;
        self.buckets[bucket] += 1;
    }

    /// How many requests took at most the bound of bucket `index`.
    pub(crate) fn at_most(&self, index: usize) -> u64 {
        self.buckets.iter().take(index + 1).sum()
    }
}

/// The totals by scrape number; only scrapes at which something changed are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    changes: Vec<(i64, Totals)>,
}

impl Timeline {
    /// Counts a request that is visible from scrape number `scrape` on.
    pub(crate) fn add(&mut self, scrape: i64, duration_ms: f64) {
        let bucket = BUCKETS_MS.iter().position(|bound| duration_ms <= *bound).unwrap_or(BUCKETS_MS.len());
        if let Some((at, totals)) = self.changes.last_mut()
            && *at == scrape
        {
            return totals.add(duration_ms, bucket);
        }
        // Streams that share a series are played one after the other, so a request may belong to an earlier scrape.
        let position = self.changes.partition_point(|(at, _)| *at < scrape);
        if self.changes.get(position).is_none_or(|(at, _)| *at != scrape) {
            let before = position.checked_sub(1).map(|index| self.changes[index].1.clone()).unwrap_or_default();
            self.changes.insert(position, (scrape, before));
        }
        for (_, totals) in &mut self.changes[position..] {
            totals.add(duration_ms, bucket);
        }
    }

    /// The number of the first scrape that sees a request; the largest number if none does.
    pub(crate) fn first(&self) -> i64 {
        self.changes.first().map_or(i64::MAX, |(scrape, _)| *scrape)
    }

    /// The totals at scrape number `scrape`; `None` before the first request.
    pub(crate) fn at(&self, scrape: i64) -> Option<&Totals> {
        let after = self.changes.partition_point(|(at, _)| *at <= scrape);
        Some(&self.changes[after.checked_sub(1)?].1)
    }
}

/// What one service did in some time, as SkyWalking aggregates it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cell {
    pub(crate) calls: u64,
    pub(crate) succeeded: u64,
    /// Succeeded within the Apdex threshold.
    pub(crate) satisfied: u64,
    /// Succeeded within four times the threshold, but not within the threshold.
    pub(crate) tolerated: u64,
    /// Sum of whole milliseconds.
    pub(crate) latency_ms: u64,
    /// Each call's latency in steps of [`LATENCY_STEP_MS`], in no order.
    pub(crate) latencies: Vec<u32>,
}

/// SkyWalking computes percentiles with this precision.
pub(crate) const LATENCY_STEP_MS: u64 = 10;

/// The Apdex threshold of SkyWalking's default settings.
pub(crate) const APDEX_THRESHOLD_MS: u64 = 500;

/// What one service did, by second since 1970.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seconds {
    cells: Vec<(i64, Cell)>,
}

impl Seconds {
    pub(crate) fn add(&mut self, second: i64, status: u16, duration_ms: f64) {
        let last = self.cells.len().wrapping_sub(1);
        let index = match self.cells.last() {
            Some((at, _)) if *at == second => last,
            Some(_) | None => {
                let position = self.cells.partition_point(|(at, _)| *at < second);
                if self.cells.get(position).is_none_or(|(at, _)| *at != second) {
                    self.cells.insert(position, (second, Cell::default()));
                }
                position
            }
        };
        self.cells[index].1.add(status, duration_ms);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The sum over the seconds [from, to).
    pub(crate) fn sum(&self, from: i64, to: i64) -> Cell {
        let begin = self.cells.partition_point(|(at, _)| *at < from);
        let mut sum = Cell::default();
        for (_, cell) in self.cells[begin..].iter().take_while(|(at, _)| *at < to) {
            sum.merge(cell);
        }
        sum
    }
}

impl Cell {
    pub(crate) fn add(&mut self, status: u16, duration_ms: f64) {
        let latency = duration_ms.max(0.0) as u64;
        let succeeded = (200..400).contains(&status);
        self.calls += 1;
        self.latency_ms += latency;
        self.latencies.push(u32::try_from(latency / LATENCY_STEP_MS).unwrap_or(u32::MAX));
        if succeeded {
            self.succeeded += 1;
            self.satisfied += u64::from(latency <= APDEX_THRESHOLD_MS);
            self.tolerated += u64::from((APDEX_THRESHOLD_MS + 1..=4 * APDEX_THRESHOLD_MS).contains(&latency));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { calls, succeeded, satisfied, tolerated, latency_ms, latencies } = other;
        self.calls += calls;
        self.succeeded += succeeded;
        self.satisfied += satisfied;
        self.tolerated += tolerated;
        self.latency_ms += latency_ms;
        self.latencies.extend_from_slice(latencies);
    }
}
