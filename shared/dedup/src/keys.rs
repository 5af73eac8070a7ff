use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::Md5;
use sha2::Sha256;
use sha2::digest::Digest;
use tatami_domain::{
    Algorithm, Endpoint, Finding, HashAlgorithm, HashField, ReportFinding, ResolvedDedupe,
    TestTypeId, Texts,
};

/// What identifies a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keys {
    /// Our keys, at most two, the strongest first: `h…` over fields, `u…` over the scanner's own
    /// id within its test type. Any of them in common makes two findings the same.
    pub keys: Vec<String>,
    /// The hash in hex as clients of the REST API know it from the field `hash_code`.
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

/// A key is made of at most so many bytes of its hash: 144 bits.
const KEY_BYTES: usize = 18;

/// Computes the keys of a finding.
pub fn keys(finding: &ReportFinding, dedupe: &ResolvedDedupe, test_type: TestTypeId) -> Keys {
    let hashes = hashes(finding, dedupe);
    let unique = finding.unique_id_from_tool.as_deref();
    Keys::of(hashes, dedupe.algorithm, unique, test_type)
}

/// Computes the keys of a finding from what is stored of it.
pub fn keys_of_stored(finding: &Finding, texts: &Texts, dedupe: &ResolvedDedupe) -> Keys {
    let (reported, urls) = stored(finding, texts);
    let hashes = hashes_with(&reported, || urls.to_vec(), dedupe);
    let unique = finding.unique_id_from_tool.as_deref();
    Keys::of(hashes, dedupe.algorithm, unique, finding.test_type)
}

/// The fields that go into the hash of a stored finding, with their values before they are folded.
pub fn hashed_values(
    finding: &Finding,
    texts: &Texts,
    dedupe: &ResolvedDedupe,
) -> Vec<(&'static str, Option<String>)> {
    let (reported, urls) = stored(finding, texts);
    let urls = || urls.to_vec();
    let fields = fields_of(finding.cwe, dedupe).iter();
    let mut values: Vec<_> = fields
        .map(|field| (field.name(), value(&reported, urls, *field)))
        .collect();
    values.push(("service", finding.service.clone()));
    values
}

/// What of a stored finding its keys are made of; its endpoints as they are written.
fn stored<'f>(finding: &'f Finding, texts: &'f Texts) -> (ReportFinding, &'f [String]) {
    let urls = match texts.endpoints.as_slice() {
        [] => &finding.endpoints,
        all => all,
    };
    let reported = ReportFinding {
        title: finding.title.clone(),
        severity: finding.severity,
        description: texts.description.clone(),
        mitigation: texts.mitigation.clone(),
        cwe: finding.cwe,
        extra_cwes: finding.extra_cwes.clone(),
        vulnerability_ids: finding.vulnerability_ids.clone(),
        component_name: finding.component_name.clone(),
        component_version: finding.component_version.clone(),
        file_path: finding.file_path.clone(),
        line: finding.line,
        payload: texts.payload.clone(),
        service: finding.service.clone(),
        unique_id_from_tool: finding.unique_id_from_tool.clone(),
        vuln_id_from_tool: finding.vuln_id_from_tool.clone(),
        ..ReportFinding::default()
    };
    (reported, urls)
}

/// Are the long texts of a finding needed for its hash?
pub fn hash_needs_texts(finding: &Finding, dedupe: &ResolvedDedupe) -> bool {
    fields_of(finding.cwe, dedupe)
        .iter()
        .any(|field| match field {
            HashField::Description | HashField::Mitigation | HashField::Payload => true,
            // more of them than these are among the texts
            HashField::Endpoints => finding.endpoints.len() >= Finding::INLINE_ENDPOINTS,
            _ => false,
        })
}

impl Keys {
    fn of(hashes: Hashes, by: Algorithm, unique: Option<&str>, test_type: TestTypeId) -> Self {
        Self {
            keys: combine(by, unique, hashes.key, test_type),
            hash_code: hashes.compatible,
        }
    }
}

