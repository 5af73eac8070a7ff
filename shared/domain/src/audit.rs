//! The audit log: who changed what, each entry chained to the one before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Finding, TokenId, UserId};

/// What one request changed.
///
/// Entries are numbered from 1 and kept as the JSON text that they were written as. An entry names the
/// SHA-256 of the text of the one before ([`AuditEntry::previous`]), so that none can be changed, taken out
/// or put in without all later ones being written anew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub id: u64,
    /// When the request came.
    pub time: Timestamp,
    /// The id that the answer has too, in `X-Request-Id`.
    pub request_id: String,
    /// Who asked; none where nobody was signed in.
    pub user: Option<UserId>,
    /// Their name at that time.
    pub username: Option<String>,
    /// The token they used, where it was one.
    pub token: Option<TokenId>,
    /// From where, as API Gateway saw it.
    pub address: Option<String>,
    /// Such as `PATCH`.
    pub method: String,
    /// Such as `/api/v2/findings/7`.
    pub path: String,
    /// The status of the answer; none where the request broke off, and what it had done is not known.
    pub status: Option<u16>,
    /// What it changed.
    pub changes: Vec<AuditChange>,
    /// Hex SHA-256 of the text of the entry before; empty for the first.
    pub previous: String,
}

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditChange {
    /// What kind of thing, such as `finding`.
    pub object: String,
    /// Its id.
    pub object_id: u64,
    /// What was done with it.
    pub action: AuditAction,
    /// Its fields: all of a new or a deleted thing, those that differ of a changed one. Empty where the
    /// request changed too much for one entry.
    pub fields: Map<String, Value>,
}

/// What was done with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum AuditAction {
    Created,
    Changed,
    Deleted,
}

