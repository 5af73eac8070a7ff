//! Every way in which a request can fail, and the one shape each has on the wire.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tatami_blobs::BlobError;
use tatami_domain::{AcceptanceError, FieldError, FindingId, FlagError};
use tatami_duplicates::DuplicateError;
use tatami_runtime::SecretError;
use tatami_store::{StoreError, TargetError};

/// Why a request is refused.
#[derive(Debug)]
pub enum ApiError {
    /// 400: fields that aren't what they should be.
    Fields(Problems),
    /// 400: a bare list of texts, for targets of imports.
    Texts(Vec<String>),
    /// A status and one sentence.
    Detail(StatusCode, String),
    /// 429: to be tried again after so many seconds.
    Later(i64, String),
    /// A status and a body of its own.
    Body(StatusCode, Value),
    /// 500: the sentence is for the log, the client gets a number to ask by.
    Internal(String),
}

/// Result of a handler's steps.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

/// Fields that aren't what they should be, with what is wrong about each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(BTreeMap<String, Vec<String>>);

impl Problems {
    /// One field with one problem.
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(field, message);
        problems
    }

    /// Adds a problem.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        let messages = self.0.entry(field.to_owned()).or_default();
        messages.push(message.into());
    }

    /// The same, said of one finding among several.
    #[must_use]
    pub fn about(self, finding: FindingId) -> Self {
        let about = |message| format!("finding {finding}: {message}");
        let fields = self.0.into_iter().map(|(field, messages)| {
            let messages = messages.into_iter().map(about).collect();
            (field, messages)
        });
        Self(fields.collect())
    }

    /// The same with a field under another name.
    #[must_use]
    pub fn renamed(mut self, from: &str, to: &str) -> Self {
        if let Some(messages) = self.0.remove(from) {
            self.0.insert(to.to_owned(), messages);
        }
        self
    }

    /// Is everything fine?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails where there is a problem.
    pub fn into_result(self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Fields(self))
        }
    }

    fn body(self) -> Value {
        let words: Vec<String> = (self.0.iter())
            .map(|(field, messages)| format!("{field}: {}", messages.join(" ")))
            .collect();
        let mut body: Map<String, Value> = (self.0.into_iter())
            .map(|(field, messages)| (field, json!(messages)))
            .collect();
        body.entry("message").or_insert(json!(words.join("; ")));
        Value::Object(body)
    }
}

impl ApiError {
    /// 400 for one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Fields(Problems::one(field, message))
    }

    /// What is wrong about duplicates, said of the field that names them.
    pub fn duplicates(field: &str, error: DuplicateError) -> Self {
        match error {
            DuplicateError::Store(error) => error.into(),
            DuplicateError::Blobs(error) => error.into(),
            refused => Self::field(field, refused.to_string()),
        }
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::Detail(StatusCode::NOT_FOUND, "Not found.".into())
    }

    /// 401.
    pub fn unauthorized(message: &str) -> Self {
        Self::Detail(StatusCode::UNAUTHORIZED, message.into())
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Detail(StatusCode::CONFLICT, message.into())
    }

    /// 403.
    pub fn forbidden() -> Self {
        Self::Detail(
            StatusCode::FORBIDDEN,
            "You do not have permission to perform this action.".into(),
        )
    }

    /// 500 for the request with this id.
    pub fn broken(request_id: &str) -> Response {
        let text = format!("Something went wrong here; the log has it as {request_id}.");
        let body = json!({"detail": text, "message": text, "request_id": request_id});
        (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
    }

    fn parts(self) -> (StatusCode, Value) {
        let detail = |text: &str| json!({"detail": text, "message": text});
        match self {
            Self::Fields(problems) => (StatusCode::BAD_REQUEST, problems.body()),
            Self::Texts(texts) => (StatusCode::BAD_REQUEST, json!(texts)),
            Self::Detail(status, text) => (status, detail(&text)),
            Self::Later(_, text) => (StatusCode::TOO_MANY_REQUESTS, detail(&text)),
            Self::Body(status, body) => (status, body),
            Self::Internal(_) => {
                let text = "Something went wrong here.";
                (StatusCode::INTERNAL_SERVER_ERROR, detail(text))
            }
        }
    }
}

