//! What is said of an event, whatever the channel.

mod build;
mod sample;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tatami_domain::{EngagementId, FindingGroupId, FindingId, ImportId, ProductId, ProductTypeId};
use tatami_domain::{RiskAcceptanceId, Severity, TestId, UserId};

use crate::text::{clean, is_url, one_line};
use crate::{Topic, texts};

pub use build::message;
pub use sample::sample;

/// What is said of an event under one topic. Texts are plain and not escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same whenever the event is told of; 32 hexadecimal digits.
    pub id: String,
    /// What people subscribe to.
    pub topic: Topic,
    /// All of it in a line of at most 150 characters.
    pub title: String,
    /// Some sentences.
    pub summary: String,
    /// Where to look.
    pub url: Option<String>,
    /// The product.
    pub product: Option<ProductName>,
    /// The object of the event; for [`Topic::SlaBreach`], the finding.
    pub object: u64,
    /// What is worth a line of its own.
    pub facts: Vec<Fact>,
    /// Lists.
    pub sections: Vec<Section>,
    /// The worst severity of what it's about.
    pub severity: Option<Severity>,
    /// When it happened.
    pub time: Timestamp,
}

/// A product, with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductName {
    /// Which.
    pub id: ProductId,
    /// Its name.
    pub name: String,
}

/// A label and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Such as `Engagement`.
    pub label: String,
    /// Such as its name.
    pub value: String,
}

/// A list under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// What is named.
    pub items: Vec<Item>,
    /// How many there are beside those named.
    pub more: u64,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub text: String,
    /// Where to look.
    pub url: Option<String>,
    /// How bad it is.
    pub severity: Option<Severity>,
}

const MAX_TITLE: usize = 150;
const MAX_SUMMARY: usize = 1_000;
const MAX_FACTS: usize = 10;
const MAX_LABEL: usize = 40;
const MAX_VALUE: usize = 300;
const MAX_SECTIONS: usize = 4;
const MAX_HEADING: usize = 100;
const MAX_ITEMS: usize = 20;
const MAX_ITEM: usize = 200;

impl Message {
    /// The same within limits: without control characters and marks that turn the direction of text, lengths (in
    /// UTF-16 units) and lists cut, addresses that are none left out. Every channel begins with it.
    #[must_use]
    pub fn fit(&self) -> Self {
        let url = |url: &Option<String>| url.clone().filter(|url| is_url(url));
        let title = one_line(&self.title, MAX_TITLE);
        let line = |text: &str, max: usize| match one_line(text, max) {
            empty if empty.is_empty() => "…".to_owned(),
            line => line,
        };
        let fact = |fact: &Fact| Fact {
            label: line(&fact.label, MAX_LABEL),
            value: one_line(&fact.value, MAX_VALUE),
        };
        let item = |item: &Item| Item {
            text: line(&item.text, MAX_ITEM),
            url: url(&item.url),
            severity: item.severity,
        };
        let section = |section: &Section| Section {
            heading: line(&section.heading, MAX_HEADING),
            items: section.items.iter().take(MAX_ITEMS).map(item).collect(),
            more: (section.more)
                .saturating_add(section.items.len().saturating_sub(MAX_ITEMS) as u64),
        };
        let facts = self.facts.iter().map(fact);
        Self {
            id: self.id.clone(),
            topic: self.topic,
            title: if title.is_empty() {
                self.topic.label().to_owned()
            } else {
                title
            },
            summary: clean(&self.summary, MAX_SUMMARY),
            url: url(&self.url),
            product: self.product.as_ref().map(|product| ProductName {
                id: product.id,
                name: one_line(&product.name, MAX_TITLE),
            }),
            object: self.object,
            facts: (facts.filter(|fact| !fact.value.is_empty()))
                .take(MAX_FACTS)
                .collect(),
            sections: (self.sections.iter().take(MAX_SECTIONS).map(section))
                .filter(|section| !section.items.is_empty() || section.more > 0)
                .collect(),
            severity: self.severity,
            time: self.time,
        }
    }

    /// The names of the topic, of the product, and when, in a line.
    pub(crate) fn origin(&self) -> String {
        let product = self.product.as_ref().map(|product| product.name.as_str());
        texts::origin(self.topic, product, self.time)
    }
}

/// Names of what an event only has the id of. What isn't there is called by its id.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Of users.
    pub users: BTreeMap<UserId, String>,
    /// Of products.
    pub products: BTreeMap<ProductId, String>,
    /// Titles of findings.
    pub findings: BTreeMap<FindingId, String>,
}

impl Names {
    fn user(&self, id: UserId) -> String {
        let name = self.users.get(&id).cloned();
        name.unwrap_or_else(|| texts::user(id))
    }

    fn finding(&self, id: FindingId) -> String {
        let title = self.findings.get(&id).cloned();
        title.unwrap_or_else(|| texts::finding(id))
    }
}

/// Addresses of what messages speak of.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
}

impl Links {
    /// Below the public address of the server, such as `https://tatami.example.org`.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// A path that begins with a single `/`; none for others, which could lead elsewhere.
    pub fn path(&self, path: &str) -> Option<String> {
        let inside = path.starts_with('/') && !path.starts_with("//");
        inside.then(|| format!("{}{path}", self.base))
    }

    /// A finding.
    pub fn finding(&self, id: FindingId) -> String {
        format!("{}/finding/{id}", self.base)
    }

    /// A group of findings.
    pub fn finding_group(&self, id: FindingGroupId) -> String {
        format!("{}/finding_group/{id}", self.base)
    }

    /// A product.
    pub fn product(&self, id: ProductId) -> String {
        format!("{}/product/{id}", self.base)
    }

    /// A product type.
    pub fn product_type(&self, id: ProductTypeId) -> String {
        format!("{}/product/type/{id}", self.base)
    }

    /// An engagement.
    pub fn engagement(&self, id: EngagementId) -> String {
        format!("{}/engagement/{id}", self.base)
    }

    /// A test.
    pub fn test(&self, id: TestId) -> String {
        format!("{}/test/{id}", self.base)
    }

    /// An import.
    pub fn import(&self, id: ImportId) -> String {
        format!("{}/import/{id}", self.base)
    }

    /// A risk acceptance.
    pub fn risk_acceptance(&self, id: RiskAcceptanceId) -> String {
        format!("{}/risk_acceptance/{id}", self.base)
    }
}
