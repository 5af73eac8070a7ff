//! A SARIF log with its rules first and results with code flows, indented.

use super::Parts;
use super::text::{Template, Words, json};

const RULES: u64 = 120;

pub struct Run {
    results: Vec<Template>,
}

impl Run {
    pub fn new() -> Self {
        Self {
            results: (0..RULES).map(result).collect(),
        }
    }
}

fn rule(number: u64) -> String {
    let mut words = Words::new(number + 23);
    format!(
        r#"            {{
              "id": "lang/rule-{number}",
              "name": "lang/rule-{number}",
              "shortDescription": {{
                "text": "{}"
              }},
              "fullDescription": {{
                "text": "{}"
              }},
              "defaultConfiguration": {{
                "enabled": true,
                "level": "{}"
              }},
              "help": {{
                "text": "{}"
              }},
              "properties": {{
                "tags": [
                  "security",
                  "external/cwe/cwe-{}"
                ],
                "precision": "high",
                "security-severity": "{}.8"
              }}
            }}"#,
        words.words(6),
        json(&words.paragraphs(200)),
        words.one_of(&["error", "warning", "note"]),
        json(&words.paragraphs(1_500)),
        20 + number,
        number % 9 + 1,
    )
}

fn location(words: &mut Words, indent: &str) -> String {
    let path = words.words(4).replace(' ', "/").to_lowercase();
    let text = format!(
        r#""physicalLocation": {{
  "artifactLocation": {{
    "uri": "src/{path}.py",
    "uriBaseId": "%SRCROOT%",
    "index": {}
  }},
  "region": {{
    "startLine": @,
    "startColumn": 5,
    "endColumn": 42,
    "snippet": {{
      "text": "{}"
    }}
  }}
}}"#,
        words.below(300),
        json(&format!(
            "    value = request.args[\"{}\"]\n",
            words.words(1)
        )),
    );
    text.replace('\n', &format!("\n{indent}"))
}

fn result(number: u64) -> Template {
    let mut words = Words::new(number + 31);
    let place = location(&mut words, "              ");
    let steps: Vec<String> = (0..words.below(6))
        .map(|_| {
            format!(
                "                    {{\n                      \"location\": {{\n                        {},\n                        \
                 \"message\": {{\n                          \"text\": \"{}\"\n                        }}\n                      \
                 }}\n                    }}",
                location(&mut words, "                        "),
                words.words(4)
            )
        })
        .collect();
    let flows = if steps.is_empty() {
        String::new()
    } else {
        format!(
            ",\n          \"codeFlows\": [\n            {{\n              \"threadFlows\": [\n                {{\n                  \
             \"locations\": [\n{}\n                  ]\n                }}\n              ]\n            }}\n          ]",
            steps.join(",\n")
        )
    };
    let text = format!(
        r#"        {{
          "ruleId": "lang/rule-{number}",
          "ruleIndex": {number},
          "rule": {{
            "id": "lang/rule-{number}",
            "index": {number}
          }},
          "message": {{
            "text": "{}"
          }},
          "locations": [
            {{
              {place}
            }}
          ],
          "partialFingerprints": {{
            "primaryLocationLineHash": "{}:@",
            "primaryLocationStartColumnFingerprint": "4"
          }}{flows}
        }}"#,
        json(&words.paragraphs(160)),
        words.hex(16),
    );
    Template::new(&text.replace('@', "\u{1}"))
}

impl Parts for Run {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let rules: Vec<String> = (0..RULES).map(rule).collect();
        let text = format!(
            r#"{{
  "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
  "version": "2.1.0",
  "runs": [
    {{
      "tool": {{
        "driver": {{
          "name": "Example Analyzer",
          "semanticVersion": "2.5.4",
          "rules": [
{}
          ]
        }}
      }},
      "invocations": [
        {{
          "executionSuccessful": true,
          "endTimeUtc": "2025-03-03T10:00:00Z"
        }}
      ],
      "results": [
"#,
            rules.join(",\n")
        );
        out.extend_from_slice(text.as_bytes());
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        if number > 0 {
            out.extend_from_slice(b",\n");
        }
        let text = usize::try_from(number % RULES).unwrap_or(0);
        let values: [&dyn std::fmt::Display; 16] = [&number; 16];
        self.results[text].fill(&values, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n      ]\n    }\n  ]\n}\n");
    }
}
