//! Under which hosts the server answers.

use crate::RpcError;
use http::Request;
use jsonrpsee::server::middleware::http::{Authority, Port};

/// Ports that clients leave out of the `Host` header, being those of http and https. Which of the two a client speaks
/// to a proxy before the server, the server does not learn.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// The hosts that requests may name; any where there are none.
#[derive(Debug)]
pub(super) struct Hosts(Vec<Authority>);

impl Hosts {
    /// # Errors
    /// [`RpcError::Host`] for the first that is none.
    pub(super) fn read(hosts: &[String]) -> Result<Self, RpcError> {
        hosts.iter().map(|host| read(host)).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether a request is answered. One that names no host, or several, is left to the server, for which it is
    /// malformed.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> bool {
        self.0.is_empty()
            || Authority::from_http_request(request)
                .is_none_or(|named| self.0.iter().any(|host| covers(host, &named)))
    }
}

fn read(host: &str) -> Result<Authority, RpcError> {
    let alone = !host.contains(['/', '@']);
    Authority::try_from(host)
        .ok()
        .filter(|read| alone && !read.host.contains('*'))
        .ok_or_else(|| RpcError::Host { host: host.to_owned() })
}

/// Whether a request that names `named` is one for `host`. A usual port and none are the same.
fn covers(host: &Authority, named: &Authority) -> bool {
    let port = match (host.port, named.port) {
        (Port::Any, _) => true,
        (Port::Default, Port::Fixed(port)) | (Port::Fixed(port), Port::Default) => {
            USUAL_PORTS.contains(&port)
        }
        (port, named) => port == named,
    };
    port && host.host.eq_ignore_ascii_case(&named.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[&str]) -> Result<Hosts, RpcError> {
        Hosts::read(&hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn requests_name_a_host_with_its_port_unless_it_is_a_usual_one() {
        for (host, named, answered) in [
            ("node.example:8545", "node.example:8545", true),
            ("node.example:8545", "node.example:8546", false),
            ("node.example:8545", "node.example", false),
            ("node.example:443", "node.example", true),
            ("node.example:443", "node.example:443", true),
            ("node.example:443", "node.example:80", false),
            ("node.example:80", "node.example", true),
            ("node.example", "node.example", true),
            ("node.example", "node.example:443", true),
            ("node.example", "node.example:8545", false),
            ("node.example:*", "Node.example:1", true),
            ("node.example:*", "node.example", true),
            ("node.example:*", "other.example", false),
            ("node.example:*", "node.example.evil.example", false),
            ("[::1]:*", "[::1]:8545", true),
            ("127.0.0.1:80", "127.0.0.1", true),
        ] {
            let request = Request::builder().header("host", named).body(()).unwrap();
            assert_eq!(hosts(&[host]).unwrap().answer(&request), answered, "{host} {named}");
            assert!(hosts(&[]).unwrap().answer(&request), "{named}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_at_most() {
        for wrong in [
            "",
            "*",
            "*:*",
            "*.node.example:*",
            "https://node.example",
            "node.example/rpc",
            "node.example:",
            "node.example:80800",
            "me@node.example",
        ] {
            let refused = hosts(&["node.example:*", wrong]).unwrap_err();
            assert!(matches!(refused, RpcError::Host { host } if host == wrong), "{wrong}");
        }
    }
}
