//! What may be said of a new issue. The same facts come in three shapes: Cloud's pages, Data Center's pages,
//! and the one answer of older servers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::IssueType;
use crate::model::null_is_empty;

/// Add-ons' names of the fields by which Data Center ties issues to epics.
const EPIC_LINK: &str = "com.pyxis.greenhopper.jira:gh-epic-link";
const EPIC_NAME: &str = "com.pyxis.greenhopper.jira:gh-epic-label";

/// The fields that an issue type takes at creation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateMeta {
    /// By id: `summary`, `customfield_10011`.
    pub fields: BTreeMap<String, FieldMeta>,
}

/// What a field takes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FieldMeta {
    /// Its id, where the answer says it here.
    pub field_id: Option<String>,
    /// What people see, which they may change.
    pub name: String,
    /// Whether it must be given, unless it has a default.
    pub required: bool,
    /// Whether JIRA has a value of its own for it.
    pub has_default_value: bool,
    /// Its type.
    pub schema: FieldSchema,
    /// What it may be, where that is a list.
    #[serde(deserialize_with = "null_is_empty")]
    pub allowed_values: Vec<AllowedValue>,
}

/// A field's type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FieldSchema {
    /// `string`, `array`, `user`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What an array holds.
    pub items: Option<String>,
    /// The name of a field that JIRA itself has.
    pub system: Option<String>,
    /// The add-on and its name for any other.
    pub custom: Option<String>,
}

/// One of the values that a field may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AllowedValue {
    /// A number as text.
    pub id: Option<String>,
    /// Of priorities, components, resolutions.
    pub name: Option<String>,
    /// Of select lists.
    pub value: Option<String>,
}

impl CreateMeta {
    /// The id of Data Center's field "Epic Link", whatever people call it.
    pub fn epic_link(&self) -> Option<&str> {
        self.find(EPIC_LINK, "Epic Link")
    }

    /// The id of Data Center's field "Epic Name", which epics need.
    pub fn epic_name(&self) -> Option<&str> {
        self.find(EPIC_NAME, "Epic Name")
    }

    fn find(&self, custom: &str, name: &str) -> Option<&str> {
        let by = |is: &dyn Fn(&FieldMeta) -> bool| {
            let found = self.fields.iter().find(|(_, field)| is(field));
            found.map(|(id, _)| id.as_str())
        };
        by(&|field| field.schema.custom.as_deref() == Some(custom)).or_else(|| {
            // Some imports of projects leave the type behind.
            by(&|field| field.name == name && field.schema.system.is_none())
        })
    }
}

impl FieldMeta {
    /// Whether it takes something of that name. A field without a list takes what it likes.
    pub fn allows(&self, name: &str) -> bool {
        let named = |value: &AllowedValue| {
            [&value.name, &value.value]
                .into_iter()
                .any(|n| n.as_deref() == Some(name))
        };
        self.allowed_values.is_empty() || self.allowed_values.iter().any(named)
    }
}

/// A page of issue types: `issueTypes` on Cloud, `values` on Data Center.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypePage {
    issue_types: Option<Vec<IssueType>>,
    values: Option<Vec<IssueType>>,
    total: Option<u64>,
}

/// A page of fields: `fields` on Cloud, `values` on Data Center.
#[derive(Deserialize)]
pub(crate) struct FieldPage {
    fields: Option<Vec<FieldMeta>>,
    values: Option<Vec<FieldMeta>>,
    total: Option<u64>,
}

/// A page of something that says how many there are.
pub(crate) trait Page {
    /// What it holds.
    type Item;

    /// All of it, or nothing where the answer is something else. And how many there are in all.
    fn take(self) -> Option<(Vec<Self::Item>, Option<u64>)>;
}

impl Page for TypePage {
    type Item = IssueType;

    fn take(self) -> Option<(Vec<IssueType>, Option<u64>)> {
        Some((self.issue_types.or(self.values)?, self.total))
    }
}

impl Page for FieldPage {
    type Item = FieldMeta;

    fn take(self) -> Option<(Vec<FieldMeta>, Option<u64>)> {
        Some((self.fields.or(self.values)?, self.total))
    }
}

/// The one answer of older servers.
#[derive(Deserialize)]
pub(crate) struct OldMeta {
    pub(crate) projects: Vec<OldProject>,
}

#[derive(Deserialize)]
pub(crate) struct OldProject {
    #[serde(default, rename = "issuetypes", deserialize_with = "null_is_empty")]
    pub(crate) issue_types: Vec<OldType>,
}

#[derive(Deserialize)]
pub(crate) struct OldType {
    #[serde(flatten)]
    pub(crate) issue_type: IssueType,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) fields: BTreeMap<String, FieldMeta>,
}

impl FromIterator<FieldMeta> for CreateMeta {
    /// Fields without an id are none that could be sent.
    fn from_iter<I: IntoIterator<Item = FieldMeta>>(fields: I) -> Self {
        let named = |field: FieldMeta| Some((field.field_id.clone()?, field));
        Self {
            fields: fields.into_iter().filter_map(named).collect(),
        }
    }
}
