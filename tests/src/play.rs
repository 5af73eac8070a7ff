//! Steps that both the laboratory and the model take.

use axum::http::Method;
use serde_json::json;

use crate::Lab;
use crate::model::{Asked, Edit, Model, OWN, Place, Reported, TITLE, report};

/// The engagements that steps speak of by number.
pub const ENGAGEMENTS: [&str; 3] = ["First", "Second", OWN];

/// One step. Deleting findings becomes one once that can be done.
#[derive(Debug, Clone)]
pub enum Step {
    /// A report comes.
    Report(Report),
    /// A person judges a finding: one of those that are no duplicates, counted round.
    Edit(usize, Edit),
}

/// A report and where it goes.
#[derive(Debug, Clone)]
pub struct Report {
    /// Is it a re-import?
    pub again: bool,
    /// Which engagement.
    pub engagement: usize,
    /// Which of the tests there are, counted round; `None`: a new one for imports, the one with the
    /// usual title for re-imports.
    pub into: Option<usize>,
    /// What it says.
    pub findings: Vec<Reported>,
    /// What its sender asks for.
    pub asked: Asked,
}

impl Report {
    /// The test that it names.
    fn test(&self, model: &Model) -> Option<Place> {
        let tests = model.tests();
        let into = self.into.filter(|_| !tests.is_empty())?;
        Some(tests[into % tests.len()].clone())
    }

    /// Puts the report into the laboratory's bucket.
    pub async fn upload(&self, lab: &Lab, product: &str, model: &Model) {
        let engagement = ENGAGEMENTS[self.engagement];
        let mut options = self.asked.fields();
        options.push(("scan_type", "Generic Findings Import".to_owned()));
        let mode = if self.again { "reimport" } else { "import" };
        options.push(("mode", mode.to_owned()));
        if let Some(test) = self.test(model) {
            let product = lab.product(product).await.expect("the product of the test");
            let tests = lab.tests(product.id).await;
            options.push(("test", tests[&test].id.to_string()));
        } else {
            if self.again {
                options.push(("test_title", TITLE.to_owned()));
            }
            let own = engagement == OWN;
            options.push(("deduplication_on_engagement", own.to_string()));
        }
        let findings = report(&self.findings);
        lab.upload(product, engagement, &options, findings).await;
    }

    /// The same in the model.
    pub fn tell(&self, model: &mut Model) {
        let engagement = ENGAGEMENTS[self.engagement];
        let test = self.test(model);
        if self.again {
            model.reimport(engagement, test, &self.findings, &self.asked);
        } else {
            model.import(engagement, test, &self.findings, &self.asked);
        }
    }
}

impl Step {
    /// Takes the step in the laboratory, each message delivered once, and in the model.
    pub async fn take(&self, lab: &Lab, product: &str, model: &mut Model) {
        match self {
            Self::Report(report) => {
                report.upload(lab, product, model).await;
                lab.settle().await;
                report.tell(model);
            }
            Self::Edit(which, edit) => {
                let judgeable = model.judgeable();
                if judgeable.is_empty() {
                    return;
                }
                let finding = judgeable[which % judgeable.len()];
                let id = lab.find(product, &model.row(finding)).await;
                let path = format!("findings/{id}/");
                let answer = lab.call(Method::PATCH, &path, Some(edit.body())).await;
                assert!(matches!(answer.status, 200 | 400), "{:#}", answer.body);
                model.edit(finding, *edit);
            }
        }
    }
}

/// Makes a product whose risks may be accepted by a flag.
pub async fn make_product(lab: &Lab, name: &str) {
    let kind = json!({"name": "Research and Development"});
    let made = lab.call(Method::POST, "product_types/", Some(kind)).await;
    assert!(matches!(made.status, 201 | 400), "{:#}", made.body);
    let product = json!({"name": name, "description": name, "prod_type": 1,
                         "enable_simple_risk_acceptance": true});
    let made = lab.call(Method::POST, "products/", Some(product)).await;
    made.expect(201);
}
