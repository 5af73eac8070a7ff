//! What all products share: test types and development environments.

use tatami_auth::Permission;
use tatami_domain::{DevelopmentEnvironment, Test, TestType};
use tatami_store::Store;

use super::catalog::{self, Deletable, Filter, How, Resource};
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<TestType>(routes);
    catalog::add::<DevelopmentEnvironment>(routes);
    catalog::add_delete::<DevelopmentEnvironment>(routes);
}

const BY_NAME: &[Filter] = &[
    Filter::of("id", How::Ids),
    Filter::of("name", How::Contains),
    Filter {
        name: "name_exact",
        field: "name",
        how: How::Exact,
    },
];

impl Resource for TestType {
    const PATH: &'static str = "/api/v2/test_types";
    const SCHEMA: &'static str = "TestType";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(200)).required().fixed(),
        Field::new("static_tool", Kind::Bool),
        Field::new("dynamic_tool", Kind::Bool),
        Field::new("active", Kind::Bool),
    ];
    const FILTERS: &'static [Filter] = BY_NAME;
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ManageCommon;
    const EDIT: Permission = Permission::ManageCommon;

    fn fresh() -> Self {
        Self {
            active: true,
            ..Self::default()
        }
    }
}

impl Resource for DevelopmentEnvironment {
    const PATH: &'static str = "/api/v2/development_environments";
    const SCHEMA: &'static str = "DevelopmentEnvironment";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(200)).required(),
    ];
    const FILTERS: &'static [Filter] = BY_NAME;
    const VIEW: Permission = Permission::ViewCommon;
    const ADD: Permission = Permission::ManageCommon;
    const EDIT: Permission = Permission::ManageCommon;

    fn fresh() -> Self {
        Self::default()
    }
}

impl Deletable for DevelopmentEnvironment {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn users(&self, store: &Store) -> Result<Option<String>> {
        let tests: Vec<Test> = store.list().await?;
        let users = tests.iter().filter(|test| test.environment == self.id);
        let users = users.count();
        Ok((users > 0).then(|| format!("{users} tests")))
    }
}
