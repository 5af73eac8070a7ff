//! A container image full of vulnerable packages, indented as Trivy does.

use super::Parts;
use super::text::{Template, Words, json};

/// How many vulnerabilities have texts of their own.
const TEXTS: u64 = 400;
/// How many a target has.
const A_TARGET: u64 = 2_000;

pub struct Image {
    vulnerabilities: Vec<Template>,
    target: Template,
}

impl Image {
    pub fn new() -> Self {
        Self {
            vulnerabilities: (0..TEXTS).map(vulnerability).collect(),
            target: Template::new(
                "    {\n      \"Target\": \"layer-\u{1} (debian 12.5)\",\n      \"Class\": \"os-pkgs\",\n      \
                 \"Type\": \"debian\",\n      \"Vulnerabilities\": [\n",
            ),
        }
    }
}

fn vulnerability(number: u64) -> Template {
    let mut words = Words::new(number + 7);
    let severity = words.one_of(&["LOW", "LOW", "MEDIUM", "MEDIUM", "HIGH", "CRITICAL"]);
    let package = words.one_of(&[
        "openssl",
        "libcurl4",
        "linux-libc-dev",
        "zlib1g",
        "apt",
        "perl-base",
        "bash",
    ]);
    let title = words.words(10);
    let length = 150 + usize::try_from(words.below(450)).unwrap_or(0);
    let description = words.paragraphs(length);
    let reference = |at: u64| {
        format!(
            "            \"https://lists.example.test/security/20{}/\u{1}/{at}.html\"",
            at + 10
        )
    };
    let references: Vec<String> = (0..4 + words.below(14)).map(reference).collect();
    let (digest, uid) = (words.hex(64), words.hex(16));
    let text = format!(
        r#"        {{
          "VulnerabilityID": "CVE-2024-@",
          "PkgID": "{package}@3.0.@-1+deb12u2",
          "PkgName": "{package}",
          "PkgIdentifier": {{
            "PURL": "pkg:deb/debian/{package}@3.0.@-1%2Bdeb12u2?arch=amd64\u0026distro=debian-12.5",
            "UID": "{uid}"
          }},
          "InstalledVersion": "3.0.@-1+deb12u2",
          "FixedVersion": "3.0.@-1+deb12u3",
          "Status": "fixed",
          "Layer": {{
            "Digest": "sha256:{digest}",
            "DiffID": "sha256:{digest}"
          }},
          "SeveritySource": "nvd",
          "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2024-@",
          "DataSource": {{
            "ID": "debian",
            "Name": "Debian Security Tracker",
            "URL": "https://salsa.debian.org/security-tracker-team/security-tracker"
          }},
          "Title": "{package}: {title}",
          "Description": "{}",
          "Severity": "{severity}",
          "CweIDs": [
            "CWE-{}",
            "CWE-200"
          ],
          "VendorSeverity": {{
            "amazon": 2,
            "nvd": 3,
            "redhat": 2
          }},
          "CVSS": {{
            "nvd": {{
              "V2Vector": "AV:N/AC:M/Au:N/C:N/I:P/A:N",
              "V3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
              "V2Score": 4.3,
              "V3Score": 7.5
            }},
            "redhat": {{
              "V3Vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:L/A:N",
              "V3Score": 3.7
            }}
          }},
          "References": [
{}
          ],
          "PublishedDate": "2024-01-25T21:15:09.003Z",
          "LastModifiedDate": "2024-11-21T08:47:12.87Z"
        }}"#,
        json(&description),
        20 + number,
        references.join(",\n"),
    );
    // An at sign before a digit or a plain word is the report's own.
    let text = text.replace("-@", "-\u{1}").replace("3.0.@", "3.0.\u{1}");
    Template::new(&text)
}

impl Parts for Image {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            br#"{
  "SchemaVersion": 2,
  "CreatedAt": "2025-03-03T10:58:29.82753744Z",
  "ArtifactName": "registry.example.test/shop:1.4.2",
  "ArtifactType": "container_image",
  "Metadata": {
    "OS": {
      "Family": "debian",
      "Name": "12.5"
    },
    "RepoTags": [
      "registry.example.test/shop:1.4.2"
    ]
  },
  "Results": [
"#,
        );
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        if number.is_multiple_of(A_TARGET) {
            if number > 0 {
                out.extend_from_slice(b"\n      ]\n    },\n");
            }
            self.target.fill(&[&number], out);
        } else {
            out.extend_from_slice(b",\n");
        }
        let text = usize::try_from(number % TEXTS).unwrap_or(0);
        let values: [&dyn std::fmt::Display; 32] = [&number; 32];
        self.vulnerabilities[text].fill(&values, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n      ]\n    }\n  ]\n}\n");
    }
}
