//! What happened, in order: a fingerprint always, and lines when they are asked for.

use std::{fmt, time::Duration};

/// Lines of the end of a run that are kept when the whole is not printed.
const LINES_KEPT: usize = 60;

pub(crate) struct Trace {
    print: bool,
    last: std::collections::VecDeque<String>,
    fingerprint: u64,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { print, last: std::collections::VecDeque::new(), fingerprint: 0xcbf2_9ce4_8422_2325 }
    }

    /// Something rare, which is also worth its line in the summary of a failure.
    pub(crate) fn note(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.6} {what}", now.as_secs_f64());
        self.mix(line.as_bytes());
        if self.print {
            println!("{line}");
        }
        if self.last.len() >= LINES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Something frequent: formatted only when the trace is printed.
    pub(crate) fn step(&mut self, now: Duration, numbers: [usize; 3], what: impl FnOnce() -> String) {
        let micros = now.as_micros() as u64;
        self.mix(&micros.to_le_bytes());
        for number in numbers {
            self.mix(&number.to_le_bytes());
        }
        if self.print {
            println!("{:>12.6} {}", now.as_secs_f64(), what());
        }
    }

    pub(crate) const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// FNV-1a.
    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
