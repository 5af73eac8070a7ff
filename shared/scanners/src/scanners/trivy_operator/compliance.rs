//! Compliance reports: the benchmark's controls in `spec`, their results in `status`, either check by
//! check (`reportType: all`) or summed up for each control (`summary`).

use serde::Deserialize;
use tatami_domain::ReportFinding;

use super::records::{Check, advisory, page, severity};
use crate::kit::json::{Int, Json, Kind, OneOrMany, Text, nullable};
use crate::{Refusal, Sink, Stop};

/// The controls of a benchmark.
pub type Controls = OneOrMany<Control>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Control {
    id: Text,
    description: Text,
    checks: OneOrMany<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    id: Text,
}

/// Reads the controls out of the specification.
pub fn spec(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<Controls, Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        #[serde(deserialize_with = "nullable")]
        compliance: Compliance,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Compliance {
        controls: Controls,
    }
    let spec = json
        .record::<Option<Spec>>(sink)?
        .flatten()
        .unwrap_or_default();
    Ok(spec.compliance.controls)
}

/// The summed up results; they wait for the controls.
#[derive(Default)]
pub struct Status {
    failed: Vec<Summary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Summary {
    id: Text,
    name: Text,
    severity: Text,
    total_fail: Int,
}

impl Status {
    /// Reads the status, and sends the checks that failed. `true` if there are results.
    pub fn read(&mut self, json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<bool, Refusal> {
        let mut has_results = false;
        if !json.expect(Kind::Object, sink)? {
            return Ok(false);
        }
        json.object(|json, key| {
            has_results |= matches!(key, "detailReport" | "summaryReport");
            match key {
                "detailReport" => detail(json, sink),
                "summaryReport" => json.object(|json, key| {
                    if key != "controlCheck" {
                        return Ok(());
                    }
                    json.records(sink, |summary: Summary, _| {
                        if summary.total_fail.0.is_some_and(|failed| failed > 0) {
                            self.failed.push(summary);
                        }
                        Ok(())
                    })
                }),
                _ => Ok(()),
            }
        })?;
        Ok(has_results)
    }

    /// Sends a finding for each control that has failed.
    pub fn send(self, controls: &Controls, sink: &mut dyn Sink) -> Result<(), Stop> {
        for summary in self.failed {
            let control = controls.0.iter().find(|control| *control.id == *summary.id);
            sink.finding(summary.finding(control))?;
        }
        Ok(())
    }
}

impl Summary {
    fn finding(self, control: Option<&Control>) -> ReportFinding {
        let failed = self.total_fail.0.unwrap_or_default();
        let checks = control.into_iter().flat_map(|control| &control.checks.0);
        ReportFinding {
            title: format!("TrivyClusterCompliance {} totalFail: {failed}", &*self.id),
            severity: severity(&self.severity),
            description: labelled(&[
                (
                    "description",
                    control.map_or("", |control| &control.description),
                ),
                ("id", &self.id),
                ("name", &self.name),
                ("totalfail", &failed.to_string()),
            ]),
            vulnerability_ids: checks.map(|check| advisory(&check.id)).collect(),
            fix_available: Some(true),
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}

/// What a control says of all its checks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outcome {
    id: Text,
    name: Text,
    description: Text,
    checks: OneOrMany<Check>,
}

fn detail(json: &mut Json<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut benchmark = String::new();
    json.object(|json, key| match key {
        "description" => {
            benchmark = json.record::<Text>(sink)?.unwrap_or_default().0;
            Ok(())
        }
        "results" => json.records(sink, |mut outcome: Outcome, sink| {
            for check in std::mem::take(&mut outcome.checks.0) {
                if check.success.0 != Some(true) && !check.id.is_empty() {
                    sink.finding(outcome.finding(check, &benchmark))?;
                }
            }
            Ok(())
        }),
        _ => Ok(()),
    })
}

impl Outcome {
    fn finding(&self, check: Check, benchmark: &str) -> ReportFinding {
        let messages: Vec<_> = check.messages.texts().collect();
        let description = labelled(&[
            ("detailReport description", benchmark),
            ("result description", &self.description),
            ("result id", &self.id),
            ("result name", &self.name),
            ("checkcategory", &check.category),
            ("checkcheckID", &check.id),
            ("checkdescription", &check.description),
            ("checkmessages", &messages.join("\n")),
            ("checktarget", &check.target),
            ("checktitle", &check.title),
        ]);
        ReportFinding {
            title: format!("{} {} {}", &*self.id, &*check.id, &*check.target),
            severity: severity(&check.severity),
            description,
            references: Some(page(&check.id)),
            vulnerability_ids: vec![advisory(&check.id)],
            fix_available: Some(!check.remediation.is_empty()),
            mitigation: check.remediation.some(),
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}

fn labelled(facts: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (label, value) in facts {
        text.extend(["**", label, ":** ", value, "\n"]);
    }
    text
}
