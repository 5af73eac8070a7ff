use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tatami_domain::{Algorithm, Dedupe, Endpoint, HashField, ReportFinding, TestTypeId};

/// What identifies a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// Our keys, at most two, the strongest first: `h…` over fields, `u…` over the scanner's own
    /// id within its test type. Any of them in common makes two findings the same.
    pub keys: Vec<String>,
    /// Hex SHA-256 as clients of the REST API know it from the field `hash_code`.
    pub hash_code: String,
}

/// The fields of the legacy hash, also used for a finding without a CWE where the scanner wants
/// one.
const LEGACY: &[HashField] = &[
    HashField::Title,
    HashField::Cwe,
    HashField::Line,
    HashField::FilePath,
    HashField::Description,
];

/// Computes the keys of a finding as its scanner's settings say.
pub fn keys(finding: &ReportFinding, dedupe: &Dedupe, test_type: TestTypeId) -> Keys {
    let Hashes { key, compatible } = hashes(finding, dedupe);
    Keys {
        keys: combine(
            dedupe.algorithm,
            finding.unique_id_from_tool.as_deref(),
            key,
            test_type,
        ),
        hash_code: compatible,
    }
}

/// The hashes of a finding over the scanner's fields, ours and the one that clients know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashes {
    /// A key of kind `h…`.
    pub key: String,
    /// Hex SHA-256 as in the REST API's `hash_code`.
    pub compatible: String,
}

/// Computes the hashes of a finding, for where the test type isn't known yet.
pub fn hashes(finding: &ReportFinding, dedupe: &Dedupe) -> Hashes {
    let fields = fields_of(finding, dedupe);
    Hashes {
        key: hash_key(finding, fields),
        compatible: compatible_hash(finding, fields),
    }
}

/// The keys of a finding from its scanner's own id and its hash.
pub fn combine(
    algorithm: Algorithm,
    unique_id: Option<&str>,
    hash: String,
    test_type: TestTypeId,
) -> Vec<String> {
    let unique = unique_id
        .filter(|id| !id.is_empty())
        .map(|id| unique_key(id, test_type));
    match algorithm {
        Algorithm::Legacy | Algorithm::HashCode => vec![hash],
        // without an id of its own a finding can only be told by its fields
        Algorithm::UniqueId => vec![unique.unwrap_or(hash)],
        Algorithm::UniqueIdOrHashCode => unique.into_iter().chain([hash]).collect(),
    }
}

fn fields_of<'a>(finding: &ReportFinding, dedupe: &'a Dedupe) -> &'a [HashField] {
    let legacy = dedupe.fields.is_empty() || (finding.cwe == 0 && !dedupe.allows_null_cwe);
    if legacy { LEGACY } else { dedupe.fields }
}

/// The fields that go into a finding's hash, with their values before they are folded.
pub fn hashed_values(
    finding: &ReportFinding,
    dedupe: &Dedupe,
) -> Vec<(&'static str, Option<String>)> {
    let fields = fields_of(finding, dedupe).iter();
    let mut values: Vec<_> = fields
        .map(|field| (field.name(), value(finding, *field)))
        .collect();
    values.push(("service", finding.service.clone()));
    values
}

/// The value of one field, as text; `None` where the finding has none.
fn value(finding: &ReportFinding, field: HashField) -> Option<String> {
    match field {
        HashField::Title => Some(finding.title.clone()),
        HashField::Cwe => Some(finding.cwe.to_string()),
        HashField::Cwes => Some(joined(finding.extra_cwes.iter().map(ToString::to_string))),
        HashField::VulnerabilityIds => Some(joined(finding.vulnerability_ids.iter().cloned())),
        HashField::Line => finding.line.map(|n| n.to_string()),
        HashField::FilePath => finding.file_path.clone(),
        HashField::Payload => finding.payload.clone(),
        HashField::ComponentName => finding.component_name.clone(),
        HashField::ComponentVersion => finding.component_version.clone(),
        HashField::Description => Some(finding.description.clone()),
        HashField::Endpoints => Some(joined(finding.endpoints.iter().map(ToString::to_string))),
        HashField::UniqueIdFromTool => finding.unique_id_from_tool.clone(),
        HashField::Severity => Some(finding.severity.name().to_owned()),
        HashField::VulnIdFromTool => finding.vuln_id_from_tool.clone(),
        HashField::Mitigation => finding.mitigation.clone(),
    }
}

fn joined(values: impl Iterator<Item = String>) -> String {
    let mut values: Vec<String> = values.collect();
    values.sort();
    values.dedup();
    values.concat()
}

/// SHA-256 over the length and the case-folded text of each field, so that no two lists of values
/// run together; the first 144 bits as URL-safe base64.
fn hash_key(finding: &ReportFinding, fields: &[HashField]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        feed(&mut hash, value(finding, *field).as_deref());
    }
    feed(
        &mut hash,
        finding.service.as_deref().filter(|s| !s.is_empty()),
    );
    key_text("h", hash)
}

fn unique_key(id: &str, test_type: TestTypeId) -> String {
    let mut hash = Sha256::new();
    hash.update(test_type.0.to_be_bytes());
    hash.update(id.as_bytes());
    key_text("u", hash)
}

