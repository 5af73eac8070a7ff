use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ProductId, RehashJobId, TestTypeId, UserId};

/// How findings of one scanner are recognised again, where no settings say otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Dedupe {
    /// Which keys count.
    pub algorithm: Algorithm,
    /// What goes into the hash; empty: the legacy fields (title, CWE, line, file path,
    /// description).
    pub fields: &'static [HashField],
    /// With `false`, a finding without a CWE falls back to the legacy fields.
    pub allows_null_cwe: bool,
}

impl Dedupe {
    /// How findings made by hand are recognised: by what everybody fills in.
    pub const BY_HAND: Self = Self {
        algorithm: Algorithm::Legacy,
        fields: &[],
        allows_null_cwe: true,
    };
}

/// The four deduplication algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Algorithm {
    /// Title, CWE, line, file path and description.
    #[default]
    #[serde(rename = "legacy")]
    Legacy,
    /// The scanner's own id, within the same test type.
    #[serde(rename = "unique_id_from_tool")]
    UniqueId,
    /// A hash over the scanner's fields.
    #[serde(rename = "hash_code")]
    HashCode,
    /// Either of the two.
    #[serde(rename = "unique_id_from_tool_or_hash_code")]
    UniqueIdOrHashCode,
}

impl Algorithm {
    /// The name settings and the API use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::UniqueId => "unique_id_from_tool",
            Self::HashCode => "hash_code",
            Self::UniqueIdOrHashCode => "unique_id_from_tool_or_hash_code",
        }
    }
}

/// A field of a finding that may go into its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum HashField {
    Title,
    Cwe,
    Cwes,
    VulnerabilityIds,
    Line,
    FilePath,
    Payload,
    ComponentName,
    ComponentVersion,
    Description,
    Endpoints,
    UniqueIdFromTool,
    Severity,
    VulnIdFromTool,
    Mitigation,
}

impl HashField {
    /// Every field, in the order of the REST API.
    pub const ALL: [Self; 15] = [
        Self::Title,
        Self::Cwe,
        Self::Cwes,
        Self::VulnerabilityIds,
        Self::Line,
        Self::FilePath,
        Self::Payload,
        Self::ComponentName,
        Self::ComponentVersion,
        Self::Description,
        Self::Endpoints,
        Self::UniqueIdFromTool,
        Self::Severity,
        Self::VulnIdFromTool,
        Self::Mitigation,
    ];

    /// The name settings and the API use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Cwe => "cwe",
            Self::Cwes => "cwes",
            Self::VulnerabilityIds => "vulnerability_ids",
            Self::Line => "line",
            Self::FilePath => "file_path",
            Self::Payload => "payload",
            Self::ComponentName => "component_name",
            Self::ComponentVersion => "component_version",
            Self::Description => "description",
            Self::Endpoints => "endpoints",
            Self::UniqueIdFromTool => "unique_id_from_tool",
            Self::Severity => "severity",
            Self::VulnIdFromTool => "vuln_id_from_tool",
            Self::Mitigation => "mitigation",
        }
    }
}

/// By which function fields are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum HashAlgorithm {
    #[default]
    Sha256,
    Md5,
}

/// What becomes of a new finding that has an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedupeMode {
    /// It becomes a duplicate.
    #[default]
    Automatic,
    /// It stays as it is, and the original is proposed to a person.
    Manual,
}

/// Which findings of equal keys are one and the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clustering {
    /// None: keys only tell re-imports what is there already.
    None,
    /// All that share an endpoint, or have none.
    #[default]
    Exact,
    /// Of these, with a file only those at the same line of it.
    HashAndLocation,
}

/// Deduplication as one level has it; what it leaves open is inherited. A product's word counts
/// before its test type's, and that before the system's; below them are the scanner's own facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "see `ResolvedDedupe`")]
pub struct DedupeSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_algorithm: Option<HashAlgorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_fields: Option<Vec<HashField>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_null_cwe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<DedupeMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub false_positive_history: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_moves: Option<bool>,
}

impl DedupeSettings {
    /// Does it say the same of everything that keys are made of?
    pub fn same_keys(&self, other: &Self) -> bool {
        self.hash_algorithm == other.hash_algorithm
            && self.algorithm == other.algorithm
            && self.hash_fields == other.hash_fields
            && self.allow_null_cwe == other.allow_null_cwe
    }

    /// Does it say the same of everything that decides which findings are duplicates?
    pub fn same_duplicates(&self, other: &Self) -> bool {
        self.same_keys(other)
            && self.enabled == other.enabled
            && self.mode == other.mode
            && self.clustering == other.clustering
    }
}

/// Deduplication as it counts for an import: every level resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedDedupe {
    /// Does any finding become a duplicate?
    pub enabled: bool,
    /// By which function fields are hashed.
    pub hash_algorithm: HashAlgorithm,
    /// Which keys count.
    pub algorithm: Algorithm,
    /// What goes into the hash; none: the legacy fields.
    pub hash_fields: Vec<HashField>,
    /// With `false`, a finding without a CWE falls back to the legacy fields.
    pub allow_null_cwe: bool,
    /// What becomes of a new finding that has an original.
    pub mode: DedupeMode,
    /// Which findings of equal keys are one and the same.
    pub clustering: Clustering,
    /// Does a new finding that equals a false positive become one?
    pub false_positive_history: bool,
    /// Are findings recognised whose code has moved?
    pub code_moves: bool,
}

