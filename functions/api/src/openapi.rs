//! The route table: an operation is described and routed by one call, so the OpenAPI document can
//! neither miss a route nor list one that isn't there.

use std::sync::OnceLock;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::{Method, header};
use serde_json::{Map, Value, json};

use crate::Api;
use crate::body::too_large;
use crate::conditional::tagged;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind};
use crate::idempotency::MAX_KEY;
use crate::prefetch::{self, Load, Loader, Loaders};

/// The largest body in bytes that isn't a file; Lambda takes no larger one.
const BODY_BYTES: usize = 6 * 1024 * 1024;

/// The OpenAPI document as text.
#[derive(Debug)]
pub struct Document {
    json: String,
    yaml: OnceLock<String>,
}

impl Document {
    /// Of its value.
    pub fn new(document: &Value) -> Self {
        Self {
            json: document.to_string(),
            yaml: OnceLock::new(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// As YAML, which is made when somebody asks for it.
    pub fn yaml(&self) -> Result<&str> {
        if let Some(yaml) = self.yaml.get() {
            return Ok(yaml);
        }
        let document: Value =
            serde_json::from_str(&self.json).map_err(|e| ApiError::Internal(e.to_string()))?;
        let yaml = yaml_serde::to_string(&document);
        let yaml = yaml.map_err(|e| ApiError::Internal(e.to_string()))?;
        Ok(self.yaml.get_or_init(|| yaml))
    }
}

/// What the parameter `cursor` does.
const CURSOR: &str = "Instead of offset: empty for the first page, then as next and previous have it. Pages by \
                      cursor neither miss nor repeat what is there all the time, whatever comes and goes in \
                      between.";

/// The parameters of lists that come in pages.
const PAGES: &[Field] = &[
    Field::new("limit", Kind::Integer(0, u32::MAX as i64)),
    Field::new("offset", Kind::Integer(0, u32::MAX as i64)),
    Field::new("cursor", Kind::Text(0)),
];

/// All routes and their description.
pub struct Routes {
    /// Routes for everybody.
    pub public: Router<Api>,
    /// Routes for those who are known.
    pub private: Router<Api>,
    /// The OpenAPI document.
    pub document: Value,
    /// How things are read that others point to.
    pub loaders: Loaders,
    /// What has the parameter `prefetch`.
    prefetches: Vec<Prefetches>,
    /// The largest body in bytes with a file in it.
    file_bytes: usize,
}

/// A resource whose list and gets have the parameter `prefetch`.
struct Prefetches {
    path: &'static str,
    schema: &'static str,
    fields: &'static [Field],
    /// What isn't among the fields: names and schemas.
    others: &'static [(&'static str, &'static str)],
}

/// One operation.
pub struct Operation {
    method: Method,
    path: String,
    summary: &'static str,
    query: Vec<Field>,
    body: Option<Body>,
    status: u16,
    answer: Answer,
    /// Other media types that the answer may have, where they are asked for.
    also: &'static [&'static str],
    may_be_missing: bool,
    may_be_refused: bool,
}

enum Body {
    /// A schema, as JSON or as a form.
    Schema(String),
    /// A schema with a file in it, as a multipart form.
    Multipart(String),
}

/// What an operation answers with.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// One thing of this schema.
    One(&'static str),
    /// A page of things of this schema.
    Page(&'static str),
    /// A list of things of this schema, all of them.
    List(&'static str),
    /// An object without a schema.
    Object,
    /// Bytes of one of these media types.
    Media(&'static [&'static str]),
    /// Nothing.
    Empty,
}

impl Operation {
    fn new(method: Method, path: impl Into<String>, summary: &'static str) -> Self {
        Self {
            method,
            path: path.into(),
            summary,
            query: Vec::new(),
            body: None,
            status: 200,
            answer: Answer::Object,
            also: &[],
            may_be_missing: false,
            may_be_refused: false,
        }
    }

    /// GET.
    pub fn get(path: impl Into<String>, summary: &'static str) -> Self {
        Self::new(Method::GET, path, summary)
    }

    /// POST.
    pub fn post(path: impl Into<String>, summary: &'static str) -> Self {
        Self::new(Method::POST, path, summary)
    }

    /// PUT.
    pub fn put(path: impl Into<String>, summary: &'static str) -> Self {
        Self::new(Method::PUT, path, summary)
    }

    /// PATCH.
    pub fn patch(path: impl Into<String>, summary: &'static str) -> Self {
        Self::new(Method::PATCH, path, summary)
    }

    /// DELETE.
    pub fn delete(path: impl Into<String>, summary: &'static str) -> Self {
        Self::new(Method::DELETE, path, summary)
    }

    /// Parameters in the query string.
    pub fn query(mut self, query: impl IntoIterator<Item = Field>) -> Self {
        self.query.extend(query);
        self
    }

    /// The body's schema.
    pub fn body(mut self, schema: impl Into<String>) -> Self {
        self.body = Some(Body::Schema(schema.into()));
        self
    }

    /// The schema of a multipart body with a file.
    pub fn multipart(mut self, schema: &str) -> Self {
        self.body = Some(Body::Multipart(schema.into()));
        self
    }

    /// The answer comes in one of these media types too, where that is asked for.
    pub fn also(mut self, kinds: &'static [&'static str]) -> Self {
        self.also = kinds;
        self
    }

    /// What it's about may not be there, though its path has no id.
    pub fn may_be_missing(mut self) -> Self {
        self.may_be_missing = true;
        self
    }

    /// Though it's for everybody, it takes a secret.
    pub fn may_be_refused(mut self) -> Self {
        self.may_be_refused = true;
        self
    }

    /// The answer when all goes well.
    pub fn answers(mut self, status: u16, answer: Answer) -> Self {
        self.status = status;
        self.answer = answer;
        self
    }

    fn describe(&self, public: bool) -> Value {
        let steps = self
            .path
            .split('/')
            .filter(|step| !matches!(*step, "" | "api" | "v2"));
        let words: Vec<String> = steps
            .map(|step| step.replace(['{', '}'], "").replace('-', "_"))
            .collect();
        let tag = words.first().cloned().unwrap_or_default();
        let mut parameters: Vec<Value> = (self.path.split('/'))
            .filter_map(|step| step.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let kind = match name {
                    "name" | "cve" | "token" | "secret" => "string",
                    _ => "integer",
                };
                json!({"name": name, "in": "path", "required": true, "schema": {"type": kind}})
            })
            .collect();
        let paged = matches!(self.answer, Answer::Page(_));
        let of_pages = PAGES.iter().filter(|_| paged);
        for field in self.query.iter().chain(of_pages) {
            let mut parameter =
                json!({"name": field.name, "in": "query", "schema": field.schema()});
            if field.required {
                parameter["required"] = json!(true);
            }
            if paged && field.name == "cursor" {
                parameter["description"] = json!(CURSOR);
                parameter["allowEmptyValue"] = json!(true);
            }
            if matches!(field.kind, Kind::Texts | Kind::Choices(_) | Kind::Refs(_)) {
                parameter["style"] = json!("form");
                parameter["explode"] = json!(false);
            }
            parameters.push(parameter);
        }
        let mut responses = self.described_answer();
        let keyed = !public && self.method == Method::POST;
        for (status, is_possible) in self.refusals(public) {
            if is_possible {
                let reference = json!({"$ref": format!("#/components/responses/{status}")});
                responses.insert(status.into(), reference);
            }
        }
        if keyed {
            parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
        }
        if responses.contains_key("304") {
            parameters.push(json!({"$ref": "#/components/parameters/IfNoneMatch"}));
        }
        let mut operation = json!({
            "operationId": format!("{}_{}", words.join("_"), self.method.as_str().to_lowercase()),
            "summary": self.summary,
            "tags": [tag],
            "parameters": parameters,
            "responses": responses,
            "security": if public { json!([]) } else { json!([{"tokenAuth": []}, {"basicAuth": []}]) },
        });
        if let Some(body) = &self.body {
            let (schema, kinds): (_, &[&str]) = match body {
                Body::Schema(schema) => (
                    schema,
                    &[
                        "application/json",
                        "application/x-www-form-urlencoded",
                        "multipart/form-data",
                    ],
                ),
                Body::Multipart(schema) => (schema, &["multipart/form-data"]),
            };
            operation["requestBody"] = json!({"content": content(&reference(schema), kinds)});
        }
        operation
    }

    /// What it answers when all goes well.
    fn described_answer(&self) -> Map<String, Value> {
        let mut responses = Map::new();
        let mut answer = json!({"description": self.summary});
        match self.answer {
            Answer::Media(kinds) => {
                answer["content"] = content(&json!({"type": "string", "format": "binary"}), kinds);
            }
            other => {
                if let Some(schema) = other.schema() {
                    answer["content"] = content(&schema, &["application/json"]);
                }
            }
        }
        let bytes = content(&json!({"type": "string", "format": "binary"}), self.also);
        for (kind, bytes) in bytes.as_object().into_iter().flatten() {
            answer["content"][kind] = bytes.clone();
        }
        responses.insert(self.status.to_string(), answer);
        responses
    }

    /// With which statuses it may do nothing.
    fn refusals(&self, public: bool) -> [(&'static str, bool); 10] {
        let method = &self.method;
        let takes_body = self.body.is_some();
        let changes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
        let is_one = matches!(self.answer, Answer::One(_));
        let is_keyed = !public && *method == Method::POST;
        let is_paged = matches!(self.answer, Answer::Page(_));
        [
            ("304", *method == Method::GET && is_one),
            (
                "400",
                takes_body || !self.query.is_empty() || is_paged || is_keyed,
            ),
            ("401", !public || self.may_be_refused),
            ("403", !public),
            ("404", self.path.contains('{') || self.may_be_missing),
            ("409", changes && !public),
            ("413", takes_body),
            ("415", takes_body),
            ("422", is_keyed),
            ("429", true),
        ]
    }
}

/// A schema as each of some media types.
fn content(schema: &Value, kinds: &[&str]) -> Value {
    let kinds = kinds
        .iter()
        .map(|kind| ((*kind).to_owned(), json!({"schema": schema})));
    Value::Object(kinds.collect())
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

impl Answer {
    fn schema(self) -> Option<Value> {
        match self {
            Self::One(schema) => Some(reference(schema)),
            Self::Page(schema) => Some(json!({
                "type": "object",
                "required": ["count", "next", "previous", "results"],
                "properties": {
                    "count": {"type": "integer"},
                    "next": {"type": "string", "format": "uri", "nullable": true},
                    "previous": {"type": "string", "format": "uri", "nullable": true},
                    "results": {"type": "array", "items": reference(schema)},
                },
            })),
            Self::List(schema) => Some(json!({"type": "array", "items": reference(schema)})),
            Self::Object => Some(json!({"type": "object"})),
            Self::Media(_) | Self::Empty => None,
        }
    }
}

impl Routes {
    /// No routes yet.
    pub fn new(file_bytes: usize) -> Self {
        let error = json!({
            "type": "object",
            // a field may be called `message` too, and then has a list here
            "properties": {"detail": {"type": "string"}, "message": {}},
            "additionalProperties": true,
        });
        let document = json!({
            "openapi": "3.0.3",
            "info": {
                "title": "Tatami",
                "version": format!("{} (v2)", env!("CARGO_PKG_VERSION")),
                "description": "Vulnerability management: reports in, findings out.",
            },
            "paths": {},
            "components": {
                "schemas": {"Error": error},
                "parameters": common_parameters(),
                "responses": common_responses(),
                "securitySchemes": {
                    "tokenAuth": {
                        "type": "apiKey", "in": "header", "name": "Authorization",
                        "description": "`Token` or `Bearer`, a space, and the token",
                    },
                    "basicAuth": {"type": "http", "scheme": "basic"},
                },
            },
        });
        Self {
            public: Router::new(),
            private: Router::new(),
            document,
            loaders: Loaders::new(),
            prefetches: Vec::new(),
            file_bytes,
        }
    }

    /// Adds an operation for those who are known.
    pub fn add<H, T>(&mut self, operation: &Operation, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.describe(operation, false);
        let routes = std::mem::take(&mut self.private);
        self.private = routes.route(&operation.path, self.routed(operation, handler));
    }

    /// Adds an operation for everybody.
    pub fn add_public<H, T>(&mut self, operation: &Operation, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.describe(operation, true);
        let routes = std::mem::take(&mut self.public);
        self.public = routes.route(&operation.path, self.routed(operation, handler));
    }

    fn routed<H, T>(&self, operation: &Operation, handler: H) -> MethodRouter<Api>
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let most = match operation.body {
            Some(Body::Multipart(_)) => self.file_bytes,
            _ => BODY_BYTES,
        };
        let mut route = on(filter(&operation.method), handler);
        if matches!(operation.answer, Answer::One(_)) {
            route = route.layer(from_fn(tagged));
        }
        route.layer(DefaultBodyLimit::max(most)).layer(from_fn(
            move |request: Request, next: Next| async move {
                let length = request.headers().get(header::CONTENT_LENGTH);
                let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
                // said before anything of it is sent, where the client waits for that
                if length.is_some_and(|length| length > most as u64) {
                    return too_large().into_response();
                }
                next.run(request).await
            },
        ))
    }

    fn describe(&mut self, operation: &Operation, public: bool) {
        let api = operation.path.starts_with("/api/");
        let path = format!("{}{}", operation.path, if api { "/" } else { "" });
        let method = operation.method.as_str().to_lowercase();
        self.document["paths"][path][method] = operation.describe(public);
    }

    /// Says how things of a kind are read that others point to.
    pub fn loads(&mut self, kind: &'static str, schema: &'static str, load: Load) {
        self.loaders.insert(kind, Loader { schema, load });
    }

    /// The list and the gets of a resource have the parameter `prefetch`, for those of its fields that
    /// point to something, and for others.
    pub fn prefetches(
        &mut self,
        path: &'static str,
        schema: &'static str,
        fields: &'static [Field],
        others: &'static [(&'static str, &'static str)],
    ) {
        self.prefetches.push(Prefetches {
            path,
            schema,
            fields,
            others,
        });
    }

    /// Says what is known when all routes are there: what can be prefetched, and which writes are over
    /// things with tags and mind them.
    #[must_use]
    pub fn finished(mut self) -> Self {
        for what in &self.prefetches {
            let pointers = prefetch::pointers(what.fields, &self.loaders);
            let pointers = pointers.map(|(name, loader)| (name, loader.schema));
            let mut names: Vec<(&str, &str)> = pointers.collect();
            names.extend(what.others);
            if names.is_empty() {
                continue;
            }
            let words: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let parameter = json!({
                "name": prefetch::NAME, "in": "query", "style": "form", "explode": false,
                "description": "Fields to send along what they point to, in `prefetch` by field and id.",
                "schema": {"type": "array", "items": {"type": "string", "enum": words}},
            });
            for path in [format!("{}/", what.path), format!("{}/{{id}}/", what.path)] {
                let operation = &mut self.document["paths"][path]["get"];
                if let Some(parameters) = operation["parameters"].as_array_mut() {
                    parameters.push(parameter.clone());
                }
            }
            let schema = &mut self.document["components"]["schemas"][what.schema];
            schema["properties"][prefetch::NAME] = prefetch::schema(names);
        }
        let paths = self.document["paths"].as_object_mut();
        let paths = paths.into_iter().flat_map(|paths| paths.values_mut());
        for operations in paths.filter(|path| path["get"]["responses"]["304"].is_object()) {
            for method in ["put", "patch", "delete"] {
                let Some(operation) = operations.get_mut(method) else {
                    continue;
                };
                let if_match = json!({"$ref": "#/components/parameters/IfMatch"});
                if let Some(parameters) = operation["parameters"].as_array_mut() {
                    parameters.push(if_match);
                }
                operation["responses"]["412"] = json!({"$ref": "#/components/responses/412"});
            }
        }
        self
    }

    /// Adds the schemas of a resource: what is answered, what is sent, and what is sent to change it.
    pub fn schemas(&mut self, name: &str, fields: &[Field]) {
        let schema = |fields: &mut dyn Iterator<Item = &Field>, required: Vec<&str>| {
            let properties: Map<String, Value> = fields
                .map(|field| (field.name.to_owned(), field.schema()))
                .collect();
            let mut schema = json!({"type": "object", "properties": properties});
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            schema
        };
        let names = |wanted: &dyn Fn(&&Field) -> bool| -> Vec<&str> {
            fields
                .iter()
                .filter(wanted)
                .map(|field| field.name)
                .collect()
        };
        let answered = schema(
            &mut fields.iter().filter(|field| !field.write_only),
            names(&|f| f.read_only || f.required),
        );
        let sent = || fields.iter().filter(|field| !field.read_only);
        let request = schema(&mut sent(), names(&|f| !f.read_only && f.required));
        let patch = schema(&mut sent().filter(|field| !field.fixed), Vec::new());
        let schemas = &mut self.document["components"]["schemas"];
        schemas[name] = answered;
        if sent().next().is_some() {
            schemas[format!("{name}Request")] = request;
            schemas[format!("Patched{name}Request")] = patch;
        }
    }

    /// Adds a schema that is only sent or only answered.
    pub fn schema(&mut self, name: &str, schema: Value) {
        self.document["components"]["schemas"][name] = schema;
    }
}

/// Headers that many operations take.
fn common_parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "description": description, "schema": schema});
    let tag = || json!({"type": "string"});
    json!({
        "IdempotencyKey": header(
            "Idempotency-Key",
            "The same request under the same key is done once in 24 hours; who sends it again has the \
             same answer.",
            json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"}),
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "The ETag of what the client has already: it is not sent again.",
            tag(),
        ),
        "IfMatch": header(
            "If-Match",
            "The ETag of what the client has seen: nothing else is written over.",
            tag(),
        ),
    })
}

