//! What findings belong to, spelled out: `related_fields=true`.

use std::collections::HashMap;

use serde_json::{Value, json};
use tatami_domain::{
    DevelopmentEnvironment, Engagement, EngagementId, EnvironmentId, Finding, Product, ProductId,
    ProductType, ProductTypeId, Test, TestId, TestType, TestTypeId,
};
use tatami_store::Store;

use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::view::jira::Issues;

const ID: Field = Field::answer("id", Kind::Ref(Target::Unknown));
const NAME: Field = Field::answer("name", Kind::Text(300));
const VERSIONS: [Field; 4] = [
    Field::answer("branch_tag", Kind::Text(150)).nullable(),
    Field::answer("build_id", Kind::Text(150)).nullable(),
    Field::answer("commit_hash", Kind::Text(150)).nullable(),
    Field::answer("version", Kind::Text(100)).nullable(),
];

/// Adds the schemas.
pub fn add(routes: &mut Routes) {
    let [branch_tag, build_id, commit_hash, version] = VERSIONS;
    let one = |name, schema| Field::answer(name, Kind::Other(schema, false));
    let test = [
        ID,
        Field::answer("title", Kind::Text(255)).nullable(),
        one("test_type", "FindingTestType"),
        one("engagement", "FindingEngagement"),
        one("environment", "FindingEnvironment").nullable(),
        branch_tag,
        build_id,
        commit_hash,
        version,
    ];
    let engagement = [
        ID,
        NAME,
        Field::answer("description", Kind::Text(2000)).nullable(),
        one("product", "FindingProduct"),
        Field::answer("target_start", Kind::Date),
        Field::answer("target_end", Kind::Date),
        branch_tag,
        Field::answer("engagement_type", Kind::Text(0)),
        build_id,
        commit_hash,
        version,
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
    ];
    let related = [
        one("test", "FindingTest"),
        one("jira", "JIRAIssue").nullable(),
    ];
    routes.schemas("FindingRelatedFields", &related);
    routes.schemas("FindingTest", &test);
    routes.schemas("FindingEngagement", &engagement);
    routes.schemas(
        "FindingProduct",
        &[ID, NAME, one("prod_type", "FindingProdType")],
    );
    routes.schemas("FindingProdType", &[ID, NAME]);
    routes.schemas("FindingEnvironment", &[ID, NAME]);
    routes.schemas("FindingTestType", &[ID, NAME]);
}

/// What some findings belong to.
#[derive(Debug, Default)]
pub struct Related {
    tests: HashMap<TestId, Test>,
    engagements: HashMap<EngagementId, Engagement>,
    products: HashMap<ProductId, Product>,
    product_types: HashMap<ProductTypeId, ProductType>,
    test_types: HashMap<TestTypeId, TestType>,
    environments: HashMap<EnvironmentId, DevelopmentEnvironment>,
}

impl Related {
    /// Reads it, each thing once.
    pub async fn load(store: &Store, findings: &[&Finding]) -> Result<Self> {
        let tests: Vec<Test> = store.get_all(findings.iter().map(|f| f.test)).await?;
        let engagements = findings.iter().map(|f| f.engagement);
        let engagements: Vec<Engagement> = store.get_all(engagements).await?;
        let products: Vec<Product> = store.get_all(findings.iter().map(|f| f.product)).await?;
        let product_types = store.get_all(products.iter().map(|product| product.prod_type));
        let product_types: Vec<ProductType> = product_types.await?;
        let test_types: Vec<TestType> = store
            .get_all(tests.iter().map(|test| test.test_type))
            .await?;
        let environments = store.get_all(tests.iter().map(|test| test.environment));
        let environments: Vec<DevelopmentEnvironment> = environments.await?;
        Ok(Self {
            tests: tests.into_iter().map(|one| (one.id, one)).collect(),
            engagements: engagements.into_iter().map(|one| (one.id, one)).collect(),
            products: products.into_iter().map(|one| (one.id, one)).collect(),
            product_types: product_types.into_iter().map(|one| (one.id, one)).collect(),
            test_types: test_types.into_iter().map(|one| (one.id, one)).collect(),
            environments: environments.into_iter().map(|one| (one.id, one)).collect(),
        })
    }

    /// What a finding belongs to, with its issue in JIRA; none where its test is gone.
    pub fn of(&self, finding: &Finding, issues: &Issues) -> Option<Value> {
        let test = self.tests.get(&finding.test)?;
        let engagement = self.engagements.get(&test.engagement)?;
        let product = self.products.get(&engagement.product)?;
        let prod_type = self.product_types.get(&product.prod_type);
        let prod_type = prod_type.map(|t| json!({"id": t.id, "name": t.name}));
        let test_type = self.test_types.get(&test.test_type);
        let test_type = test_type.map(|t| json!({"id": t.id, "name": t.name}));
        let environment = self.environments.get(&test.environment);
        let environment = environment.map(|e| json!({"id": e.id, "name": e.name}));
        Some(json!({
            "test": {
                "id": test.id,
                "title": test.title,
                "test_type": test_type,
                "engagement": {
                    "id": engagement.id,
                    "name": engagement.name,
                    "description": engagement.description,
                    "product": {"id": product.id, "name": product.name, "prod_type": prod_type},
                    "target_start": engagement.target_start,
                    "target_end": engagement.target_end,
                    "branch_tag": engagement.branch_tag,
                    "engagement_type": engagement.engagement_type,
                    "build_id": engagement.build_id,
                    "commit_hash": engagement.commit_hash,
                    "version": engagement.version,
                    "created": engagement.created,
                    "updated": engagement.updated,
                },
                "environment": environment,
                "branch_tag": test.branch_tag,
                "build_id": test.build_id,
                "commit_hash": test.commit_hash,
                "version": test.version,
            },
            "jira": issues.view(finding.jira.issue),
        }))
    }
}
