use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};
use tatami_domain::{DevelopmentEnvironment, Role, RoleId, TestType};

use crate::{Entity as _, Result, Store, StoreError};

/// Names of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the table of that name")]
pub struct Tables {
    pub catalog: String,
    pub findings: String,
    pub jobs: String,
}

/// The environments that exist from the start.
const ENVIRONMENTS: [&str; 7] = [
    "Development",
    "Default",
    "Lab",
    "Pre-prod",
    "Production",
    "Staging",
    "Test",
];

impl Store {
    /// Makes the tables where they don't exist, for the local stack; in the cloud the template does.
    pub async fn create_tables(&self) -> Result<()> {
        let call_failed = |reason: String| StoreError::Call {
            call: "CreateTable",
            reason,
        };
        let client = self.db.client();
        let tables = self.db.tables();
        for table in [&tables.catalog, &tables.findings, &tables.jobs] {
            if client
                .describe_table()
                .table_name(table)
                .send()
                .await
                .is_ok()
            {
                continue;
            }
            let mut call = client
                .create_table()
                .table_name(table)
                .billing_mode(BillingMode::PayPerRequest);
            for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
                let key = KeySchemaElement::builder()
                    .attribute_name(name)
                    .key_type(kind)
                    .build();
                let attribute = AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build();
                call = call
                    .key_schema(key.map_err(|e| call_failed(e.to_string()))?)
                    .attribute_definitions(attribute.map_err(|e| call_failed(e.to_string()))?);
            }
            call.send()
                .await
                .map_err(|e| StoreError::from_sdk("CreateTable", e))?;
            let ttl = TimeToLiveSpecification::builder()
                .enabled(true)
                .attribute_name("ttl")
                .build();
            client
                .update_time_to_live()
                .table_name(table)
                .time_to_live_specification(ttl.map_err(|e| call_failed(e.to_string()))?)
                .send()
                .await
                .map_err(|e| StoreError::from_sdk("UpdateTimeToLive", e))?;
        }
        Ok(())
    }

    /// Makes the roles that exist from the start, under the ids 1, 2, … Harmless at any time.
    pub async fn seed_roles(&self, names: impl IntoIterator<Item = &'static str>) -> Result<()> {
        let roles: Vec<Role> = (1..)
            .zip(names)
            .map(|(id, name)| Role {
                id: RoleId(id),
                name: name.to_owned(),
                builtin: true,
                permissions: Vec::new(),
            })
            .collect();
        // roles that people make get later ids
        self.skip_ids(Role::KIND, roles.len() as u64).await?;
        for role in roles {
            self.create_reserved(role).await?;
        }
        Ok(())
    }

    /// Makes the environments and test types that exist from the start. Harmless at any time.
    pub async fn seed(&self, scan_types: impl IntoIterator<Item = &'static str>) -> Result<()> {
        let known = self.list::<DevelopmentEnvironment>().await?;
        for name in ENVIRONMENTS {
            if !known.iter().any(|e| e.name == name) {
                let environment = DevelopmentEnvironment {
                    name: name.to_owned(),
                    ..DevelopmentEnvironment::default()
                };
                self.find_or_create(environment).await?;
            }
        }
        let known = self.list::<TestType>().await?;
        for name in scan_types {
            if !known.iter().any(|t| t.name == name) {
                let test_type = TestType {
                    name: name.to_owned(),
                    active: true,
                    ..TestType::default()
                };
                self.find_or_create(test_type).await?;
            }
        }
        Ok(())
    }
}
