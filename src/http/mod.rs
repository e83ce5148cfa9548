//! The edge: from a socket to [`Intake`](crate::forward::Intake), and from its summary to an answer.
//!
//! Sees only `forward`'s intake, how reloading goes, `config`'s server table, the list of providers and `domain`. Knows no sender's
//! body, no signature, no upstream.
//!
//! Bytes come in through `server` (connections and their limits; `socket` is one's bytes). Each port is an
//! [`axum::Router`], `router` for webhooks and `operations` for the second one (with the `status` page), inside the tower layers of `layers`:
//! id, span, metrics, panics and, for webhooks, load shedding. `body` makes a request into what the intake takes, within the
//! body's limits. `answer` is everything that can be said back: a handler or a layer returns a
//! `Problem`, and `layers` writes it out with the request's id. `openapi` documents it; `shutdown`
//! is the order in which all of it ends.

mod answer;
mod body;
mod layers;
pub mod openapi;
mod operations;
mod router;
mod server;
mod shutdown;
mod socket;
mod status;

pub(crate) use status::words;

pub use operations::{Readiness, RenderMetrics};
pub use server::{BindError, Listener};
pub use shutdown::stop_signal;

use crate::config;
use crate::forward::Intake;
use crate::reload::Reloads;
use server::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves both ports until `stop` is cancelled and everything is drained.
pub async fn serve(
    settings: &config::Server,
    intake: Arc<dyn Intake>,
    metrics: RenderMetrics,
    stop: CancellationToken,
) -> Result<(), BindError> {
    Bound::bind(settings).await?.serve(intake, metrics, stop).await;
    Ok(())
}

/// The webhook port without its sockets: everything that stands between a request and `intake`, and its answer.
pub fn webhooks(intake: Arc<dyn Intake>, settings: &config::Server) -> axum::Router {
    layers::around(router::router(intake, settings), Some(settings.max_in_flight))
}

/// Both ports, bound but not served yet: nothing can go wrong from here on, and the addresses are known even
/// where port 0 was asked for.
#[derive(Debug)]
pub struct Bound {
    settings: config::Server,
    webhooks: TcpListener,
    admin: TcpListener,
    webhook_addr: SocketAddr,
    admin_addr: SocketAddr,
    readiness: Readiness,
    reloads: Option<Reloads>,
}

impl Bound {
    /// Binds both ports.
    pub async fn bind(settings: &config::Server) -> Result<Self, BindError> {
        let (webhooks, webhook_addr) = server::bind("server.listen", settings.listen).await?;
        let (admin, admin_addr) = server::bind("server.admin_listen", settings.admin_listen).await?;
        Ok(Self {
            settings: settings.clone(),
            webhooks,
            admin,
            webhook_addr,
            admin_addr,
            readiness: Readiness::default(),
            reloads: None,
        })
    }

    /// Has the status page show how reloading goes.
    #[must_use]
    pub fn showing(self, reloads: Reloads) -> Self {
        Self { reloads: Some(reloads), ..self }
    }

    /// Where webhooks are received.
    #[must_use]
    pub fn webhook_addr(&self) -> SocketAddr {
        self.webhook_addr
    }

    /// Where operations are served.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    /// What `/readyz` says; [`Bound::serve`] drives it.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until `stop` is cancelled and everything is drained. Dropping the future cuts everything at once.
    pub async fn serve(self, intake: Arc<dyn Intake>, metrics: RenderMetrics, stop: CancellationToken) {
        let Self { settings, webhooks, admin, readiness, reloads, .. } = self;
        let webhooks = Server::new("webhooks", webhooks, self::webhooks(Arc::clone(&intake), &settings), &settings);
        let status = status::router(intake, readiness.clone(), reloads);
        let operations = operations::router(readiness.clone(), metrics, status);
        let handler = layers::around(operations, None);
        let admin = Server::new("admin", admin, handler, &settings);
        readiness.set_ready();
        shutdown::in_order(webhooks, admin, readiness, settings.drain_delay, stop).await;
    }
}
