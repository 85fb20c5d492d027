//! Something that does work at a rate: a machine's cores, or one direction of its link.
//!
//! It is a fluid: work is done in the order of its coming, with all that the server has, and urgent work before other
//! work that waits. Work that is overtaken keeps the end that it was given; whatever comes after pays for it.

use std::time::Duration;

/// A server in virtual time.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// How much it does at once: cores, or 1 for a link.
    width: f64,
    /// When all that is urgent is done, and when everything is.
    urgent_free: Duration,
    free: Duration,
    /// All the work that it has taken on.
    pub(super) busy: Duration,
}

impl Server {
    pub(super) const fn new(width: f64) -> Self {
        Self { width, urgent_free: Duration::ZERO, free: Duration::ZERO, busy: Duration::ZERO }
    }

    pub(super) const fn width(&self) -> f64 {
        self.width
    }

    /// Takes on `work` that at most `threads` can share and that begins at `from` or later, and says when it is done. Until
    /// then the server does what else there is.
    pub(super) fn serve(
        &mut self,
        now: Duration,
        from: Duration,
        work: Duration,
        threads: f64,
        urgent: bool,
    ) -> Duration {
        let share = work.div_f64(self.width);
        self.busy += work;
        self.free = self.free.max(now) + share;
        let alone = from.max(now) + work.div_f64(threads.min(self.width));
        if urgent {
            self.urgent_free = self.urgent_free.max(now) + share;
            alone.max(self.urgent_free)
        } else {
            alone.max(self.free)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_never_done_faster_than_the_server_is_wide() {
        let second = Duration::from_secs(1);
        let mut server = Server::new(4.0);
        assert_eq!(server.serve(Duration::ZERO, Duration::ZERO, second, 1.0, false), second, "one thread");
        assert_eq!(
            server.serve(Duration::ZERO, Duration::ZERO, 4 * second, 4.0, false),
            5 * second / 4,
            "behind it"
        );
        assert_eq!(
            server.serve(Duration::ZERO, Duration::ZERO, second, 1.0, true),
            second,
            "urgent work overtakes"
        );
        assert_eq!(
            server.serve(Duration::ZERO, Duration::ZERO, second, 4.0, false),
            7 * second / 4,
            "and is paid for"
        );
        assert_eq!(server.busy, 7 * second);
    }
}