/// What operations answer that do nothing.
fn common_responses() -> Value {
    let refused = |description: &str| {
        json!({
            "description": description,
            "content": {"application/json": {"schema": reference("Error")}},
        })
    };
    let mut responses = json!({
        "304": {"description": "It is what the client has already"},
        "400": refused("Something sent is not what it should be"),
        "401": refused("Nobody known is asking"),
        "403": refused("Not permitted"),
        "404": refused("Not there"),
        "409": refused("It is in use, or somebody else changes it, or is still doing the same"),
        "412": refused("It has changed since the client has seen it"),
        "413": refused("The body is too large"),
        "415": refused("The body is of a type that is not taken"),
        "422": refused("The Idempotency-Key belongs to another request"),
        "429": refused("Too many requests"),
    });
    // what names no target of an import is answered as DefectDojo does
    responses["400"]["content"]["application/json"]["schema"] = json!({"anyOf": [
        reference("Error"),
        {"type": "array", "items": {"type": "string"}},
    ]});
    responses["429"]["headers"]["Retry-After"] = json!({
        "description": "Seconds to wait",
        "schema": {"type": "integer"},
    });
    responses
}

fn filter(method: &Method) -> MethodFilter {
    // no operation has another method than these
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_reference_leads_to_a_schema_and_every_operation_has_its_own_name() {
        let document = crate::routes::all(0).document;
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert!(schemas.values().all(serde_json::Value::is_object));
        let mut names = BTreeSet::new();
        let paths = document["paths"].as_object().unwrap();
        for operation in paths.values().flat_map(|p| p.as_object().unwrap().values()) {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name), "{name} twice");
        }
        for path in [
            "/health",
            "/api/v2/findings/{id}/notes/",
            "/api/v2/import-scan/",
        ] {
            assert!(paths.contains_key(path), "{path}");
        }
        assert!(names.len() > 50, "{}", names.len());
    }
}
