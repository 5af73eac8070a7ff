//! Bodies: JSON, forms and multipart forms as one kind of object, and uploads of reports.

use axum::extract::multipart::MultipartError;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::error::{ApiError, Result};
use crate::fields::Object;

/// The fields that a body sends.
#[derive(Debug, Default)]
pub struct Body(pub Object);

/// What kind of body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Form,
    Multipart,
    None,
    Other,
}

fn format(headers: &HeaderMap) -> Format {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Format::None;
    };
    let text = value.to_str().unwrap_or_default();
    let kind = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "" => Format::None,
        "application/json" => Format::Json,
        "application/x-www-form-urlencoded" => Format::Form,
        "multipart/form-data" => Format::Multipart,
        kind if kind.ends_with("+json") => Format::Json,
        _ => Format::Other,
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let format = format(request.headers());
        if format == Format::Multipart {
            let upload = Upload::read_multipart(request, state).await?;
            let mut fields = Object::new();
            for (name, value) in upload.fields {
                add(&mut fields, name, value);
            }
            return Ok(Self(fields));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|e| not_read(&e))?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match format {
            // a body without a type is taken for what nearly all clients send
            Format::Json | Format::None => Ok(Self(json_object(&bytes)?)),
            Format::Form => {
                let mut fields = Object::new();
                for (name, value) in form_urlencoded::parse(&bytes) {
                    add(&mut fields, name.into_owned(), value.into_owned());
                }
                Ok(Self(fields))
            }
            _ => Err(ApiError::Detail(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "This media type is not supported: send application/json or a form.".into(),
            )),
        }
    }
}

/// A body that is a list of objects; one object is a list of one.
#[derive(Debug, Default)]
pub struct Items(pub Vec<Object>);

impl<S: Send + Sync> FromRequest<S> for Items {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !matches!(format(request.headers()), Format::Json | Format::None) {
            let Body(one) = Body::from_request(request, state).await?;
            return Ok(Self(vec![one]));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|e| not_read(&e))?;
        let not_json = |error| {
            let text = format!("The body is not JSON: {error}");
            ApiError::Detail(StatusCode::BAD_REQUEST, text)
        };
        let items = match serde_json::from_slice(&bytes).map_err(not_json)? {
            Value::Array(items) => items,
            one => vec![one],
        };
        let object = |item| match item {
            Value::Object(object) => Ok(object),
            _ => Err(ApiError::field(
                "non_field_errors",
                "The body must be a list of JSON objects.",
            )),
        };
        items
            .into_iter()
            .map(object)
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// A name that comes again makes a list.
fn add(fields: &mut Object, name: String, value: String) {
    match fields.get_mut(&name) {
        None => {
            fields.insert(name, Value::String(value));
        }
        Some(Value::Array(values)) => values.push(Value::String(value)),
        Some(one) => {
            let first = one.take();
            *one = json!([first, value]);
        }
    }
}

fn json_object(bytes: &[u8]) -> Result<Object> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::field(
            "non_field_errors",
            "The body must be a JSON object.",
        )),
        Err(error) => Err(ApiError::Detail(
            StatusCode::BAD_REQUEST,
            format!("The body is not JSON: {error}"),
        )),
    }
}

/// Why a body could not be read.
pub fn not_read(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => ApiError::Detail(status, "The body cannot be read to its end.".into()),
    }
}

fn not_multipart(error: &MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ApiError::Detail(
            StatusCode::BAD_REQUEST,
            format!("The multipart form cannot be read: {}", error.body_text()),
        ),
    }
}

/// 413, with the way out.
pub fn too_large() -> ApiError {
    ApiError::Detail(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large. For a big report, POST its fields without the file to \
         /api/v2/uploads/ and PUT the file to the address in the answer."
            .into(),
    )
}

/// A report with the fields that came along.
#[derive(Debug, Default)]
pub struct Upload {
    /// The report: file name and bytes.
    pub file: Option<(String, Bytes)>,
    /// Names and values in their order.
    pub fields: Vec<(String, String)>,
}

/// The name of a report that comes without one.
const UNNAMED: &str = "report";

impl Upload {
    async fn read_multipart<S: Send + Sync>(request: Request, state: &S) -> Result<Self> {
        let multipart = Multipart::from_request(request, state).await;
        let mut multipart = multipart.map_err(|e| {
            ApiError::Detail(
                StatusCode::BAD_REQUEST,
                format!("The multipart form cannot be read: {}", e.body_text()),
            )
        })?;
        let mut upload = Self::default();
        while let Some(part) = multipart
            .next_field()
            .await
            .map_err(|e| not_multipart(&e))?
        {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|e| not_multipart(&e))?;
            if name != "file" {
                upload
                    .fields
                    .push((name, String::from_utf8_lossy(&bytes).into_owned()));
                continue;
            }
            // An empty file name is how a form says that no file was chosen.
            let file_name = file_name.unwrap_or_else(|| UNNAMED.into());
            if !file_name.trim().is_empty() {
                upload.file = Some((file_name, bytes));
            }
        }
        Ok(upload)
    }
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = ApiError;

    /// Reads a multipart form; or, where the query string says where to, the body as the raw report;
    /// or fields without a file.
    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let format = format(request.headers());
        let query: Vec<(String, String)> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let mut upload = if format == Format::Multipart {
            Self::read_multipart(request, state).await?
        } else {
            let name = file_name(request.headers());
            let known = |(name, _): &(String, String)| {
                tatami_domain::ImportOptions::FIELDS.contains(&name.as_str())
            };
            let is_report = format != Format::Form && query.iter().any(known);
            if is_report {
                let bytes = Bytes::from_request(request, state)
                    .await
                    .map_err(|e| not_read(&e))?;
                Self {
                    file: Some((name, bytes)).filter(|(_, bytes)| !bytes.is_empty()),
                    fields: Vec::new(),
                }
            } else {
                let Body(object) = Body::from_request(request, state).await?;
                Self {
                    file: None,
                    fields: flattened(object),
                }
            }
        };
        upload.fields.extend(query);
        Ok(upload)
    }
}

