//! SARIF logs of tools that put more into them than the scanner `SARIF` reads: walks through the
//! runs and shows each result with the tool of its run, both as types of the scanner's own.

use serde::de::DeserializeOwned;

use super::json::{Json, Kind};
use crate::{Refusal, Sink, Stop};

/// What is to be done with a log.
pub trait Visitor {
    /// The member `tool` of a run.
    type Tool: DeserializeOwned + Default;
    /// An element of `results`.
    type Outcome: DeserializeOwned;

    /// Takes note of a run's tool, before the run's results.
    fn tool(&mut self, _tool: &Self::Tool, _sink: &mut dyn Sink) {}

    /// Takes a result, which lies at `place` in the report.
    fn outcome(
        &mut self,
        tool: &Self::Tool,
        outcome: Self::Outcome,
        place: &str,
        sink: &mut dyn Sink,
    ) -> Result<(), Stop>;
}

/// Walks through `runs`, the next value.
pub fn runs<V: Visitor>(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    visitor: &mut V,
) -> Result<(), Refusal> {
    json.objects(sink, |json, sink| run(json, sink, visitor))
}

fn run<V: Visitor>(
    json: &mut Json<'_>,
    sink: &mut dyn Sink,
    visitor: &mut V,
) -> Result<(), Refusal> {
    let mut tool: Option<V::Tool> = None;
    let mut waiting = Vec::new();
    let mut has_results = false;
    json.object(|json, key| {
        match key {
            "tool" => {
                let read = json.record::<V::Tool>(sink)?.unwrap_or_default();
                visitor.tool(&read, sink);
                tool = Some(read);
            }
            "results" if json.kind()? != Kind::Null => {
                has_results = true;
                json.list(|json| {
                    let place = json.path();
                    match (json.record::<V::Outcome>(sink)?, &tool) {
                        (Some(outcome), Some(tool)) => {
                            visitor.outcome(tool, outcome, &place, sink)?;
                        }
                        (Some(outcome), None) => waiting.push((outcome, place)),
                        (None, _) => {}
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if !has_results {
        sink.warning(json.warning("has no results: did the tool run to its end?"));
    }
    let tool = tool.unwrap_or_default();
    for (outcome, place) in waiting {
        visitor.outcome(&tool, outcome, &place, sink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tatami_domain::ReportFinding;

    use super::*;
    use crate::kit::json;
    use crate::{Collected, Report};

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        name: String,
    }

    struct Titles;

    impl Visitor for Titles {
        type Tool = Named;
        type Outcome = Named;

        fn outcome(
            &mut self,
            tool: &Named,
            outcome: Named,
            place: &str,
            sink: &mut dyn Sink,
        ) -> Result<(), Stop> {
            sink.finding(ReportFinding {
                title: format!("{} of {} at {place}", outcome.name, tool.name),
                ..ReportFinding::default()
            })
        }
    }

    fn titles(log: &str) -> (Vec<String>, Vec<String>) {
        let mut out = Collected::default();
        let report = Report::from_bytes("", log.as_bytes());
        json::read(report, |json| runs(json, &mut out, &mut Titles)).unwrap();
        let titles = out.findings.into_iter().map(|f| f.title).collect();
        let records = out.warnings.into_iter().map(|w| w.record).collect();
        (titles, records)
    }

    #[test]
    fn results_have_the_tool_of_their_run_wherever_it_stands() {
        let log = r#"[{"tool": {"name": "a"}, "results": [{"name": "1"}, {"name": 2}]},
            {"results": [{"name": "3"}], "tool": {"name": "b"}}]"#;
        let (titles, warned) = titles(log);
        assert_eq!(
            titles,
            ["1 of a at [0].results[0]", "3 of b at [1].results[0]"]
        );
        assert_eq!(warned, ["[0].results[1]"]);
    }

    #[test]
    fn a_run_without_results_is_told() {
        assert_eq!(titles(r#"[{"results": []}]"#).1, [""; 0]);
        assert_eq!(titles(r#"[{"results": null}, {}]"#).1, ["[0]", "[1]"]);
    }
}
