//! Who looks on while the gateway answers. The tests hold every answer against the API document so.

use http::HeaderMap;

/// The gateway's answer to a simulated system's POST, as it came over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Where it was posted to.
    pub url: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a str,
}

/// Sees every answer that a sandbox's systems get from the gateway.
pub trait Witness: Send + Sync + 'static {
    /// One of them came.
    fn sees(&self, answered: &Answered<'_>);

    /// The sandbox is at its end. In a test, the moment to fail it.
    fn concludes(&self) {}
}

/// Nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Witness for Nobody {
    fn sees(&self, _: &Answered<'_>) {}
}
