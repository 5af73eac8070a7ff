//! Sending by SMTP, over one connection for as long as the server keeps it.

use std::error::Error as _;
use std::io;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::time::timeout;

use crate::error::said;
use crate::{MailError, Mailbox, Security, SmtpSettings};

/// A connection that nothing was sent over for so long is not used again; many servers close it.
const MAX_IDLE: Duration = Duration::from_mins(1);
/// How long a connection has to show that it is still there.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

/// The mail is the server's from here on.
const TAKEN: u16 = 250;

/// An SMTP server.
#[derive(Clone)]
pub(crate) struct Smtp(Arc<Server>);

struct Server {
    settings: SmtpSettings,
    /// None where no TLS is wanted.
    tls: Option<TlsParameters>,
    idle: Mutex<Option<Idle>>,
}

/// A connection that can take another mail. One on which anything failed, or was broken off, never
/// becomes one: what it would say next belongs to something else.
struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Smtp {
    pub(crate) fn new(settings: SmtpSettings) -> Result<Self, MailError> {
        let tls = match settings.security {
            Security::Plain => None,
            Security::Tls | Security::StartTls => Some(trust(&settings)?),
        };
        let idle = Mutex::new(None);
        Ok(Self(Arc::new(Server {
            settings,
            tls,
            idle,
        })))
    }

    pub(crate) fn from(&self) -> &Mailbox {
        &self.0.settings.from
    }

    /// Sends a mail; answers with what the server said.
    pub(crate) async fn send(&self, to: &Mailbox, mime: &[u8]) -> Result<String, MailError> {
        let from = self.from().address.clone();
        let envelope = Envelope::new(Some(from), vec![to.address.clone()])
            .map_err(|error| MailError::refused(&error.to_string()))?;
        self.within(self.0.send(&envelope, mime)).await
    }

    /// Connects and logs in.
    pub(crate) async fn test(&self) -> Result<(), MailError> {
        let connected = async {
            let connection = self.0.connect().await?;
            self.0.keep(connection);
            Ok(())
        };
        self.within(connected).await
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, MailError>>,
    ) -> Result<T, MailError> {
        let limit = self.0.settings.timeout;
        let done = timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(MailError::timeout(limit)))
    }
}

impl Server {
    async fn send(&self, envelope: &Envelope, mime: &[u8]) -> Result<String, MailError> {
        if let Some(connection) = self.reusable().await {
            match self.send_over(connection, envelope, mime).await {
                // the server closes connections that had their share of mails; it has not taken this one
                Err(error) if is_closing(&error) => {}
                sent => return taken(sent),
            }
        }
        let connection = self.connect().await?;
        taken(self.send_over(connection, envelope, mime).await)
    }

    async fn send_over(
        &self,
        mut connection: AsyncSmtpConnection,
        envelope: &Envelope,
        mime: &[u8],
    ) -> Result<Response, Error> {
        let response = connection.send(envelope, mime).await?;
        if response.has_code(TAKEN) {
            self.keep(connection);
        }
        Ok(response)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        *idle = Some(Idle { connection, since });
    }

    async fn reusable(&self) -> Option<AsyncSmtpConnection> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut idle = idle.filter(|idle| idle.since.elapsed() < MAX_IDLE)?;
        let alive = timeout(ALIVE_WITHIN, idle.connection.test_connected()).await;
        alive.unwrap_or(false).then_some(idle.connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let settings = &self.settings;
        // some servers refuse a client that greets with an address or as localhost
        let hello = ClientId::Domain(settings.from.domain().to_owned());
        let at_once = match settings.security {
            Security::Tls => self.tls.clone(),
            Security::StartTls | Security::Plain => None,
        };
        let failed = |error: Error| of_setup(&error, settings);
        let server = (settings.host.as_str(), settings.port);
        let limit = Some(settings.timeout);
        let connected =
            AsyncSmtpConnection::connect_tokio1(server, limit, &hello, at_once, None).await;
        let mut connection = connected.map_err(failed)?;
        if let (Security::StartTls, Some(tls)) = (settings.security, &self.tls) {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(fault(
                    settings,
                    "offers no STARTTLS, and smtp:// sends nothing without",
                ));
            }
            connection
                .starttls(tls.clone(), &hello)
                .await
                .map_err(failed)?;
        }
        if let Some(login) = &settings.login {
            if connection
                .server_info()
                .get_auth_mechanism(DEFAULT_MECHANISMS)
                .is_none()
            {
                connection.abort().await;
                return Err(fault(
                    settings,
                    "takes no password by AUTH PLAIN or AUTH LOGIN",
                ));
            }
            let credentials = Credentials::new(login.user.clone(), login.password.clone());
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(failed)?;
        }
        Ok(connection)
    }
}

fn trust(settings: &SmtpSettings) -> Result<TlsParameters, MailError> {
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(pem) = &settings.root_certificate {
        let bad =
            "the root certificate for the SMTP server must be PEM: -----BEGIN CERTIFICATE-----";
        let marked = String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----");
        let certificate = Certificate::from_pem(pem).ok().filter(|_| marked);
        tls = tls.add_root_certificate(certificate.ok_or_else(|| MailError::setup(bad))?);
    }
    tls.build()
        .map_err(|error| MailError::setup(&format!("TLS for the SMTP server: {error}")))
}

fn fault(settings: &SmtpSettings, what: &str) -> MailError {
    MailError::setup(&format!("{}:{} {what}", settings.host, settings.port))
}

/// What the server said to the mail. Anything but 250 is the answer to something else, such as one that was slipped in
/// before TLS.
fn taken(sent: Result<Response, Error>) -> Result<String, MailError> {
    let response = sent.map_err(|error| of_mail(&error))?;
    let lines: Vec<&str> = response.message().collect();
    let reply = format!("{} {}", response.code(), lines.join(" "));
    if response.has_code(TAKEN) {
        Ok(said(&reply))
    } else {
        let reason = format!("the SMTP server answers the mail with {reply:?}");
        Err(MailError::passing(&reason))
    }
}

/// What went wrong before the mail was spoken of: no other mail would fare better, unless the server is
/// only busy or not there.
fn of_setup(error: &Error, settings: &SmtpSettings) -> MailError {
    let reason = format!("{}:{}: {error}", settings.host, settings.port);
    if error.is_permanent() || error.is_client() || error.is_tls() || is_distrust(error) {
        MailError::setup(&reason)
    } else {
        MailError::passing(&reason)
    }
}

/// What went wrong with the mail itself.
fn of_mail(error: &Error) -> MailError {
    let reason = error.to_string();
    match error.status().map(u16::from) {
        Some(530) => MailError::setup(&format!("the SMTP server wants a password: {reason}")),
        Some(500..) => MailError::refused(&reason),
        _ => MailError::passing(&reason),
    }
}

/// 421: the server ends the connection, and has not taken the mail.
fn is_closing(error: &Error) -> bool {
    error.status().map(u16::from) == Some(421)
}

/// The TLS handshake failed for what the other side is or sent, not for the network.
fn is_distrust(error: &Error) -> bool {
    iter::successors(error.source(), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::InvalidData)
}
