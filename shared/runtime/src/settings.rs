use secrecy::SecretString;
use tatami_mail::{MailError, Mailbox, SmtpSettings};
use tatami_outbound::{AllowList, AllowListError, Authorities, AuthoritiesError};
use tatami_store::Tables;

use crate::SecretKey;

/// Bucket that raw reports are dropped into.
const UPLOADS_BUCKET: &str = "TATAMI_UPLOADS_BUCKET";
/// Bucket for packs of texts.
const DATA_BUCKET: &str = "TATAMI_DATA_BUCKET";
/// Table of the product tree, users and tokens.
const CATALOG_TABLE: &str = "TATAMI_CATALOG_TABLE";
/// Table of findings, claims and counts.
const FINDINGS_TABLE: &str = "TATAMI_FINDINGS_TABLE";
/// Table of imports.
const JOBS_TABLE: &str = "TATAMI_JOBS_TABLE";
/// Queue to the dedup function.
const FINDINGS_QUEUE_URL: &str = "TATAMI_FINDINGS_QUEUE_URL";
/// Queue to the sla function.
const SLA_QUEUE_URL: &str = "TATAMI_SLA_QUEUE_URL";
/// Queue to the jira function.
const JIRA_QUEUE_URL: &str = "TATAMI_JIRA_QUEUE_URL";
/// Queue to the notify function.
const NOTIFY_QUEUE_URL: &str = "TATAMI_NOTIFY_QUEUE_URL";
/// Hosts and networks that may be called although they aren't public, with commas between them (`AllowList`).
const OUTBOUND_ALLOW: &str = "TATAMI_OUTBOUND_ALLOW";
/// Certificates of authorities (PEM) that are trusted in such calls beside the public ones.
const OUTBOUND_CA: &str = "TATAMI_OUTBOUND_CA";
/// Whom mails come from, such as `Tatami <tatami@example.com>`. Without an SMTP server SES sends them; none are
/// sent where both are absent, and `tatami serve` writes them into its data folder.
const MAIL_FROM: &str = "TATAMI_MAIL_FROM";
/// The SMTP server, as `smtps://user:password@host:465` (`SmtpSettings::from_url`).
const SMTP_URL: &str = "TATAMI_SMTP_URL";
/// Where Slack's API is, if it isn't the public one.
const SLACK_URL: &str = "TATAMI_SLACK_URL";
/// Where people reach the API; links in answers start with it where it is set.
const PUBLIC_URL: &str = "TATAMI_PUBLIC_URL";
/// Password of the first admin; random and logged once where absent.
const ADMIN_PASSWORD: &str = "TATAMI_ADMIN_PASSWORD";
/// A token of the first admin; none where absent.
const ADMIN_TOKEN: &str = "TATAMI_ADMIN_TOKEN";
/// Id or ARN of the key of AWS KMS that the key of secrets is encrypted with.
const KMS_KEY: &str = "TATAMI_KMS_KEY";
/// Instead of it: 32 random bytes in base64 that secrets are encrypted with before they are stored. Where both
/// are absent, none can be kept; `tatami serve` keeps a key of its own.
const SECRET_KEY: &str = "TATAMI_SECRET_KEY";
/// Where the EPSS scores come from, `https://` or `http://`; FIRST's public address where absent, and with `off`
/// they aren't loaded. `tatami serve` loads them only where an address is set.
const EPSS_URL: &str = "TATAMI_EPSS_URL";
/// Where the KEV catalogue comes from; CISA's public address where absent, and otherwise the same.
const KEV_URL: &str = "TATAMI_KEV_URL";
/// The largest report in bytes; 100 MB where absent.
const MAX_REPORT_BYTES: &str = "TATAMI_MAX_REPORT_BYTES";
/// How many requests a second one token may send; as many as it likes where absent.
const TOKEN_RATE: &str = "TATAMI_TOKEN_RATE";
/// How many of them at once; those of a second where absent.
const TOKEN_BURST: &str = "TATAMI_TOKEN_BURST";
/// What is logged, such as `info` or `tatami_dedup=debug,warn`.
const LOG: &str = "TATAMI_LOG";
/// URL of a Tatami, for the client commands.
const URL: &str = "TATAMI_URL";
/// Token for it.
const TOKEN: &str = "TATAMI_TOKEN";

/// How many arenas glibc's allocator may use.
const MALLOC_ARENA_MAX: &str = "MALLOC_ARENA_MAX";

/// FIRST's scores of today.
const PUBLIC_EPSS_URL: &str = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz";
/// CISA's catalogue as it is now.
const PUBLIC_KEV_URL: &str =
    "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json";
/// Slack's API.
const PUBLIC_SLACK_URL: &str = "https://slack.com/api/";
/// Instead of an address: nothing is loaded.
const OFF: &str = "off";

/// The limit of a report where nothing else is said.
const DEFAULT_MAX_REPORT_BYTES: u64 = 100 * 1024 * 1024;