impl AuditAction {
    /// Their names in filters.
    pub const NAMES: &[&str] = &["created", "changed", "deleted"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// What stands for a value that nobody is shown.
const HIDDEN: &str = "(not shown)";
/// So many characters of a text are kept.
const SHOWN: usize = 1000;

impl AuditChange {
    /// A thing as it was and as it is, none where it wasn't or isn't there. Of the fields in `private`
    /// it's only said that they changed. `None` where nothing differs.
    pub fn new(
        object: &str,
        object_id: u64,
        before: Option<Map<String, Value>>,
        after: Option<Map<String, Value>>,
        private: &[&str],
    ) -> Option<Self> {
        let action = match (&before, &after) {
            (None, Some(_)) => AuditAction::Created,
            (Some(_), None) => AuditAction::Deleted,
            _ => AuditAction::Changed,
        };
        let (mut before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let mut fields = Map::new();
        let mut add = |name: String, was: Option<Value>, is: Option<Value>| {
            if was == is {
                return;
            }
            let hidden = private.contains(&&*name);
            let mut sides = Map::new();
            for (side, value) in [("before", was), ("after", is)] {
                if let Some(value) = value.filter(|value| !value.is_null()) {
                    let value = if hidden { json!(HIDDEN) } else { cut(value) };
                    sides.insert(side.into(), value);
                }
            }
            if !sides.is_empty() {
                fields.insert(name, Value::Object(sides));
            }
        };
        for (name, is) in after {
            let was = before.remove(&name);
            add(name, was, Some(is));
        }
        for (name, was) in before {
            add(name, Some(was), None);
        }
        let nothing = fields.is_empty() && action == AuditAction::Changed;
        (!nothing).then(|| Self {
            object: object.to_owned(),
            object_id,
            action,
            fields,
        })
    }
}

/// A value of which long texts are cut.
fn cut(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > SHOWN => {
            let count = text.chars().count();
            if count <= SHOWN {
                return Value::String(text);
            }
            let start: String = text.chars().take(SHOWN).collect();
            Value::String(format!("{start}… ({count} characters)"))
        }
        Value::Array(values) => Value::Array(values.into_iter().map(cut).collect()),
        other => other,
    }
}

/// The names of a stored finding's fields, under which the REST API knows them. What isn't here tells
/// nobody anything.
const FINDING_NAMES: &[(&str, &str)] = &[
    ("p", "product"),
    ("e", "engagement"),
    ("t", "test"),
    ("n", "title"),
    ("c", "cwe"),
    ("v", "vulnerability_ids"),
    ("v3", "cvssv3"),
    ("v3s", "cvssv3_score"),
    ("v4", "cvssv4"),
    ("v4s", "cvssv4_score"),
    ("ep", "epss_score"),
    ("epp", "epss_percentile"),
    ("ke", "known_exploited"),
    ("rw", "ransomware_used"),
    ("kd", "kev_date"),
    ("cn", "component_name"),
    ("cv", "component_version"),
    ("fa", "fix_available"),
    ("fv", "fix_version"),
    ("fp", "file_path"),
    ("l", "line"),
    ("so", "sast_source_object"),
    ("sf", "sast_source_file_path"),
    ("sl", "sast_source_line"),
    ("sk", "sast_sink_object"),
    ("en", "endpoints"),
    ("ei", "endpoint_ids"),
    ("pa", "param"),
    ("sv", "service"),
    ("u", "unique_id_from_tool"),
    ("vi", "vuln_id_from_tool"),
    ("d", "date"),
    ("pd", "publish_date"),
    ("rd", "planned_remediation_date"),
    ("rv", "planned_remediation_version"),
    ("ef", "effort_for_fixing"),
    ("no", "nb_occurences"),
    ("sc", "scanner_confidence"),
    ("tg", "tags"),
    ("st", "static_finding"),
    ("dy", "dynamic_finding"),
    ("o", "duplicate_finding"),
    ("po", "proposed_duplicate"),
    ("ob", "duplicate_by"),
    ("mb", "mitigated_by"),
    ("ss", "sla_start_date"),
    ("r", "reporter"),
    ("rs", "reviewers"),
    ("rr", "review_requested_by"),
    ("dr", "defect_review_requested_by"),
    ("lr", "last_reviewed"),
    ("lb", "last_reviewed_by"),
    ("th", "thread_id"),
    ("ur", "url"),
    ("h", "hash_code"),
    ("g", "finding_group"),
    ("ra", "risk_acceptance"),
    ("x", "texts"),
];

impl Finding {
    /// Its fields under the names that the REST API has for them. Of long texts there is only where they
    /// lie, which changes with them.
    pub fn audited(&self) -> Map<String, Value> {
        let Ok(Value::Object(stored)) = serde_json::to_value(self) else {
            return Map::new();
        };
        let mut fields: Map<String, Value> = FINDING_NAMES
            .iter()
            .filter_map(|(short, name)| Some(((*name).to_owned(), stored.get(*short)?.clone())))
            .collect();
        let flags = self.flags;
        for (name, value) in [
            ("active", flags.active),
            ("verified", flags.verified),
            ("false_p", flags.false_p),
            ("duplicate", flags.duplicate),
            ("out_of_scope", flags.out_of_scope),
            ("risk_accepted", flags.risk_accepted),
            ("under_review", flags.under_review),
            ("under_defect_review", flags.under_defect_review),
            ("is_mitigated", flags.is_mitigated),
        ] {
            fields.insert(name.into(), json!(value));
        }
        fields.insert("severity".into(), json!(self.severity.name()));
        if let Some(mitigated) = self.mitigated {
            fields.insert("mitigated".into(), json!(mitigated));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flags, Severity};

    fn object(value: &Value) -> Option<Map<String, Value>> {
        value.as_object().cloned()
    }

    #[test]
    fn a_change_has_the_fields_that_differ() {
        let before = object(&json!({"name": "a", "gone": 1, "same": [1], "secret": "x"}));
        let after = object(&json!({"name": "b", "same": [1], "secret": "y"}));
        let change = AuditChange::new("product", 7, before.clone(), after, &["secret"]).unwrap();
        assert_eq!(change.action, AuditAction::Changed);
        assert_eq!(
            Value::Object(change.fields),
            json!({
                "name": {"before": "a", "after": "b"},
                "gone": {"before": 1},
                "secret": {"before": HIDDEN, "after": HIDDEN},
            })
        );
        assert_eq!(
            AuditChange::new("product", 7, before.clone(), before, &[]),
            None
        );
    }

    #[test]
    fn what_is_made_or_deleted_has_all_of_them() {
        let thing = object(&json!({"name": "a", "none": null}));
        let made = AuditChange::new("product", 7, None, thing.clone(), &[]).unwrap();
        assert_eq!(made.action, AuditAction::Created);
        assert_eq!(Value::Object(made.fields), json!({"name": {"after": "a"}}));
        let gone = AuditChange::new("product", 7, thing, None, &[]).unwrap();
        assert_eq!(gone.action, AuditAction::Deleted);
        assert_eq!(Value::Object(gone.fields), json!({"name": {"before": "a"}}));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = cut(json!(["ü".repeat(5000)]));
        let text = cut[0].as_str().unwrap();
        assert!(text.ends_with("ü… (5000 characters)"), "{text}");
        assert!(text.chars().count() < 1030);
    }

    #[test]
    fn findings_have_the_names_of_the_api() {
        let old = Finding {
            title: "SQL injection".into(),
            flags: Flags::OPEN,
            ..Finding::default()
        };
        let new = Finding {
            severity: Severity::High,
            flags: Flags {
                false_p: true,
                ..Flags::OPEN
            },
            version: 4,
            ..old.clone()
        };
        let change = AuditChange::new("finding", 1, Some(old.audited()), Some(new.audited()), &[]);
        let fields = change.unwrap().fields;
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        assert_eq!(names, ["false_p", "severity"]);
        assert_eq!(fields["severity"]["after"], "High");
    }
}
