//! Where a call goes: scheme, host and port.

use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use std::mem;

/// Where connections lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    scheme: Scheme,
    authority: Authority,
}

impl Place {
    /// Takes the place out of an address, which keeps path and query. None: the address names no place.
    pub(super) fn taken_from(address: &mut Uri) -> Option<Self> {
        let parts = mem::take(address).into_parts();
        *address = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
        Some(Self { scheme: parts.scheme?, authority: parts.authority? })
    }

    /// The address of this path here.
    pub(super) fn address(&self, path: Uri) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = path.into_parts().path_and_query.or_else(|| Some(PathAndQuery::from_static("/")));
        Uri::from_parts(parts).expect("scheme, host and path make an address")
    }

    /// What `Host` says of it: no port where it is the scheme's own (RFC 9110, 7.2).
    pub(super) fn host(&self) -> HeaderValue {
        let own = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let whole = self.authority.as_str();
        let host_and_port = whole.rsplit_once('@').map_or(whole, |(_credentials, behind)| behind);
        let is_own = self.authority.port_u16() == Some(own);
        let host = if is_own { self.authority.host() } else { host_and_port };
        HeaderValue::from_str(host).expect("a host has visible letters only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_apart_and_together() {
        for (address, host, path) in [
            ("http://a.example", "a.example", "/"),
            ("http://a.example:80/x", "a.example", "/x"),
            ("http://a.example:443/x?y=%20", "a.example:443", "/x?y=%20"),
            ("https://a.example:443?y", "a.example", "/?y"),
            ("https://a.example:80", "a.example:80", "/"),
            ("http://user:secret@a.example:8080/", "a.example:8080", "/"),
            ("http://user:secret@a.example:80/", "a.example", "/"),
            ("https://[::1]:8443/", "[::1]:8443", "/"),
        ] {
            let mut uri: Uri = address.parse().expect("an address");
            let whole = uri.clone();
            let place = Place::taken_from(&mut uri).expect("a place");
            assert_eq!((place.host().to_str().expect("text"), uri.to_string().as_str()), (host, path), "{address}");
            assert_eq!(place.address(uri), whole, "{address}");
        }
    }

    #[test]
    fn a_path_alone_is_no_place() {
        let mut uri = Uri::from_static("/x?y");
        assert_eq!(Place::taken_from(&mut uri), None);
        assert_eq!(uri, "/x?y");
    }
}