/// What broke, on its way to the log: `request::identified` puts the request's id into its place.
#[derive(Debug, Clone)]
pub struct Broken(pub String);

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let wait_s = match &self {
            Self::Later(wait_s, _) => Some(*wait_s),
            _ => None,
        };
        let broken = match &mut self {
            Self::Internal(reason) => Some(Broken(std::mem::take(reason))),
            _ => None,
        };
        let (status, body) = self.parts();
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Token");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        if let Some(wait_s) = wait_s {
            let header = response.headers_mut();
            header.insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
        }
        if let Some(broken) = broken {
            response.extensions_mut().insert(broken);
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::not_found(),
            StoreError::NameTaken { kind, .. } if kind.ends_with("member") => {
                Self::field("non_field_errors", "This membership exists already.")
            }
            StoreError::NameTaken {
                kind: "announcement",
                ..
            } => Self::field(
                "non_field_errors",
                "There is an announcement already, and only one may be.",
            ),
            StoreError::NameTaken {
                kind: "row of notifications" | "template of notifications",
                ..
            } => Self::field(
                "non_field_errors",
                "There is one of this already, and only one may be: change that.",
            ),
            StoreError::NameTaken {
                kind: "contact info",
                ..
            } => Self::field("user", "This user has contact info already."),
            StoreError::NameTaken {
                kind: "JIRA project",
                name,
            } => {
                let text = format!("There is a JIRA project of {name} already: change that.");
                Self::field("non_field_errors", text)
            }
            StoreError::NameTaken {
                kind: "JIRA issue", ..
            } => Self::field("jira_id", "This issue is linked to something else already."),
            StoreError::NameTaken { kind, name } => {
                Self::field("name", format!("a {kind} named \"{name}\" exists already"))
            }
            StoreError::Contention(_) => Self::Detail(StatusCode::CONFLICT, error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::NoKey => Self::Detail(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            SecretError::NotAKey | SecretError::NotOurs => Self::Internal(error.to_string()),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<DuplicateError> for ApiError {
    fn from(error: DuplicateError) -> Self {
        Self::duplicates("duplicate", error)
    }
}

impl From<TargetError> for ApiError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Invalid(text) => Self::Texts(vec![text]),
            TargetError::NotFound(text) => Self::Detail(StatusCode::NOT_FOUND, text),
            TargetError::Store(error) => error.into(),
        }
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::field(&error.field, error.message)
    }
}

impl From<AcceptanceError> for ApiError {
    fn from(error: AcceptanceError) -> Self {
        match error {
            AcceptanceError::PastExpiration => Self::field("expiration_date", error.to_string()),
            AcceptanceError::Expired(_)
            | AcceptanceError::Removed(_)
            | AcceptanceError::NotExpired(_)
            | AcceptanceError::Ending(_) => Self::conflict(error.to_string()),
        }
    }
}

impl From<FlagError> for ApiError {
    fn from(error: FlagError) -> Self {
        let field = match error {
            FlagError::DuplicateAndActive => "duplicate",
            FlagError::FalsePositiveAndVerified => "false_p",
            FlagError::ActiveAndAccepted | FlagError::SimpleAcceptanceOff => "risk_accepted",
        };
        Self::field(field, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_names_and_say_the_same_in_one_message() {
        let mut problems = Problems::one("name", "too long");
        problems.add("name", "too dull");
        problems.add("end", "before the start");
        let (status, body) = ApiError::Fields(problems).parts();
        assert_eq!(status, 400);
        assert_eq!(
            body,
            json!({
                "name": ["too long", "too dull"],
                "end": ["before the start"],
                "message": "end: before the start; name: too long too dull",
            })
        );
    }
}
