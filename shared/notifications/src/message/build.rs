//! Messages of events.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tatami_domain::{
    DueFinding, DueFindings, Event, EventData, EventError, EventKind, MentionedIn, NamedFinding,
    RiskAcceptanceId, ScanAdded, Severity, SlaDue, UserId,
};

use super::{Fact, Item, Links, Message, Names, ProductName, Section};
use crate::signature::hex;
use crate::texts::{self, label};
use crate::{Topic, text};

/// The messages of an event: one for each topic, but of [`Topic::SlaBreach`] one for each finding that the event names.
pub fn message(event: &Event, names: &Names, links: &Links) -> Result<Vec<Message>, EventError> {
    let data = event.read()?;
    let build = Build {
        event,
        names,
        links,
    };
    if let EventData::SlaDue(due) = &data {
        let mut messages = vec![build.finish(Topic::SlaBreachCombined, build.due(due))];
        let parts = [&due.breached, &due.due_today, &due.due_soon];
        let findings = parts.into_iter().flat_map(|part| &part.findings);
        messages.extend(findings.map(|finding| {
            build.finish(Topic::SlaBreach, build.one_due(&due.product_name, finding))
        }));
        return Ok(messages);
    }
    let draft = build.draft(&data);
    let topics = Topic::of(event.kind).iter();
    Ok(topics
        .map(|topic| build.finish(*topic, draft.clone()))
        .collect())
}

/// What differs from one kind of event to another.
#[derive(Clone, Default)]
struct Draft {
    title: String,
    summary: String,
    url: Option<String>,
    product_name: Option<String>,
    /// Of a finding that is the object in place of the event's.
    object: Option<u64>,
    facts: Vec<Fact>,
    sections: Vec<Section>,
    severity: Option<Severity>,
}

struct Build<'a> {
    event: &'a Event,
    names: &'a Names,
    links: &'a Links,
}

