//! Sending by SES (API v2, `SendEmail` with a raw message).

use std::fmt::Debug;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, RawMessage};
use tokio::time::timeout;

use crate::{MailError, Mailbox, SmtpSettings};

/// SES with the mailbox that mails come from.
#[derive(Clone)]
pub(crate) struct Ses {
    pub(crate) client: Client,
    pub(crate) from: Mailbox,
    pub(crate) configuration_set: Option<String>,
}

impl Ses {
    /// Sends a mail; answers with the id that SES gave it.
    pub(crate) async fn send(&self, to: &Mailbox, mime: Vec<u8>) -> Result<String, MailError> {
        let message = RawMessage::builder().data(Blob::new(mime)).build();
        let message = message.map_err(|error| MailError::setup(&error.to_string()))?;
        let request = self
            .client
            .send_email()
            .from_email_address(self.from.address())
            .destination(Destination::builder().to_addresses(to.address()).build())
            .content(EmailContent::builder().raw(message).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .send();
        let sent = within(request).await?;
        Ok(sent.message_id.unwrap_or_default())
    }

    /// Asks whether the account may send.
    pub(crate) async fn test(&self) -> Result<(), MailError> {
        let account = within(self.client.get_account().send()).await?;
        if account.sending_enabled {
            return Ok(());
        }
        Err(MailError::setup(
            "SES: sending is switched off for the account in this region",
        ))
    }
}

async fn within<T, E>(
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, MailError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    SdkError<E, HttpResponse>: Debug,
{
    match timeout(SmtpSettings::TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| of(&error)),
        Err(_) => Err(MailError::timeout(SmtpSettings::TIMEOUT)),
    }
}

/// The errors of `SendEmail` in the SES API v2 reference, and those that every AWS service has.
fn of<E>(error: &SdkError<E, HttpResponse>) -> MailError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = error else {
        let reason = format!("SES: {}", DisplayErrorContext(error));
        return match error {
            SdkError::ConstructionFailure(_) => MailError::setup(&reason),
            _ => MailError::passing(&reason),
        };
    };
    let code = error.code().unwrap_or("without a code");
    let message = error.message().unwrap_or_default();
    let reason = format!("SES: {code}: {message}");
    match (code, service.raw().status().as_u16()) {
        ("TooManyRequestsException" | "LimitExceededException", _) | (_, 429 | 500..) => {
            MailError::passing(&reason)
        }
        // a clock that is wrong, or a request that took too long
        (
            "RequestExpired"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "ThrottlingException"
            | "Throttling",
            _,
        ) => MailError::passing(&reason),
        (
            "AccountSuspendedException"
            | "MailFromDomainNotVerifiedException"
            | "NotFoundException"
            | "SendingPausedException",
            _,
        )
        | (_, 401 | 403 | 404) => MailError::setup(&reason),
        _ => MailError::refused(&reason),
    }
}
