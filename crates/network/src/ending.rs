//! How a session ends: once, with one reason, from whichever side notices first.

use std::sync::OnceLock;
use tokio_util::sync::CancellationToken;

/// Why a connection to a validator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The connection or a channel was closed, here or there.
    Closed,
    /// The channels did not come to work in time.
    Handshake,
    /// The peer speaks another network's protocols.
    OtherNetwork,
    /// The peer read too slowly.
    Overflow,
    /// The peer sent what the protocol does not allow.
    Violation,
    /// Nothing has come for a while: the connection is dead.
    Silent,
    /// The peer opened a newer connection.
    Replaced,
    /// This node stops.
    Shutdown,
}

impl Reason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Handshake => "handshake",
            Self::OtherNetwork => "other-network",
            Self::Overflow => "overflow",
            Self::Violation => "violation",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The end of one session.
#[derive(Debug)]
pub(crate) struct Ending {
    token: CancellationToken,
    reason: OnceLock<Reason>,
}

impl Ending {
    /// A session that ends at the latest when `stop` is cancelled.
    pub(crate) fn within(stop: &CancellationToken) -> Self {
        Self { token: stop.child_token(), reason: OnceLock::new() }
    }

    /// Ends the session, unless it has ended.
    pub(crate) fn end(&self, reason: Reason) {
        // The first reason is the one that is told.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Reason {
        self.token.cancelled().await;
        self.reason.get().copied().unwrap_or(Reason::Shutdown)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.token.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = CancellationToken::new();
        let ending = Ending::within(&stop);
        ending.end(Reason::Overflow);
        ending.end(Reason::Closed);
        stop.cancel();
        assert_eq!(ending.ended().await, Reason::Overflow);

        let ending = Ending::within(&stop);
        assert!(ending.is_ended());
        assert_eq!(ending.ended().await, Reason::Shutdown);
    }
}
