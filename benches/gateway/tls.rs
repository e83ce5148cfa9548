//! TLS before the simulators, with a certificate made by `openssl`, which the gateway is told to trust as the platform is:
//! by `SSL_CERT_FILE`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;

/// What is offered beside TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, kept alive.
    One,
    /// HTTP/2, and nothing else.
    Two,
}

/// One for `localhost`, which vouches for itself.
pub struct Certificate {
    pub file: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Makes one in this folder.
    pub fn make(folder: &Path) -> Self {
        let (file, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(&key).arg("-out").arg(&file);
        let made = openssl.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("openssl is installed");
        assert!(made.success(), "openssl makes a certificate");
        Self { file, key }
    }

    fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_file(&self.file).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]).unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = match protocol {
            Protocol::One => vec![b"http/1.1".to_vec()],
            Protocol::Two => vec![b"h2".to_vec()],
        };
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Puts TLS before every system that a configuration names; returns the configuration that names these doors instead.
pub async fn put_before(configuration: &str, certificate: &Certificate, protocol: Protocol) -> String {
    let mut lines = Vec::new();
    for line in configuration.lines() {
        let there = line.strip_prefix("base_url = \"http://").and_then(|rest| rest.split(['/', '"']).next());
        lines.push(match there {
            Some(there) => {
                let door = open(there, certificate.acceptor(protocol)).await;
                line.replace(&format!("http://{there}"), &format!("https://localhost:{door}"))
            }
            None => line.to_owned(),
        });
    }
    lines.join("\n")
}

/// Opens a door to a system, and returns its port. What speaks HTTP behind it takes either version without asking.
async fn open(there: &str, acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, there) = (listener.local_addr().unwrap().port(), there.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, there) = (acceptor.clone(), there.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut inside = acceptor.accept(stream).await?;
                let mut outside = TcpStream::connect(there).await?;
                outside.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut inside, &mut outside).await
            });
        }
    });
    port
}
