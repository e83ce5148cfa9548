//! A way to the database on which everything can stop: no answer, no end, as when a machine or a network is gone.

use super::shelf::Shelf;
use gigya_esp_gateway::config::JournalStore;
use secrecy::ExposeSecret;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Carries bytes both ways, unless it is silent.
pub struct Proxy {
    shelf: Shelf,
    silent: watch::Sender<bool>,
}

impl Proxy {
    /// One before a journal's server.
    pub async fn before(shelf: &Shelf) -> Self {
        let JournalStore::Postgres(url) = &shelf.store else { panic!("only a server can fall silent") };
        let url = url::Url::parse(url.expose_secret()).unwrap();
        let server = SocketAddr::new(url.host_str().unwrap().parse().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut through = url.clone();
        through.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let (silent, watched) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(carry(from, server, watched.clone()));
            }
        });
        Self { shelf: shelf.elsewhere(JournalStore::Postgres(through.to_string().into())), silent }
    }

    /// The journal, as it is reached on this way.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    pub fn speak(&self) {
        self.silent.send_replace(false);
    }
}

async fn carry(from: TcpStream, server: SocketAddr, silent: watch::Receiver<bool>) {
    let Ok(to) = TcpStream::connect(server).await else { return };
    let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
    tokio::join!(one_way(from_read, to_write, silent.clone()), one_way(to_read, from_write, silent));
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut silent: watch::Receiver<bool>,
) {
    let mut some = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut some).await {
        // Held back, not lost.
        if silent.wait_for(|silent| !silent).await.is_err() || to.write_all(&some[..read]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
