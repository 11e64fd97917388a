//! [`RateLimitedCodeLog`]: log lines of which each message code causes at most one per pause.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::written::{Due, Written};

/// The maximum number of codes whose last log line is remembered. Above it, no line is written
/// until the oldest codes have expired: a peer that goes through all codes must not fill the log.
const REMEMBERED: usize = 16;

/// The last line of each code.
#[derive(Debug)]
pub(crate) struct RateLimitedCodeLog {
    pause: Duration,
    codes: Mutex<Codes>,
}

#[derive(Debug, Default)]
struct Codes {
    written: HashMap<u16, Written>,
    /// Suppressed lines of codes that are not remembered. The next line reports them with its own.
    others: u64,
}

impl RateLimitedCodeLog {
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, codes: Mutex::default() }
    }

    /// Decides about a line about this code.
    pub(crate) fn decide(&self, code: u16, now: Instant) -> Due {
        let Codes { written, others } =
            &mut *self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if !written.contains_key(&code) && written.len() >= REMEMBERED {
            // Expired codes make room. Their suppressed lines are still to be reported.
            written.retain(|_, line| {
                let stays = line.is_recent(now, self.pause);
                *others += if stays { 0 } else { line.suppressed };
                stays
            });
            if written.len() >= REMEMBERED {
                *others += 1;
                return Due::Later;
            }
        }
        match written.entry(code).or_default().decide(now, self.pause) {
            Due::Now { suppressed } => {
                let suppressed = suppressed.unwrap_or(0) + std::mem::take(others);
                Due::Now { suppressed: (suppressed > 0).then_some(suppressed) }
            }
            Due::Later => Due::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[test]
    fn a_code_is_logged_once_per_pause_and_a_flood_of_codes_hardly() {
        let (log, now) = (RateLimitedCodeLog::new(PAUSE), Instant::now());
        assert_eq!(log.decide(300, now), Due::Now { suppressed: None });
        assert_eq!(log.decide(300, now), Due::Later);
        let is_written = |code: &u16| log.decide(*code, now) != Due::Later;
        let written = (0..10_000).filter(is_written).count();
        assert_eq!(written, REMEMBERED - 1);
        // No line is lost from the count: two of code 300, and those of codes without room.
        let later = now + PAUSE;
        let mut suppressed = 0;
        for code in [300, 20_000, 301] {
            let Due::Now { suppressed: lines } = log.decide(code, later) else {
                panic!("a line about {code} is due")
            };
            suppressed += lines.unwrap_or(0);
        }
        assert_eq!(suppressed as usize, 2 + (10_000 - 1 - written));
    }
}
