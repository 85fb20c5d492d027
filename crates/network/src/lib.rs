//! The network manager: permissioned libp2p, bounded channels, block exchange, residency fence.
