//! Who may ask, and how much.

use super::{clients::ClientLimits, hosts::Hosts};
use crate::RpcError;
use http::{HeaderName, Request, header};
use std::net::SocketAddr;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

/// Hosts that mean this machine.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost:*", "127.0.0.1:*", "[::1]:*"];
/// Origins of pages that this machine serves, up to the port.
const LOOPBACK_ORIGINS: [&str; 6] = [
    "http://localhost",
    "https://localhost",
    "http://127.0.0.1",
    "https://127.0.0.1",
    "http://[::1]",
    "https://[::1]",
];

/// Which hosts and pages the server answers. Programs other than browsers name the host and no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Values of the `Host` header that are answered, as `host:port` or `host:*`; `host:80`, `host:443` and `host` also
    /// where a request names no port. A page of a hostile site whose name resolves to this machine (DNS rebinding) is
    /// refused, since it names its own host. Empty: any host.
    pub hosts: Vec<String>,
    /// Pages, by their origin such as `https://wallet.example`, whose scripts may read answers and open WebSockets. Pages of
    /// this machine always may.
    pub origins: Vec<String>,
    /// How much one client may ask.
    pub clients: ClientLimits,
}

impl Policy {
    /// The policy for a server on `address`: a server on loopback answers requests that name loopback, one on an
    /// address of the machine also those that name the address, and one on all addresses answers any. Only pages of
    /// this machine may read answers.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let mut hosts: Vec<String> = LOOPBACK_HOSTS.map(str::to_owned).to_vec();
        if address.ip().is_unspecified() {
            hosts.clear();
        } else if !address.ip().is_loopback() {
            hosts.push(format!("{address}"));
        }
        Self { hosts, origins: Vec::new(), clients: ClientLimits::default() }
    }

    /// Also answers requests that name these hosts, and lets these pages read answers. A server on all addresses, which
    /// answers any host otherwise, then answers these and loopback alone, where there are hosts.
    #[must_use]
    pub fn also(mut self, hosts: &[String], origins: &[String]) -> Self {
        if self.hosts.is_empty() && !hosts.is_empty() {
            self.hosts = LOOPBACK_HOSTS.map(str::to_owned).to_vec();
        }
        self.hosts.extend_from_slice(hosts);
        self.origins.extend_from_slice(origins);
        self
    }

    /// Checks hosts before they become a part of a policy.
    ///
    /// # Errors
    /// [`RpcError::Host`] for the first that is none.
    pub fn check_hosts(hosts: &[String]) -> Result<(), RpcError> {
        Hosts::read(hosts).map(|_| ())
    }

    /// Checks pages before they become a part of a policy.
    ///
    /// # Errors
    /// [`RpcError::Origin`] for the first that is named otherwise than browsers do.
    pub fn check_origins(origins: &[String]) -> Result<(), RpcError> {
        match origins.iter().find(|origin| !is_origin(origin)) {
            None => Ok(()),
            Some(origin) => Err(RpcError::Origin { origin: origin.clone() }),
        }
    }

    /// Whether a request is that of a page that wants a WebSocket and may not have one. A browser asks nobody before it opens
    /// one, and lets its page read all that comes; but it names the page.
    pub(super) fn refuses<B>(&self, request: &Request<B>) -> bool {
        let header = |name: HeaderName| request.headers().get(name).map(http::HeaderValue::as_bytes);
        header(header::UPGRADE).is_some() && header(header::ORIGIN).is_some_and(|origin| !self.admits(origin))
    }

    /// Whether scripts of the page at `origin` may read answers.
    fn admits(&self, origin: &[u8]) -> bool {
        let origin = String::from_utf8_lossy(origin);
        let loopback = LOOPBACK_ORIGINS
            .iter()
            .any(|own| origin.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')));
        let origin = without_usual_port(&origin);
        loopback || self.origins.iter().any(|allowed| without_usual_port(allowed) == origin)
    }

    /// The headers that tell browsers (the Fetch standard's CORS protocol).
    pub(super) fn cors(&self) -> CorsLayer {
        let policy = self.clone();
        CorsLayer::new()
            .allow_methods(Any)
            .allow_headers(Any)
            .allow_origin(AllowOrigin::predicate(move |origin, _| policy.admits(origin.as_bytes())))
    }
}

fn is_origin(origin: &str) -> bool {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|host| {
        // What follows the last colon is a port, unless the colon stands in an IPv6 address.
        let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
            && !host.contains(['/', '@', '?', '#', '*'])
            && port.is_none_or(|port| port.parse::<u16>().is_ok())
    })
}

/// An origin as browsers name it: without the port that its scheme has where none is said.
fn without_usual_port(origin: &str) -> &str {
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_and_named_ones_are_admitted() {
        let mut policy = Policy::of("127.0.0.1:8545".parse().unwrap());
        policy.origins.push("https://wallet.example".to_owned());
        for (origin, admitted) in [
            ("http://localhost:5173", true),
            ("http://127.0.0.1", true),
            ("https://[::1]:8443", true),
            ("https://wallet.example", true),
            ("http://wallet.example", false),
            ("http://localhost.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(policy.admits(origin.as_bytes()), admitted, "{origin}");
        }
    }

    #[test]
    fn a_page_with_the_port_of_its_scheme_is_the_one_without() {
        for (configured, origin, admitted) in [
            ("https://wallet.example:443", "https://wallet.example", true),
            ("https://wallet.example", "https://wallet.example:443", true),
            ("http://wallet.example:80", "http://wallet.example", true),
            ("http://wallet.example:443", "http://wallet.example", false),
            ("https://wallet.example:80", "https://wallet.example", false),
            ("https://wallet.example:443", "http://wallet.example", false),
            ("https://[2001:db8::443]", "https://[2001:db8::443]:443", true),
        ] {
            let policy = Policy::of("127.0.0.1:8545".parse().unwrap()).also(&[], &[configured.to_owned()]);
            assert_eq!(policy.admits(origin.as_bytes()), admitted, "{configured} {origin}");
        }
    }

    #[test]
    fn pages_are_named_as_browsers_name_them() {
        let named = |origin: &str| {
            let policy = Policy::of("127.0.0.1:8545".parse().unwrap()).also(&[], &[origin.to_owned()]);
            Policy::check_origins(&policy.origins).map_err(|error| error.to_string())
        };
        for right in ["https://wallet.example", "http://10.1.2.3:3000", "https://[2001:db8::1]:8443"] {
            assert_eq!(named(right), Ok(()));
        }
        for wrong in [
            "*",
            "wallet.example",
            "https://wallet.example/",
            "https://Wallet.example",
            "https://wallet.example:",
            "https://wallet.example:https",
            "https://",
            "null",
        ] {
            assert!(named(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn named_hosts_are_added_and_end_that_any_is_answered() {
        let host = ["node.example:8545".to_owned()];
        let hosts = |address: &str| Policy::of(address.parse().unwrap()).also(&host, &[]).hosts;
        assert_eq!(hosts("127.0.0.1:8545"), [LOOPBACK_HOSTS.as_slice(), &["node.example:8545"]].concat());
        assert_eq!(hosts("0.0.0.0:8545"), hosts("127.0.0.1:8545"));
    }

    #[test]
    fn the_host_check_follows_the_address() {
        let hosts = |address: &str| Policy::of(address.parse().unwrap()).hosts;
        assert_eq!(hosts("127.0.0.1:8545"), LOOPBACK_HOSTS);
        assert_eq!(hosts("10.1.2.3:8545").last().unwrap(), "10.1.2.3:8545");
        assert!(hosts("0.0.0.0:8545").is_empty());
    }
}
