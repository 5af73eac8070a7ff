//! The official documents of JIRA Cloud, versions 2 and 3 of the API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tatami_jira_client::parse_timestamp;

pub struct Document(Value);

/// The document of a version, or `None` where it isn't on this machine, which is then said.
pub fn document(version: &str) -> Option<&'static Document> {
    static DOCUMENTS: OnceLock<BTreeMap<&str, Document>> = OnceLock::new();
    let documents = DOCUMENTS.get_or_init(|| {
        let folder = crate::variable("TATAMI_OPENAPI").map_or_else(beside, PathBuf::from);
        let read = |version| {
            let path = folder.join(format!("jira-cloud-v{version}.json"));
            let Ok(bytes) = std::fs::read(&path) else {
                eprintln!("SKIPPED: {} isn't there (TATAMI_OPENAPI)", path.display());
                return None;
            };
            Some((version, Document(serde_json::from_slice(&bytes).unwrap())))
        };
        ["2", "3"].into_iter().filter_map(read).collect()
    });
    documents.get(version)
}

/// Beside the repository, or beside the folder that worktrees of it are in.
fn beside() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let near = repository.join("../shared/openapi");
    let far = repository.join("../../shared/openapi");
    if far.is_dir() && !near.is_dir() {
        far
    } else {
        near
    }
}

impl Document {
    /// The description of an operation by its path below `/rest/api/<version>`.
    pub fn operation(&self, version: &str, path: &str, method: &str) -> Option<&Value> {
        self.0["paths"]
            .get(format!("/rest/api/{version}{path}"))?
            .get(method.to_lowercase())
    }

    /// What is wrong with a value by a schema of the document.
    pub fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut used = Map::new();
        self.collect(schema, &mut used);
        let mut root = schema.clone();
        root["components"] = json!({ "schemas": used });
        root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        // Beside `$ref` draft 7 looks at nothing.
        let root = match root.get("$ref") {
            Some(reference) => json!({ "allOf": [{ "$ref": reference }],
                "components": root["components"], "$schema": root["$schema"] }),
            None => root,
        };
        let validator = jsonschema::options()
            // JIRA's own form isn't that of RFC 3339.
            .with_format("date-time", |time: &str| parse_timestamp(time).is_ok())
            .build(&root)
            .unwrap();
        let error = |e: jsonschema::ValidationError| format!("{}: {e}", e.instance_path());
        validator.iter_errors(value).map(error).collect()
    }

    pub fn schema(&self, name: &str) -> Value {
        assert!(
            self.0["components"]["schemas"].get(name).is_some(),
            "{name}"
        );
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// The schemas that a schema leads to.
    fn collect(&self, schema: &Value, used: &mut Map<String, Value>) {
        match schema {
            Value::Object(map) => {
                let reference = map.get("$ref").and_then(Value::as_str);
                if let Some(name) = reference.and_then(|r| r.strip_prefix("#/components/schemas/"))
                    && !used.contains_key(name)
                {
                    let target = &self.0["components"]["schemas"][name];
                    used.insert(name.to_owned(), target.clone());
                    self.collect(target, used);
                }
                map.values().for_each(|value| self.collect(value, used));
            }
            Value::Array(values) => values.iter().for_each(|value| self.collect(value, used)),
            _ => {}
        }
    }
}