/// The hashes of a finding over its fields, ours and the one that clients know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashes {
    /// A key of kind `h…`.
    pub key: String,
    /// In hex, as in the REST API's `hash_code`.
    pub compatible: String,
}

/// Computes the hashes of a finding, for where the test type isn't known yet.
pub fn hashes(finding: &ReportFinding, dedupe: &ResolvedDedupe) -> Hashes {
    let urls = || finding.endpoints.iter().map(ToString::to_string).collect();
    hashes_with(finding, urls, dedupe)
}

fn hashes_with(
    finding: &ReportFinding,
    urls: impl Fn() -> Vec<String>,
    dedupe: &ResolvedDedupe,
) -> Hashes {
    let value = |field| value(finding, &urls, field);
    let values: Vec<_> = (fields_of(finding.cwe, dedupe).iter().copied())
        .map(value)
        .collect();
    let service = finding.service.as_deref();
    match dedupe.hash_algorithm {
        HashAlgorithm::Sha256 => hashes_by::<Sha256>(&values, service),
        HashAlgorithm::Md5 => hashes_by::<Md5>(&values, service),
    }
}

fn hashes_by<D: Digest>(values: &[Option<String>], service: Option<&str>) -> Hashes {
    Hashes {
        key: hash_key::<D>(values, service),
        compatible: compatible_hash::<D>(values, service),
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

fn fields_of(cwe: u32, dedupe: &ResolvedDedupe) -> &[HashField] {
    let legacy = dedupe.hash_fields.is_empty() || (cwe == 0 && !dedupe.allow_null_cwe);
    if legacy { LEGACY } else { &dedupe.hash_fields }
}

/// The value of one field, as text; `None` where the finding has none.
fn value(
    finding: &ReportFinding,
    urls: impl Fn() -> Vec<String>,
    field: HashField,
) -> Option<String> {
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
        HashField::Endpoints => Some(joined(urls().into_iter())),
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

/// A hash over the length and the case-folded text of each field, so that no two lists of values run
/// together; its first bits as URL-safe base64.
fn hash_key<D: Digest>(values: &[Option<String>], service: Option<&str>) -> String {
    let mut hash = D::new();
    for value in values {
        feed(&mut hash, value.as_deref());
    }
    feed(&mut hash, service.filter(|s| !s.is_empty()));
    key_text("h", hash)
}

/// The key of a scanner's own id; the same whatever fields are hashed by.
fn unique_key(id: &str, test_type: TestTypeId) -> String {
    let mut hash = Sha256::new();
    hash.update(test_type.0.to_be_bytes());
    hash.update(id.as_bytes());
    key_text("u", hash)
}

fn feed(hash: &mut impl Digest, value: Option<&str>) {
    match value {
        Some(text) => {
            let folded = folded(text.trim());
            hash.update((folded.len() as u64 + 1).to_be_bytes());
            hash.update(folded.as_bytes());
        }
        None => hash.update(0u64.to_be_bytes()),
    }
}

fn key_text(kind: &str, hash: impl Digest) -> String {
    let digest = hash.finalize();
    let first = &digest[..digest.len().min(KEY_BYTES)];
    format!("{kind}{}", URL_SAFE_NO_PAD.encode(first))
}

/// The hash that clients of the REST API compare: the same fields joined without anything between
/// them, a missing one reading `None`, trimmed of ASCII white space and case-folded.
fn compatible_hash<D: Digest>(values: &[Option<String>], service: Option<&str>) -> String {
    let mut text: String = (values.iter())
        .map(|value| value.as_deref().unwrap_or("None"))
        .collect();
    text.push_str(service.unwrap_or_default());
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let digest = D::digest(folded(trimmed).as_bytes());
    (digest.iter()).fold(String::with_capacity(64), |mut hex, byte| {
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

    fn by_hash() -> ResolvedDedupe {
        ResolvedDedupe {
            algorithm: Algorithm::HashCode,
            hash_fields: vec![HashField::Title, HashField::ComponentName],
            allow_null_cwe: false,
            ..ResolvedDedupe::default()
        }
    }

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
            keys(&a, &by_hash(), TestTypeId(1)),
            keys(&b, &by_hash(), TestTypeId(1)),
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
        let legacy = ResolvedDedupe::default();
        let expected = "a104ceb7e1739998f91589c498ac5d66e4b30f1f1a8196b91c7ea83c470658d5";
        assert_eq!(keys(&finding(), &legacy, TestTypeId(1)).hash_code, expected);
        let md5 = ResolvedDedupe {
            hash_algorithm: HashAlgorithm::Md5,
            ..legacy
        };
        let keys = keys(&finding(), &md5, TestTypeId(1));
        assert_eq!(keys.hash_code, "246527d49038cfd1c16117d23b31fd44");
        assert_eq!(keys.keys[0].len(), 1 + 22, "all 128 bits");
    }

    #[test]
    fn what_is_stored_gives_the_same_keys_as_what_was_reported() {
        let reported = ReportFinding {
            mitigation: Some("escape".into()),
            payload: Some("' or 1=1".into()),
            extra_cwes: vec![20, 79],
            vulnerability_ids: vec!["CVE-2025-2".into(), "CVE-2025-1".into()],
            component_name: Some("lib".into()),
            component_version: Some("1.2".into()),
            file_path: Some("src/a.rs".into()),
            line: Some(7),
            service: Some("shop".into()),
            unique_id_from_tool: Some("u1".into()),
            vuln_id_from_tool: Some("v1".into()),
            endpoints: ["https://a.test/x?q=%2541", "b.test"]
                .map(|url| Endpoint::parse(url).unwrap())
                .to_vec(),
            ..finding()
        };
        let stored = Finding {
            title: reported.title.clone(),
            severity: reported.severity,
            cwe: reported.cwe,
            extra_cwes: reported.extra_cwes.clone(),
            vulnerability_ids: reported.vulnerability_ids.clone(),
            component_name: reported.component_name.clone(),
            component_version: reported.component_version.clone(),
            file_path: reported.file_path.clone(),
            line: reported.line,
            service: reported.service.clone(),
            unique_id_from_tool: reported.unique_id_from_tool.clone(),
            vuln_id_from_tool: reported.vuln_id_from_tool.clone(),
            endpoints: reported.endpoints.iter().map(ToString::to_string).collect(),
            test_type: TestTypeId(3),
            ..Finding::default()
        };
        let texts = Texts {
            description: reported.description.clone(),
            mitigation: reported.mitigation.clone(),
            payload: reported.payload.clone(),
            ..Texts::default()
        };
        let all = ResolvedDedupe {
            algorithm: Algorithm::UniqueIdOrHashCode,
            hash_fields: HashField::ALL.to_vec(),
            ..ResolvedDedupe::default()
        };
        let expected = keys(&reported, &all, TestTypeId(3));
        assert_eq!(keys_of_stored(&stored, &texts, &all), expected);
        // and each field counts
        for field in HashField::ALL {
            let one = ResolvedDedupe {
                hash_fields: vec![field],
                ..all.clone()
            };
            let with = keys(&reported, &one, TestTypeId(3));
            assert_eq!(
                keys_of_stored(&stored, &texts, &one),
                with,
                "{}",
                field.name()
            );
            let without = keys(&ReportFinding::default(), &one, TestTypeId(3));
            assert_ne!(with.keys[1], without.keys[0], "{}", field.name());
        }
    }

    #[test]
    fn without_a_cwe_the_legacy_fields_count_where_the_scanner_wants_one() {
        let with_description = |text: &str| ReportFinding {
            cwe: 0,
            description: text.into(),
            ..finding()
        };
        let a = keys(&with_description("a"), &by_hash(), TestTypeId(1));
        let b = keys(&with_description("b"), &by_hash(), TestTypeId(1));
        assert_ne!(a.keys, b.keys);
    }

    #[test]
    fn an_id_of_the_tool_counts_only_within_its_test_type() {
        let dedupe = ResolvedDedupe {
            algorithm: Algorithm::UniqueIdOrHashCode,
            ..by_hash()
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
