//! The improved scan report's section on infrastructure as code.

use serde::Deserialize;
use tatami_domain::{ReportFinding, Severity};

use crate::kit::json::{Json, Text};
use crate::scanners::checkmarx::shared::{Moment, severity, word};
use crate::{Refusal, Sink};

/// What KICS found in the files of one technology, such as Terraform.
pub fn technology(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut name = String::new();
    let mut waiting = Vec::new();
    json.object(|json, key| {
        match key {
            "name" => name = word(json, sink)?,
            "queries" => json.objects(sink, |json, sink| check(json, sink, &mut waiting))?,
            _ => {}
        }
        Ok(())
    })?;
    let name = if name.is_empty() {
        "IaC Finding"
    } else {
        &name
    };
    for mut finding in waiting {
        finding.title.insert_str(0, &format!("{name}: "));
        sink.finding(finding)?;
    }
    Ok(())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Misconfiguration {
    state: Text,
    severity: Text,
    last_detection_date: Moment,
    first_detection_date: Moment,
    file_name: Text,
    actual_value: Text,
    expected_value: Text,
    issue_type: Text,
    result_viewer_link: Text,
}

fn check(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    waiting: &mut Vec<ReportFinding>,
) -> Result<(), Refusal> {
    let (mut name, mut category, mut description) = (String::new(), String::new(), String::new());
    let start = waiting.len();
    json.object(|json, key| {
        match key {
            "queryName" => name = word(json, sink)?,
            "category" => category = word(json, sink)?,
            "description" => description = word(json, sink)?,
            "resultsList" => json.objects(sink, |json, sink| {
                let Some(one) = json.record::<Misconfiguration>(sink)? else {
                    return Ok(());
                };
                match severity(&one.severity) {
                    Ok(severity) => waiting.push(one.finding(severity)),
                    Err(message) => sink.warning(json.warning(message)),
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    for finding in waiting.iter_mut().skip(start) {
        finding.title.clone_from(&name);
        let head = format!("{description}\n\n**Category**: {category}\n");
        finding.description.insert_str(0, &head);
    }
    Ok(())
}

impl Misconfiguration {
    fn finding(self, severity: Severity) -> ReportFinding {
        let mut description = format!("**Issue Type**: {}\n", &*self.issue_type);
        if !self.result_viewer_link.is_empty() {
            let link = &*self.result_viewer_link;
            description.extend(["[View in Checkmarx One](", link, ")"]);
        }
        ReportFinding {
            description,
            mitigation: Some(format!(
                "**Actual Value**: {}\n**Expected Value**: {}\n",
                &*self.actual_value, &*self.expected_value,
            )),
            date: self.last_detection_date.0.or(self.first_detection_date.0),
            file_path: self.file_name.some(),
            tags: vec!["iac".into()],
            dynamic_finding: true,
            ..super::finding(severity, &self.state)
        }
    }
}