/// What a function is told by its environment.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variables of these names say it")]
pub struct Settings {
    pub uploads_bucket: String,
    pub data_bucket: String,
    pub tables: Tables,
    pub findings_queue_url: String,
    pub sla_queue_url: String,
    pub jira_queue_url: String,
    pub notify_queue_url: String,
    /// What may be called beyond the public network.
    pub outbound_allow: AllowList,
    /// Whose certificates are trusted there beside those of public authorities.
    pub outbound_ca: Authorities,
    pub mail_from: Option<Mailbox>,
    /// None: there is no SMTP server.
    pub smtp: Option<SmtpSettings>,
    pub slack_url: String,
    pub public_url: Option<String>,
    pub admin_password: Option<SecretString>,
    pub admin_token: Option<SecretString>,
    pub kms_key: Option<String>,
    pub secret_key: Option<SecretKey>,
    pub max_report_bytes: u64,
    /// None: they aren't loaded.
    pub epss_url: Option<String>,
    /// None: it isn't loaded.
    pub kev_url: Option<String>,
    pub token_rate: Option<u64>,
    pub token_burst: Option<u64>,
    pub cut: Cut,
}

/// How the findings of a report are cut into transactions and messages. Nobody sets it but tests,
/// which want many of both from few findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// A chunk's findings and their keys take at most this many items of a transaction; the count
    /// delta and the marker take the rest.
    pub chunk_items: usize,
    /// A part is closed when it reaches this size as JSON.
    pub part_bytes: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            chunk_items: 96,
            part_bytes: 200 * 1024,
        }
    }
}

