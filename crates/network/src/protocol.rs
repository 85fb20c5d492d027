//! The stream protocols and their names, which contain the network's id so that networks never mix.

use crate::{Channel, NetworkError};
use bxp_types::NetworkId;
use libp2p::{
    Stream, StreamProtocol,
    core::UpgradeInfo,
    core::upgrade::{InboundUpgrade, OutboundUpgrade},
};
use std::{
    convert::Infallible,
    future::{Ready, ready},
};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages of one channel, both ways, as long as the connection lasts.
    Channel(Channel),
    /// Signs of life, both ways, as long as the connection lasts.
    Pulse,
    /// One request and its answer.
    Request,
    /// A hand-over of sealed blocks.
    Blocks,
    /// A fetch of one sealed block.
    Fetch,
}

impl Kind {
    /// The streams that every working connection has exactly once.
    pub(crate) const LASTING: [Self; 4] = [
        Self::Channel(Channel::Consensus),
        Self::Channel(Channel::Bodies),
        Self::Channel(Channel::Attestation),
        Self::Pulse,
    ];

    const ALL: [Self; 7] = [
        Self::Channel(Channel::Consensus),
        Self::Channel(Channel::Bodies),
        Self::Channel(Channel::Attestation),
        Self::Pulse,
        Self::Request,
        Self::Blocks,
        Self::Fetch,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Channel(channel) => channel.name(),
            Self::Pulse => "pulse",
            Self::Request => "request",
            Self::Blocks => "blocks",
            Self::Fetch => "fetch",
        }
    }
}

/// A kind of stream with its full name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    kind: Kind,
    name: StreamProtocol,
}

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.name.as_ref()
    }
}

/// The protocols of one network.
#[derive(Clone, Debug)]
pub(crate) struct Protocols(Vec<Named>);

impl Protocols {
    pub(crate) fn of(network: NetworkId) -> Result<Self, NetworkError> {
        let network: String = network.to_string().chars().take(16).collect();
        let named = |kind: Kind| {
            StreamProtocol::try_from_owned(format!("/bxp/{network}/{}/1", kind.name()))
                .map(|name| Named { kind, name })
                .map_err(|error| NetworkError::Transport(error.to_string()))
        };
        Kind::ALL.into_iter().map(named).collect::<Result<_, _>>().map(Self)
    }

    /// All of them: what this node takes.
    pub(crate) fn all(&self) -> Offer {
        Offer(self.0.clone())
    }

    /// One of them: what a stream is opened for.
    pub(crate) fn one(&self, kind: Kind) -> Offer {
        Offer(self.0.iter().filter(|named| named.kind == kind).cloned().collect())
    }
}

/// Negotiates one of some protocols on a new stream, and nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Offer(Vec<Named>);

impl UpgradeInfo for Offer {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Kind, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, named: Named) -> Self::Future {
        ready(Ok((named.kind, stream)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, _: Named) -> Self::Future {
        ready(Ok(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_network() {
        let protocols = Protocols::of(NetworkId([0xab; 32])).unwrap();
        let names: Vec<_> = protocols.all().protocol_info().map(|named| named.as_ref().to_owned()).collect();
        assert_eq!(
            names,
            [
                "/bxp/abababababababab/consensus/1",
                "/bxp/abababababababab/bodies/1",
                "/bxp/abababababababab/attestation/1",
                "/bxp/abababababababab/pulse/1",
                "/bxp/abababababababab/request/1",
                "/bxp/abababababababab/blocks/1",
                "/bxp/abababababababab/fetch/1",
            ]
        );
    }
}
