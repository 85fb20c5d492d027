//! Who is in the network: the genesis validators as libp2p sees them.

use crate::{NetworkConfig, NetworkError};
use bxp_types::{Genesis, Jurisdiction, NetworkId, ValidatorEntry, ValidatorIndex};
use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey, ed25519},
};
use parking_lot::RwLock;
use std::collections::HashMap;

/// One validator.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) index: ValidatorIndex,
    pub(crate) id: PeerId,
    /// `host:port`.
    pub(crate) address: String,
}

/// The validators of one network, seen from one of them.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) network: NetworkId,
    pub(crate) me: Peer,
    peers: Vec<Peer>,
    by_id: HashMap<PeerId, ValidatorIndex>,
    /// Where each stands now; none for one that has left.
    countries: RwLock<Vec<Option<Jurisdiction>>>,
}

impl Roster {
    /// Reads genesis and checks that `config` is one of its validators; returns the node's identity too.
    pub(crate) fn new(config: &NetworkConfig) -> Result<(Self, Keypair), NetworkError> {
        let peers = peers_of(&config.genesis)?;
        let me =
            peers.get(usize::from(config.me.0)).cloned().ok_or(NetworkError::UnknownValidator(config.me))?;
        // libp2p wipes the copy it takes.
        let mut seed = *config.signing_key.expose();
        let identity =
            Keypair::ed25519_from_bytes(&mut seed).map_err(|_| NetworkError::ForeignKey(config.me))?;
        if identity.public().to_peer_id() != me.id {
            return Err(NetworkError::ForeignKey(config.me));
        }
        let by_id = peers.iter().map(|peer| (peer.id, peer.index)).collect();
        let countries = config.genesis.validators.iter().map(|entry| Some(entry.jurisdiction)).collect();
        let countries = RwLock::new(countries);
        Ok((Self { network: config.genesis.network_id(), me, peers, by_id, countries }, identity))
    }

    /// How many validators there are, with this one.
    pub(crate) fn count(&self) -> usize {
        self.peers.len()
    }

    /// The validator at `index`.
    pub(crate) fn peer(&self, index: ValidatorIndex) -> Option<&Peer> {
        self.peers.get(usize::from(index.0))
    }

    /// The country that a validator stands in now.
    pub(crate) fn country(&self, index: ValidatorIndex) -> Option<Jurisdiction> {
        self.countries.read().get(usize::from(index.0)).copied().flatten()
    }

    /// From now on the validators stand where `country` says.
    pub(crate) fn set_countries(&self, country: impl Fn(ValidatorIndex) -> Option<Jurisdiction>) {
        let countries = self.peers.iter().map(|peer| country(peer.index)).collect();
        *self.countries.write() = countries;
    }

    /// The other validator whose identity is `id`.
    pub(crate) fn other(&self, id: &PeerId) -> Option<&Peer> {
        self.by_id.get(id).filter(|&&index| index != self.me.index).and_then(|&index| self.peer(index))
    }

    /// The validators that this one dials: those of higher index. One side only dials, so that there is one
    /// connection between two validators without an agreement on which of two to keep.
    pub(crate) fn dialled(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| peer.index > self.me.index)
    }
}

fn peers_of(genesis: &Genesis) -> Result<Vec<Peer>, NetworkError> {
    (0_u16..)
        .map(ValidatorIndex)
        .zip(&genesis.validators)
        .map(|(index, entry)| peer_of(index, entry))
        .collect()
}

fn peer_of(index: ValidatorIndex, entry: &ValidatorEntry) -> Result<Peer, NetworkError> {
    let key = ed25519::PublicKey::try_from_bytes(&entry.public_key.0)
        .map_err(|_| NetworkError::PublicKey(index))?;
    let address = entry.p2p_address.clone();
    let well_formed = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
    if !well_formed {
        return Err(NetworkError::Address { validator: index, address });
    }
    Ok(Peer { index, id: PublicKey::from(key).to_peer_id(), address })
}