/// The environment doesn't say what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable is missing.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable isn't what it should be.
    #[error("the environment variable {0} must be a whole number above 0, not \"{1}\"")]
    NotANumber(&'static str, String),
    /// A variable isn't the address that it must be.
    #[error("the environment variable {0} must begin with https:// or http://, or be \"off\"")]
    NotAnAddress(&'static str),
    /// A variable isn't the key that it must be.
    #[error(
        "the environment variable {0} must be 32 bytes in base64: make one by `openssl rand -base64 32`"
    )]
    NotAKey(&'static str),
    /// A variable doesn't list what may be called.
    #[error("the environment variable {OUTBOUND_ALLOW}: {0}")]
    NotAnAllowList(#[from] AllowListError),
    /// A variable isn't certificates.
    #[error("the environment variable {OUTBOUND_CA}: {0}")]
    NotAuthorities(#[from] AuthoritiesError),
    /// A variable isn't what mails need.
    #[error("the environment variable {0}: {1}")]
    Mail(&'static str, MailError),
}

#[allow(clippy::disallowed_methods, reason = "this is the one place")]
fn variable(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A whole number above 0; none where the variable isn't set.
fn number(name: &'static str) -> Result<Option<u64>, SettingsError> {
    let Some(text) = variable(name) else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(SettingsError::NotANumber(name, text)),
    }
}

/// An address to load something from; none where it is switched off.
fn address(
    name: &'static str,
    text: Option<&str>,
    absent: Option<&str>,
) -> Result<Option<String>, SettingsError> {
    let text = text.map(str::trim).or(absent);
    match text {
        None | Some(OFF) => Ok(None),
        Some(text) if text.starts_with("https://") || text.starts_with("http://") => {
            Ok(Some(text.to_owned()))
        }
        Some(_) => Err(SettingsError::NotAnAddress(name)),
    }
}

/// Whom mails come from, and the SMTP server.
fn mail(
    from: Option<&str>,
    smtp: Option<&str>,
) -> Result<(Option<Mailbox>, Option<SmtpSettings>), SettingsError> {
    let from = from.map(str::parse::<Mailbox>).transpose();
    let from = from.map_err(|error| SettingsError::Mail(MAIL_FROM, error))?;
    let smtp = match (smtp, &from) {
        (None, _) => None,
        (Some(_), None) => return Err(SettingsError::Missing(MAIL_FROM)),
        (Some(url), Some(from)) => Some(
            SmtpSettings::from_url(url, from.clone())
                .map_err(|error| SettingsError::Mail(SMTP_URL, error))?,
        ),
    };
    Ok((from, smtp))
}

fn required(name: &'static str) -> Result<String, SettingsError> {
    variable(name).ok_or(SettingsError::Missing(name))
}

pub(crate) fn log_filter() -> String {
    variable(LOG).unwrap_or_else(|| "info".into())
}

impl Settings {
    /// Reads the environment of a function.
    pub fn from_env() -> Result<Self, SettingsError> {
        Ok(Self {
            uploads_bucket: required(UPLOADS_BUCKET)?,
            data_bucket: required(DATA_BUCKET)?,
            tables: Tables {
                catalog: required(CATALOG_TABLE)?,
                findings: required(FINDINGS_TABLE)?,
                jobs: required(JOBS_TABLE)?,
            },
            findings_queue_url: required(FINDINGS_QUEUE_URL)?,
            sla_queue_url: required(SLA_QUEUE_URL)?,
            kms_key: variable(KMS_KEY),
            jira_queue_url: required(JIRA_QUEUE_URL)?,
            notify_queue_url: required(NOTIFY_QUEUE_URL)?,
            epss_url: address(
                EPSS_URL,
                variable(EPSS_URL).as_deref(),
                Some(PUBLIC_EPSS_URL),
            )?,
            kev_url: address(KEV_URL, variable(KEV_URL).as_deref(), Some(PUBLIC_KEV_URL))?,
            ..Self::local()?
        })
    }

    /// Names for the local stack; what a person may set is read from the environment all the same.
    /// The queues' URLs are the caller's to fill in.
    pub fn local() -> Result<Self, SettingsError> {
        let secret_key = variable(SECRET_KEY).map(|text| SecretKey::parse(&text));
        let secret_key = secret_key.transpose();
        let (mail_from, smtp) = mail(
            variable(MAIL_FROM).as_deref(),
            variable(SMTP_URL).as_deref(),
        )?;
        let slack_url = address(
            SLACK_URL,
            variable(SLACK_URL).as_deref(),
            Some(PUBLIC_SLACK_URL),
        )?;
        Ok(Self {
            uploads_bucket: "tatami-uploads".into(),
            data_bucket: "tatami-data".into(),
            tables: Tables {
                catalog: "tatami-catalog".into(),
                findings: "tatami-findings".into(),
                jobs: "tatami-jobs".into(),
            },
            findings_queue_url: String::new(),
            sla_queue_url: String::new(),
            jira_queue_url: String::new(),
            notify_queue_url: String::new(),
            outbound_allow: variable(OUTBOUND_ALLOW).unwrap_or_default().parse()?,
            outbound_ca: variable(OUTBOUND_CA).unwrap_or_default().parse()?,
            mail_from,
            smtp,
            slack_url: slack_url.unwrap_or_else(|| PUBLIC_SLACK_URL.into()),
            public_url: variable(PUBLIC_URL),
            admin_password: variable(ADMIN_PASSWORD).map(Into::into),
            admin_token: variable(ADMIN_TOKEN).map(Into::into),
            kms_key: None,
            secret_key: secret_key.map_err(|_| SettingsError::NotAKey(SECRET_KEY))?,
            max_report_bytes: number(MAX_REPORT_BYTES)?.unwrap_or(DEFAULT_MAX_REPORT_BYTES),
            epss_url: address(EPSS_URL, variable(EPSS_URL).as_deref(), None)?,
            kev_url: address(KEV_URL, variable(KEV_URL).as_deref(), None)?,
            token_rate: number(TOKEN_RATE)?,
            token_burst: number(TOKEN_BURST)?,
            cut: Cut::default(),
        })
    }

    /// URL and token that the client commands use where none are given.
    pub fn client() -> (Option<String>, Option<String>) {
        (variable(URL), variable(TOKEN))
    }

    /// Does somebody say how glibc's allocator shall divide memory?
    pub fn knows_arenas() -> bool {
        variable(MALLOC_ARENA_MAX).is_some()
    }

    /// What `TATAMI_LOG` says, for programs with a logger of their own.
    pub fn log_filter() -> Option<String> {
        variable(LOG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_absent_off_or_wrong() {
        let address = |text, absent| address("X", text, absent);
        let url = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(address(None, None), Ok(None));
        assert_eq!(address(None, Some(PUBLIC_KEV_URL)), url(PUBLIC_KEV_URL));
        assert_eq!(address(Some("off"), Some(PUBLIC_EPSS_URL)), Ok(None));
        assert_eq!(
            address(Some(" http://127.0.0.1:1/x"), Some(PUBLIC_EPSS_URL)),
            url("http://127.0.0.1:1/x")
        );
        for wrong in ["epss.csv.gz", "file:///etc/passwd", "on"] {
            let error = address(Some(wrong), None);
            assert_eq!(error, Err(SettingsError::NotAnAddress("X")), "{wrong}");
        }
    }

    #[test]
    fn mails_need_a_sender_and_a_url_that_is_one() {
        assert_eq!(mail(None, None), Ok((None, None)));
        let url = "smtp://u:hunter2@mail.example.com";
        let missing = Err(SettingsError::Missing(MAIL_FROM));
        assert_eq!(mail(None, Some(url)), missing);
        let from = "Tatami <tatami@example.com>";
        let (sender, smtp) = mail(Some(from), Some(url)).unwrap();
        assert_eq!(sender.unwrap().to_string(), from);
        assert_eq!(smtp.unwrap().user(), Some("u"));
        for (from, url, name) in [("tatami", url, MAIL_FROM), (from, "ftp://x", SMTP_URL)] {
            let error = mail(Some(from), Some(url)).unwrap_err();
            assert!(matches!(error, SettingsError::Mail(n, _) if n == name));
            assert!(
                error
                    .to_string()
                    .starts_with("the environment variable TATAMI_")
            );
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let (_, smtp) = mail(
            Some("tatami@example.com"),
            Some("smtp://u:pa55word@mail.example.com"),
        )
        .unwrap();
        let settings = Settings {
            smtp,
            admin_password: Some("hunter2".into()),
            admin_token: Some("0123456789abcdef".into()),
            ..Settings::local().unwrap()
        };
        let printed = format!("{settings:?}");
        assert!(printed.contains("tatami-uploads"));
        for secret in ["hunter2", "0123456789abcdef", "pa55word"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
