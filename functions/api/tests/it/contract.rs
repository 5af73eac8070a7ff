//! DefectDojo's REST API v2 is the contract: clients are generated from its OpenAPI document. What of it
//! Tatami lacks stands in `contract-missing.txt` with the reason, and nothing else is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::app::TestApp;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const CONTRACT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/openapi/defectdojo-v2.yaml"
);
const MISSING: &str = include_str!("../contract-missing.txt");

/// An OpenAPI document.
struct Document(Value);

impl Document {
    /// The schema, or what it refers to.
    fn resolve<'d>(&'d self, schema: &'d Value) -> &'d Value {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap();
                self.resolve(&self.0["components"]["schemas"][name])
            }
            None => schema,
        }
    }

    /// The names of the fields of a schema; of a list or a page those of what is in it.
    fn fields(&self, schema: &Value) -> BTreeSet<String> {
        let schema = self.resolve(schema);
        if let Some(parts) = schema["allOf"].as_array() {
            return parts.iter().flat_map(|part| self.fields(part)).collect();
        }
        if schema["type"] == "array" {
            return self.fields(&schema["items"]);
        }
        let fields = schema["properties"].as_object();
        match fields {
            Some(page) if page.contains_key("count") && page.contains_key("results") => {
                self.fields(&page["results"]["items"])
            }
            Some(fields) => fields.keys().cloned().collect(),
            None => BTreeSet::new(),
        }
    }

    /// Of what has `content`, the fields of its first kind.
    fn content(&self, of: &Value) -> BTreeSet<String> {
        let kinds = of["content"].as_object().into_iter().flatten();
        let first = kinds.map(|(_, kind)| &kind["schema"]).next();
        first.map(|schema| self.fields(schema)).unwrap_or_default()
    }

    /// Everything there is, as words: operations, their parameters, and the fields they take and give.
    fn words(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut words = BTreeMap::new();
        for (path, operations) in self.0["paths"].as_object().unwrap() {
            for method in METHODS {
                let Some(operation) = operations.get(method) else {
                    continue;
                };
                let mut of_operation = BTreeSet::new();
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    if parameter["in"] == "query" {
                        let name = parameter["name"].as_str().unwrap();
                        of_operation.insert(format!("parameter {name}"));
                    }
                }
                for field in self.content(&operation["requestBody"]) {
                    of_operation.insert(format!("takes {field}"));
                }
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    if status.starts_with('2') {
                        let fields = self.content(answer).into_iter();
                        of_operation.extend(fields.map(|field| format!("gives {field}")));
                    }
                }
                words.insert(format!("{} {path}", method.to_uppercase()), of_operation);
            }
        }
        words
    }
}

/// Does `text` look like `pattern`, in which each `*` stands for anything?
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[tokio::test]
async fn nothing_of_the_contract_is_missing_without_a_reason() {
    if !Path::new(CONTRACT).exists() {
        eprintln!("skipped: there is no {CONTRACT}");
        return;
    }
    let theirs = std::fs::read_to_string(CONTRACT).unwrap();
    let theirs = Document(yaml_serde::from_str(&theirs).unwrap()).words();
    let app = TestApp::start().await;
    let ours = Document(app.get("oa3/schema/").await.1).words();
    let mut missing = Vec::new();
    for (operation, words) in &theirs {
        match ours.get(operation) {
            None => missing.push(operation.clone()),
            Some(known) => {
                let lacking = words.difference(known);
                missing.extend(lacking.map(|word| format!("{operation} {word}")));
            }
        }
    }
    let lines = MISSING.lines().map(str::trim);
    let reasons: Vec<(&str, &str)> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(" -- ").expect("a pattern -- its reason"))
        .collect();
    let unsaid: Vec<&String> = (missing.iter())
        .filter(|what| !reasons.iter().any(|(pattern, _)| is_like(pattern, what)))
        .collect();
    assert!(unsaid.is_empty(), "missing without a reason: {unsaid:#?}");
    let stale: Vec<&str> = (reasons.iter())
        .filter(|(pattern, _)| !missing.iter().any(|what| is_like(pattern, what)))
        .map(|(pattern, _)| *pattern)
        .collect();
    assert!(stale.is_empty(), "not missing any more: {stale:#?}");
}

#[test]
fn a_star_stands_for_anything() {
    for (pattern, text, like) in [
        ("GET /a/", "GET /a/", true),
        ("GET /a/", "GET /a/b/", false),
        ("* /a/*", "GET /a/b/", true),
        ("GET /*/ gives x", "GET /a/ gives x", true),
        ("GET /*/ gives x", "GET /a/ gives xy", false),
    ] {
        assert_eq!(is_like(pattern, text), like, "{pattern}");
    }
}