/// Fields of a JSON object as a form would send them.
pub fn flattened(object: Object) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (name, value) in object {
        let values = match value {
            Value::Array(values) => values,
            one => vec![one],
        };
        for value in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            fields.push((name.clone(), text));
        }
    }
    fields
}

/// The name that a raw report's headers give it, else one by its type.
fn file_name(headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    let named = text(header::CONTENT_DISPOSITION)
        .and_then(|value| value.split("filename=").nth(1))
        .map(|name| {
            name.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches('"')
        })
        .filter(|name| !name.is_empty());
    if let Some(name) = named {
        return name.to_owned();
    }
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let ending = ["json", "xml", "csv"]
        .into_iter()
        .find(|ending| kind.contains(ending));
    ending.map_or(UNNAMED.into(), |ending| format!("{UNNAMED}.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTIPART: &str = "--x\r\n\
        Content-Disposition: form-data; name=\"scan_type\"; filename=\"\"\r\n\r\nTrivy Scan\r\n--x\r\n\
        Content-Disposition: form-data; name=\"tags\"\r\n\r\na\r\n--x\r\n\
        Content-Disposition: form-data; name=\"tags\"\r\n\r\nb,c\r\n--x\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"NAME\"\r\n\
        Content-Type: application/json\r\n\r\n{}\r\n--x--\r\n";

    impl Upload {
        fn field(&self, name: &str) -> Option<&str> {
            let mut fields = self.fields.iter().filter(|(n, _)| n == name);
            fields.next().map(|(_, value)| value.as_str())
        }
    }

    fn request(kind: &str, query: &str, body: &str) -> Request {
        http::Request::post(format!("/api/v2/import-scan{query}"))
            .header("content-type", kind)
            .body(body.to_owned().into())
            .unwrap()
    }

    #[tokio::test]
    async fn text_parts_with_an_empty_file_name_are_fields_and_a_file_without_a_name_is_none() {
        let kind = "multipart/form-data; boundary=x";
        let body = MULTIPART.replace("NAME", "r.json");
        let upload = Upload::from_request(request(kind, "", &body), &())
            .await
            .unwrap();
        assert_eq!(upload.field("scan_type"), Some("Trivy Scan"));
        assert_eq!(upload.fields.iter().filter(|(n, _)| n == "tags").count(), 2);
        assert_eq!(upload.file.unwrap(), ("r.json".into(), Bytes::from("{}")));
        let body = MULTIPART.replace("NAME", "");
        let upload = Upload::from_request(request(kind, "", &body), &())
            .await
            .unwrap();
        assert!(upload.file.is_none());
    }

    #[tokio::test]
    async fn a_raw_body_is_the_report_where_the_query_says_where_to() {
        let json = "application/json";
        let upload = Upload::from_request(request(json, "?test=3", "{\"a\":1}"), &())
            .await
            .unwrap();
        assert_eq!(upload.file.as_ref().unwrap().0, "report.json");
        assert_eq!(upload.field("test"), Some("3"));
        let body = r#"{"test": 3, "active": true, "tags": ["a", "b"], "lead": null}"#;
        let upload = Upload::from_request(request(json, "", body), &())
            .await
            .unwrap();
        assert!(upload.file.is_none());
        assert_eq!(upload.field("test"), Some("3"));
        assert_eq!(upload.field("active"), Some("true"));
        assert_eq!(upload.field("lead"), None);
    }

    #[tokio::test]
    async fn forms_and_json_are_the_same_kind_of_object() {
        let form = request("application/x-www-form-urlencoded", "", "a=1&b=x&b=y");
        let Body(form) = Body::from_request(form, &()).await.unwrap();
        assert_eq!(Value::Object(form), json!({"a": "1", "b": ["x", "y"]}));
        for (kind, body, status) in [
            ("application/json", "{", 400),
            ("application/json", "[]", 400),
            ("text/plain", "x", 415),
        ] {
            let error = Body::from_request(request(kind, "", body), &())
                .await
                .unwrap_err();
            let response = axum::response::IntoResponse::into_response(error);
            assert_eq!(response.status(), status, "{body}");
        }
    }
}
