use serde_json::{Value, json};

use crate::Collected;

/// What `tatami parse` prints: the scan type and the findings under the REST API's field names.
/// Fields that the report doesn't set are left out; endpoints are their canonical URLs.
pub fn parsed_json(scan_type: &str, parsed: &Collected) -> serde_json::Result<Value> {
    let mut findings = Vec::with_capacity(parsed.findings.len());
    for finding in &parsed.findings {
        let mut value = serde_json::to_value(finding)?;
        if let Value::Object(fields) = &mut value {
            let urls: Vec<String> = finding.endpoints.iter().map(ToString::to_string).collect();
            fields.insert("endpoints".into(), json!(urls));
            // A report that says nothing of the state reports an open, unverified finding.
            fields.insert("active".into(), json!(finding.active.unwrap_or(true)));
            for (name, flag) in [
                ("verified", finding.verified),
                ("false_p", finding.false_p),
                ("out_of_scope", finding.out_of_scope),
                ("risk_accepted", finding.risk_accepted),
                ("is_mitigated", finding.is_mitigated),
                ("duplicate", finding.duplicate),
            ] {
                fields.insert(name.into(), json!(flag.unwrap_or(false)));
            }
            fields.insert("cve".into(), json!(finding.vulnerability_ids.first()));
            fields.retain(|_, v| !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()));
        }
        findings.push(value);
    }
    let mut warnings: Vec<Value> = (parsed.warnings.iter())
        .map(|w| json!({"record": w.record, "message": w.message}))
        .collect();
    if parsed.untold > 0 {
        let message = format!("and {} more records were left out", parsed.untold);
        warnings.push(json!({"record": "the report", "message": message}));
    }
    let mut out = json!({"scan_type": scan_type, "findings": findings});
    if let Value::Object(fields) = &mut out {
        if let Some(test) = &parsed.test {
            fields.insert("test".into(), serde_json::to_value(test)?);
        }
        if !warnings.is_empty() {
            fields.insert("warnings".into(), json!(warnings));
        }
    }
    Ok(out)
}