impl Default for ResolvedDedupe {
    fn default() -> Self {
        Self::from(&Dedupe::BY_HAND)
    }
}

impl From<&Dedupe> for ResolvedDedupe {
    /// What counts where no level says anything.
    fn from(scanner: &Dedupe) -> Self {
        Self {
            enabled: true,
            hash_algorithm: HashAlgorithm::default(),
            algorithm: scanner.algorithm,
            hash_fields: scanner.fields.to_vec(),
            allow_null_cwe: scanner.allows_null_cwe,
            mode: DedupeMode::default(),
            clustering: Clustering::default(),
            false_positive_history: false,
            code_moves: true,
        }
    }
}

impl ResolvedDedupe {
    /// With what one level says in place of what broader ones do.
    #[must_use]
    pub fn overruled(self, level: &DedupeSettings) -> Self {
        Self {
            enabled: level.enabled.unwrap_or(self.enabled),
            hash_algorithm: level.hash_algorithm.unwrap_or(self.hash_algorithm),
            algorithm: level.algorithm.unwrap_or(self.algorithm),
            hash_fields: level.hash_fields.clone().unwrap_or(self.hash_fields),
            allow_null_cwe: level.allow_null_cwe.unwrap_or(self.allow_null_cwe),
            mode: level.mode.unwrap_or(self.mode),
            clustering: level.clustering.unwrap_or(self.clustering),
            false_positive_history: (level.false_positive_history)
                .unwrap_or(self.false_positive_history),
            code_moves: level.code_moves.unwrap_or(self.code_moves),
        }
    }

    /// Does any finding become a duplicate, or is one proposed?
    pub fn finds_duplicates(&self) -> bool {
        self.enabled && self.clustering != Clustering::None
    }
}

/// For what settings hold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DedupeScope {
    /// Everything.
    #[default]
    System,
    /// Reports of one scan type, and findings made by hand in tests of one type.
    TestType(TestTypeId),
    /// One product.
    Product(ProductId),
}

/// The settings of one level as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DedupeLevel {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub scope: DedupeScope,
    /// Counts the writes; 0: never written. Part of the item, not of the document.
    #[serde(skip)]
    pub version: u64,
    /// Name of the test type, where it's the level of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_type: Option<String>,
    /// What counts now.
    pub settings: DedupeSettings,
    /// What will count once the job has given every finding its new keys beside the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<DedupeSettings>,
    /// The job that is on the way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<RehashJobId>,
    /// When it was last changed, and by whom.
    pub changed: Timestamp,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// Every level that counts for a product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DedupeLevels {
    /// The system's.
    pub system: DedupeSettings,
    /// Those of test types, by name.
    pub test_types: Vec<(String, DedupeSettings)>,
    /// The product's.
    pub product: DedupeSettings,
}

impl DedupeLevels {
    /// What counts for reports of a scanner, or for findings made by hand in tests of a type.
    pub fn resolve(&self, base: impl Into<ResolvedDedupe>, test_type: &str) -> ResolvedDedupe {
        let same = |(name, _): &&(String, _)| name.eq_ignore_ascii_case(test_type);
        let mut resolved = base.into().overruled(&self.system);
        if let Some((_, level)) = self.test_types.iter().find(same) {
            resolved = resolved.overruled(level);
        }
        resolved.overruled(&self.product)
    }

    /// The level of a scope; `name` is that of the test type.
    pub fn level(&mut self, scope: DedupeScope, name: Option<&str>) -> &mut DedupeSettings {
        match scope {
            DedupeScope::System => &mut self.system,
            DedupeScope::Product(_) => &mut self.product,
            DedupeScope::TestType(_) => {
                let name = name.unwrap_or_default();
                let known = (self.test_types.iter())
                    .position(|(known, _)| known.eq_ignore_ascii_case(name));
                let at = known.unwrap_or_else(|| {
                    self.test_types
                        .push((name.to_owned(), DedupeSettings::default()));
                    self.test_types.len() - 1
                });
                &mut self.test_types[at].1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_products_word_counts_before_its_test_types_and_that_before_the_systems() {
        let says = |mode, clustering| DedupeSettings {
            mode,
            clustering,
            ..DedupeSettings::default()
        };
        let levels = DedupeLevels {
            system: DedupeSettings {
                enabled: Some(false),
                ..says(Some(DedupeMode::Manual), Some(Clustering::None))
            },
            test_types: vec![("SARIF".into(), says(None, Some(Clustering::Exact)))],
            product: says(Some(DedupeMode::Automatic), None),
        };
        let resolved = levels.resolve(&Dedupe::BY_HAND, "sarif");
        assert_eq!(
            (resolved.enabled, resolved.mode, resolved.clustering),
            (false, DedupeMode::Automatic, Clustering::Exact)
        );
        let other = levels.resolve(&Dedupe::BY_HAND, "Trivy Scan");
        assert_eq!(other.clustering, Clustering::None);
        assert_eq!(other.algorithm, Algorithm::Legacy, "the scanner's own");
    }

    #[test]
    fn names_are_those_of_the_documents() {
        for algorithm in [
            Algorithm::Legacy,
            Algorithm::UniqueId,
            Algorithm::HashCode,
            Algorithm::UniqueIdOrHashCode,
        ] {
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.name());
        }
        for field in HashField::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
        }
    }
}