impl Build<'_> {
    fn finish(&self, topic: Topic, draft: Draft) -> Message {
        let Event {
            kind,
            object,
            occasion,
            product,
            time,
            ..
        } = self.event;
        let about = draft.object.unwrap_or(*object);
        let same = format!(
            "{}\0{object}\0{about}\0{}\0{occasion}",
            kind.name(),
            topic.name()
        );
        let product = product.map(|id| ProductName {
            id,
            name: (draft.product_name.filter(|name| !name.is_empty()))
                .or_else(|| self.names.products.get(&id).cloned())
                .unwrap_or_else(|| texts::product(id)),
        });
        Message {
            id: hex(&Sha256::digest(same)[..16]),
            topic,
            title: draft.title,
            summary: draft.summary,
            url: draft.url,
            product,
            object: about,
            facts: draft.facts,
            sections: draft.sections,
            severity: draft.severity,
            time: *time,
        }
        .fit()
    }

    fn draft(&self, data: &EventData) -> Draft {
        match data {
            EventData::SlaDue(due) => self.due(due),
            EventData::ScanAdded(scan) | EventData::ScanAddedEmpty(scan) => self.scan(scan),
            EventData::RiskAcceptanceExpired(_)
            | EventData::RiskAcceptanceExpiring(_)
            | EventData::JiraUpdate(_)
            | EventData::UserMentioned(_)
            | EventData::ReviewRequested(_)
            | EventData::CriticalFinding(_) => self.of_findings(data),
            EventData::ImportFailed(_) | EventData::Other(_) => self.of_the_system(data),
            _ => self.of_the_tree(data),
        }
    }

    /// Product types, products, engagements and tests.
    fn of_the_tree(&self, data: &EventData) -> Draft {
        let links = self.links;
        match data {
            EventData::ProductTypeAdded(data) => Draft {
                title: texts::added("product type", &data.name),
                summary: self.by(data.by),
                url: Some(links.product_type(data.product_type)),
                ..Draft::default()
            },
            EventData::ProductAdded(data) => Draft {
                title: texts::added("product", &data.name),
                summary: self.by(data.by),
                url: Some(links.product(data.product)),
                product_name: Some(data.name.clone()),
                facts: facts([(label::PRODUCT_TYPE, data.product_type_name.clone())]),
                ..Draft::default()
            },
            EventData::EngagementAdded(data) => Draft {
                title: texts::added_in("engagement", &data.name, &data.product_name),
                summary: self.by(data.by),
                url: Some(links.engagement(data.engagement)),
                product_name: Some(data.product_name.clone()),
                facts: facts([
                    (label::PRODUCT, data.product_name.clone()),
                    (label::LEAD, self.user(data.lead)),
                    (label::START, texts::day(data.target_start)),
                    (label::END, texts::day(data.target_end)),
                ]),
                ..Draft::default()
            },
            EventData::TestAdded(data) => Draft {
                title: texts::added_in("test", &data.title, &data.product_name),
                summary: self.by(data.by),
                url: Some(links.test(data.test)),
                product_name: Some(data.product_name.clone()),
                facts: facts([
                    (label::PRODUCT, data.product_name.clone()),
                    (label::ENGAGEMENT, data.engagement_name.clone()),
                    (label::TEST_TYPE, data.test_type.clone()),
                ]),
                ..Draft::default()
            },
            EventData::UpcomingEngagement(data) | EventData::StaleEngagement(data) => Draft {
                title: match self.event.kind {
                    EventKind::UpcomingEngagement => texts::upcoming(&data.name, data.days),
                    _ => texts::stale(&data.name, data.days),
                },
                url: Some(links.engagement(data.engagement)),
                product_name: Some(data.product_name.clone()),
                facts: facts([
                    (label::PRODUCT, data.product_name.clone()),
                    (label::LEAD, self.user(data.lead)),
                    (label::START, texts::day(data.target_start)),
                    (label::END, texts::day(data.target_end)),
                ]),
                ..Draft::default()
            },
            EventData::AutoCloseEngagement(data) | EventData::EngagementClosed(data) => Draft {
                title: texts::closed(&data.name),
                summary: match (data.by, data.days) {
                    (Some(by), _) => texts::by(&self.names.user(by)),
                    (None, days) => texts::closed_by_itself(days),
                },
                url: Some(links.engagement(data.engagement)),
                product_name: Some(data.product_name.clone()),
                facts: facts([
                    (label::PRODUCT, data.product_name.clone()),
                    (label::END, texts::day(data.target_end)),
                ]),
                ..Draft::default()
            },
            _ => Draft::default(),
        }
    }

    fn scan(&self, scan: &ScanAdded) -> Draft {
        let changed = scan.new + scan.reactivated;
        let worst = |by: &BTreeMap<Severity, u64>| by.iter().find(|(_, n)| **n > 0).map(|at| *at.0);
        Draft {
            title: texts::scan(&scan.test_title, &scan.product_name, scan.new, scan.closed),
            summary: texts::scan_summary(scan),
            url: Some(self.links.test(scan.test)),
            product_name: Some(scan.product_name.clone()),
            facts: facts([
                (label::PRODUCT, scan.product_name.clone()),
                (label::ENGAGEMENT, scan.engagement_name.clone()),
                (label::TEST, scan.test_title.clone()),
                (label::SCAN_TYPE, scan.scan_type.clone()),
                (label::NEW, texts::by_severity(&scan.new_by_severity)),
            ]),
            sections: self.named(label::NEW_OR_REACTIVATED, &scan.findings, changed),
            severity: worst(&scan.new_by_severity)
                .into_iter()
                .chain(scan.findings.iter().map(|finding| finding.severity))
                .min(),
            ..Draft::default()
        }
    }

    fn of_findings(&self, data: &EventData) -> Draft {
        let links = self.links;
        match data {
            EventData::RiskAcceptanceExpired(data) => Draft {
                title: texts::acceptance_expired(&data.name),
                summary: texts::acceptance_ended(data.findings, data.reactivated),
                url: Some(links.risk_acceptance(RiskAcceptanceId(self.event.object))),
                facts: facts([
                    (label::OWNER, self.names.user(data.owner)),
                    (label::EXPIRY, texts::date(data.expiration_date)),
                ]),
                ..Draft::default()
            },
            EventData::RiskAcceptanceExpiring(data) => Draft {
                title: texts::acceptance_expiring(&data.name, data.expiration_date),
                summary: texts::acceptance_ends(data.reactivates),
                url: Some(links.risk_acceptance(RiskAcceptanceId(self.event.object))),
                facts: facts([
                    (label::OWNER, self.names.user(data.owner)),
                    (label::EXPIRY, texts::date(data.expiration_date)),
                ]),
                ..Draft::default()
            },
            EventData::JiraUpdate(data) => Draft {
                title: texts::jira(data.what, &data.title, data.jira_key.as_deref()),
                summary: data.text.clone(),
                url: (data.finding.map(|id| links.finding(id)))
                    .or_else(|| data.group.map(|id| links.finding_group(id))),
                facts: facts([(label::ISSUE, data.jira_key.clone().unwrap_or_default())]),
                ..Draft::default()
            },
            EventData::UserMentioned(data) => Draft {
                title: texts::mentioned(&self.names.user(data.by), &data.title),
                summary: data.text.clone(),
                url: data.place.map(|place| match place {
                    MentionedIn::Finding(id) => links.finding(id),
                    MentionedIn::Engagement(id) => links.engagement(id),
                    MentionedIn::Test(id) => links.test(id),
                }),
                ..Draft::default()
            },
            EventData::ReviewRequested(data) => Draft {
                title: texts::review(&self.names.user(data.by), &data.title),
                summary: data.note.clone(),
                url: Some(links.finding(data.finding)),
                facts: facts([
                    (label::SEVERITY, data.severity.name().to_owned()),
                    (label::REVIEWERS, self.users(&data.reviewers)),
                ]),
                severity: Some(data.severity),
                ..Draft::default()
            },
            EventData::CriticalFinding(data) => Draft {
                title: texts::critical(data.count, &data.findings, &data.product_name),
                summary: texts::critical_summary(data.import.is_some()),
                url: Some(match &*data.findings {
                    [only] if data.count <= 1 => links.finding(only.id),
                    _ => links.test(data.test),
                }),
                product_name: Some(data.product_name.clone()),
                facts: facts([
                    (label::PRODUCT, data.product_name.clone()),
                    (label::TEST, data.test_title.clone()),
                ]),
                sections: self.named(label::FINDINGS, &data.findings, data.count),
                severity: Some(Severity::Critical),
                ..Draft::default()
            },
            _ => Draft::default(),
        }
    }

    fn of_the_system(&self, data: &EventData) -> Draft {
        match data {
            EventData::ImportFailed(data) => {
                let hint = data.hint.as_deref();
                Draft {
                    title: texts::import_failed(
                        data.file_name.as_deref().or(data.scan_type.as_deref()),
                    ),
                    summary: texts::failure(&data.error, hint),
                    url: Some(self.links.import(data.import)),
                    product_name: data.product_name.clone(),
                    facts: facts([
                        (
                            label::PRODUCT,
                            data.product_name.clone().unwrap_or_default(),
                        ),
                        (label::FILE, data.file_name.clone().unwrap_or_default()),
                        (label::SCAN_TYPE, data.scan_type.clone().unwrap_or_default()),
                    ]),
                    ..Draft::default()
                }
            }
            EventData::Other(data) => Draft {
                title: data.title.clone(),
                summary: data.text.clone(),
                url: data.path.as_deref().and_then(|path| self.links.path(path)),
                ..Draft::default()
            },
            _ => Draft::default(),
        }
    }

    fn due(&self, due: &SlaDue) -> Draft {
        let parts = [
            (label::BREACHED, &due.breached),
            (label::DUE_TODAY, &due.due_today),
            (label::DUE_SOON, &due.due_soon),
        ];
        let section = |(heading, part): (&str, &DueFindings)| {
            let items = part.findings.iter().take(20).map(|finding| Item {
                text: texts::due_item(&self.names.finding(finding.id), finding.days_remaining),
                url: Some(self.links.finding(finding.id)),
                severity: Some(finding.severity),
            });
            let items: Vec<Item> = items.collect();
            Section {
                heading: texts::counted(heading, part.count),
                more: part.count.saturating_sub(items.len() as u64),
                items,
            }
        };
        let counts = parts.map(|(_, part)| part.count);
        let severities = parts.iter().flat_map(|(_, part)| &part.severities);
        Draft {
            title: texts::due(&due.product_name, counts),
            summary: texts::due_summary(counts),
            url: self.event.product.map(|id| self.links.product(id)),
            product_name: Some(due.product_name.clone()),
            severity: (severities.filter(|(_, n)| **n > 0).map(|(at, _)| *at)).min(),
            sections: parts.into_iter().map(section).collect(),
            ..Draft::default()
        }
    }

    fn one_due(&self, product: &str, due: &DueFinding) -> Draft {
        let title = self.names.finding(due.id);
        Draft {
            title: texts::due_item(&text::one_line(&title, 110), due.days_remaining),
            summary: texts::one_due(due.days_remaining),
            url: Some(self.links.finding(due.id)),
            product_name: Some(product.to_owned()),
            object: Some(due.id.0),
            facts: facts([
                (label::PRODUCT, product.to_owned()),
                (label::FINDING, title),
                (label::SEVERITY, due.severity.name().to_owned()),
            ]),
            severity: Some(due.severity),
            ..Draft::default()
        }
    }

    /// A section of these findings, of so many; none where there are none.
    fn named(&self, heading: &str, findings: &[NamedFinding], all: u64) -> Vec<Section> {
        let items = findings.iter().map(|finding| Item {
            text: finding.title.clone(),
            url: Some(self.links.finding(finding.id)),
            severity: Some(finding.severity),
        });
        vec![Section {
            heading: heading.to_owned(),
            items: items.collect(),
            more: all.saturating_sub(findings.len() as u64),
        }]
    }

    fn by(&self, user: Option<UserId>) -> String {
        user.map_or_else(texts::by_an_import, |id| texts::by(&self.names.user(id)))
    }

    fn user(&self, user: Option<UserId>) -> String {
        user.map(|id| self.names.user(id)).unwrap_or_default()
    }

    fn users(&self, users: &[UserId]) -> String {
        let users: Vec<String> = users.iter().map(|id| self.names.user(*id)).collect();
        users.join(", ")
    }
}

/// Facts; those without a value are left out when the message is fitted.
fn facts<const N: usize>(facts: [(&str, String); N]) -> Vec<Fact> {
    let fact = |(label, value): (&str, String)| Fact {
        label: label.to_owned(),
        value,
    };
    facts.into_iter().map(fact).collect()
}