fn feed(hash: &mut Sha256, value: Option<&str>) {
    match value {
        Some(text) => {
            let folded = folded(text.trim());
            hash.update((folded.len() as u64 + 1).to_be_bytes());
            hash.update(folded.as_bytes());
        }
        None => hash.update(0u64.to_be_bytes()),
    }
}

fn key_text(kind: &str, hash: Sha256) -> String {
    format!("{kind}{}", URL_SAFE_NO_PAD.encode(&hash.finalize()[..18]))
}

/// The hash that clients of the REST API compare: the same fields joined without anything between
/// them, a missing one reading `None`, trimmed of ASCII white space and case-folded.
fn compatible_hash(finding: &ReportFinding, fields: &[HashField]) -> String {
    let mut text = String::new();
    for field in fields {
        match value(finding, *field) {
            Some(value) => text.push_str(&value),
            None => text.push_str("None"),
        }
    }
    if let Some(service) = finding.service.as_deref() {
        text.push_str(service);
    }
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let digest = Sha256::digest(folded(trimmed).as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
            hex
        })
}

fn folded(text: &str) -> String {
    if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        caseless::default_case_fold_str(text)
    }
}

/// A hash of host and path of each endpoint, sorted, without doubles.
pub fn endpoint_places(endpoints: &[Endpoint]) -> Vec<u32> {
    let mut places: Vec<u32> = endpoints
        .iter()
        .map(|endpoint| {
            let (host, path) = endpoint.place();
            let mut hash = Sha256::new();
            hash.update(host.as_bytes());
            hash.update([0]);
            hash.update(path.as_bytes());
            let digest = hash.finalize();
            u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
        })
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The endpoint rule: two findings with the same key are the same only where they share a place, or
/// where neither has any.
pub fn share_a_place(a: &[u32], b: &[u32]) -> bool {
    (a.is_empty() && b.is_empty()) || a.iter().any(|place| b.binary_search(place).is_ok())
}

#[cfg(test)]
mod tests {
    use tatami_domain::Severity;

    use super::*;

    fn finding() -> ReportFinding {
        ReportFinding {
            title: "SQL Injection".into(),
            severity: Severity::High,
            cwe: 89,
            description: "in login".into(),
            ..ReportFinding::default()
        }
    }

    const BY_HASH: Dedupe = Dedupe {
        algorithm: Algorithm::HashCode,
        fields: &[HashField::Title, HashField::ComponentName],
        allows_null_cwe: false,
    };

    #[test]
    fn neighbouring_fields_do_not_run_together() {
        let a = ReportFinding {
            title: "ab".into(),
            component_name: Some("c".into()),
            ..finding()
        };
        let b = ReportFinding {
            title: "a".into(),
            component_name: Some("bc".into()),
            ..finding()
        };
        let (a, b) = (
            keys(&a, &BY_HASH, TestTypeId(1)),
            keys(&b, &BY_HASH, TestTypeId(1)),
        );
        assert_ne!(a.keys, b.keys);
        assert_eq!(
            a.hash_code, b.hash_code,
            "the compatible hash keeps the old weakness"
        );
    }

    #[test]
    fn the_compatible_hash_is_the_known_one() {
        // sha256("sql injection89nonenonein login")
        let legacy = Dedupe {
            algorithm: Algorithm::Legacy,
            fields: &[],
            allows_null_cwe: true,
        };
        let expected = "a104ceb7e1739998f91589c498ac5d66e4b30f1f1a8196b91c7ea83c470658d5";
        assert_eq!(keys(&finding(), &legacy, TestTypeId(1)).hash_code, expected);
    }

    #[test]
    fn without_a_cwe_the_legacy_fields_count_where_the_scanner_wants_one() {
        let with_description = |text: &str| ReportFinding {
            cwe: 0,
            description: text.into(),
            ..finding()
        };
        let a = keys(&with_description("a"), &BY_HASH, TestTypeId(1));
        let b = keys(&with_description("b"), &BY_HASH, TestTypeId(1));
        assert_ne!(a.keys, b.keys);
    }

    #[test]
    fn an_id_of_the_tool_counts_only_within_its_test_type() {
        let dedupe = Dedupe {
            algorithm: Algorithm::UniqueIdOrHashCode,
            ..BY_HASH
        };
        let finding = ReportFinding {
            unique_id_from_tool: Some("7".into()),
            ..finding()
        };
        let a = keys(&finding, &dedupe, TestTypeId(1));
        let b = keys(&finding, &dedupe, TestTypeId(2));
        assert_eq!(a.keys.len(), 2);
        assert_ne!(a.keys[0], b.keys[0]);
        assert_eq!(a.keys[1], b.keys[1]);
    }

    #[test]
    fn endpoints_must_share_a_place() {
        let places = |urls: &[&str]| {
            let endpoints: Vec<Endpoint> =
                urls.iter().map(|u| Endpoint::parse(u).unwrap()).collect();
            endpoint_places(&endpoints)
        };
        let a = places(&["https://a.example/x?q=1", "https://a.example/y"]);
        assert!(share_a_place(&a, &places(&["http://A.example/x"])));
        assert!(!share_a_place(&a, &places(&["https://b.example/x"])));
        assert!(!share_a_place(&a, &[]));
        assert!(share_a_place(&[], &[]));
    }
}
