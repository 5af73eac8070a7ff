//! The records of a Trivy report, as far as a finding has room for them.

use serde::Deserialize;

use crate::kit::json::{Decimal, Int, List, OneOrMany, Pairs, Text, nullable};

/// A record that is nothing without its id.
pub trait Identified {
    /// The id's name in the report.
    const ID: &'static str;
    /// The id.
    fn id(&self) -> &str;
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    pub id: Text,
    #[serde(rename = "PkgName")]
    pub package: Text,
    #[serde(rename = "PkgPath")]
    pub path: Text,
    #[serde(rename = "InstalledVersion")]
    pub installed: Text,
    #[serde(rename = "FixedVersion")]
    pub fixed: Text,
    pub status: Text,
    pub title: Text,
    pub description: Text,
    pub severity: Text,
    pub severity_source: Text,
    #[serde(rename = "CweIDs")]
    pub cwes: List,
    #[serde(rename = "CVSS")]
    pub cvss: Pairs<Cvss>,
    #[serde(rename = "PrimaryURL")]
    pub primary_url: Text,
    pub references: List,
    #[serde(rename = "PublishedDate")]
    pub published: Text,
}

impl Identified for Vulnerability {
    const ID: &'static str = "VulnerabilityID";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Cvss {
    pub v3_vector: Text,
    pub v3_score: Decimal,
    pub v40_vector: Text,
    pub v40_score: Decimal,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Misconfiguration {
    #[serde(rename = "ID")]
    pub id: Text,
    #[serde(rename = "Type")]
    pub kind: Text,
    pub title: Text,
    pub description: Text,
    pub message: Text,
    pub resolution: Text,
    pub severity: Text,
    #[serde(rename = "PrimaryURL")]
    pub primary_url: Text,
    pub references: List,
    pub status: Text,
    #[serde(rename = "CauseMetadata", deserialize_with = "nullable")]
    pub cause: Cause,
}

impl Misconfiguration {
    /// With `--include-non-failures` the report lists what is in order, too.
    pub fn passed(&self) -> bool {
        matches!(&*self.status, "PASS" | "EXCEPTION")
    }
}

impl Identified for Misconfiguration {
    const ID: &'static str = "ID";

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Cause {
    #[serde(deserialize_with = "nullable")]
    pub code: Code,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Code {
    pub lines: OneOrMany<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Line {
    pub number: Int,
    pub content: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Secret {
    pub title: Text,
    pub category: Text,
    pub severity: Text,
    pub start_line: Int,
    #[serde(rename = "Match")]
    pub matched: Text,
}

impl Identified for Secret {
    const ID: &'static str = "Title";

    fn id(&self) -> &str {
        &self.title
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct License {
    pub name: Text,
    pub category: Text,
    pub severity: Text,
    #[serde(rename = "PkgName")]
    pub package: Text,
    pub file_path: Text,
    pub confidence: Decimal,
    pub link: Text,
}

impl Identified for License {
    const ID: &'static str = "Name";

    fn id(&self) -> &str {
        &self.name
    }
}
