//! Generic findings, as JSON on one line and as CSV.

use super::Parts;
use super::text::{Template, Words, csv, json};

const TEXTS: u64 = 200;

/// What a finding says.
struct Finding {
    title: String,
    severity: &'static str,
    description: String,
    mitigation: String,
    cwe: u64,
}

fn finding(number: u64) -> Finding {
    let mut words = Words::new(number + 41);
    Finding {
        title: words.words(7),
        severity: words.one_of(&["Critical", "High", "Medium", "Low", "Info"]),
        description: words.paragraphs(400),
        mitigation: words.paragraphs(150),
        cwe: 20 + number,
    }
}

pub struct Json {
    findings: Vec<Template>,
}

impl Json {
    pub fn new() -> Self {
        let template = |number| {
            let Finding {
                title,
                severity,
                description,
                mitigation,
                cwe,
            } = finding(number);
            Template::new(&format!(
                "{{\"title\": \"{title} \u{1}\", \"severity\": \"{severity}\", \"description\": \"{}\", \"mitigation\": \"{}\", \
                 \"references\": \"https://docs.example.test/{number}\", \"cwe\": {cwe}, \"cvssv3\": \
                 \"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N\", \"date\": \"2025-03-03\", \"unique_id_from_tool\": \"f-\u{1}\", \
                 \"file_path\": \"src/module_{number}/file.py\", \"line\": \u{1}, \"endpoints\": \
                 [\"https://shop.example.test/page/\u{1}?q=1\"], \"tags\": [\"web\", \"quarter-1\"], \"active\": true, \"verified\": false}}",
                json(&description),
                json(&mitigation),
            ))
        };
        Self {
            findings: (0..TEXTS).map(template).collect(),
        }
    }
}

impl Parts for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\": \"Pentest\", \"findings\": [");
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        if number > 0 {
            out.extend_from_slice(b", ");
        }
        let text = usize::try_from(number % TEXTS).unwrap_or(0);
        self.findings[text].fill(&[&number, &number, &number, &number], out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}

pub struct Csv {
    findings: Vec<Template>,
}

impl Csv {
    pub fn new() -> Self {
        let template = |number| {
            let Finding {
                title,
                severity,
                description,
                mitigation,
                cwe,
            } = finding(number);
            Template::new(&format!(
                "03/03/2025,\"{title}, \u{1}\",{cwe},https://shop.example.test/page/\u{1},{severity},{},{},,\
                 https://docs.example.test/{number},TRUE,FALSE,FALSE,FALSE\n",
                csv(&description),
                csv(&mitigation),
            ))
        };
        Self {
            findings: (0..TEXTS).map(template).collect(),
        }
    }
}

impl Parts for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"Date,Title,CweId,Url,Severity,Description,Mitigation,Impact,References,Active,Verified,FalsePositive,Duplicate\n",
        );
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        let text = usize::try_from(number % TEXTS).unwrap_or(0);
        self.findings[text].fill(&[&number, &number], out);
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
