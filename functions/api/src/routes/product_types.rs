//! Product types.

use serde_json::json;
use tatami_auth::Permission;
use tatami_domain::ProductType;
use tatami_store::Store;

use super::catalog::{self, Filter, How, Resource, constants};
use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<ProductType>(routes);
}

impl Resource for ProductType {
    const PATH: &'static str = "/api/v2/product_types";
    const SCHEMA: &'static str = "ProductType";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(255)).required(),
        Field::new("description", Kind::Text(4000)).nullable(),
        Field::new("critical_product", Kind::Bool),
        Field::new("key_product", Kind::Bool),
        Field::answer("created", Kind::DateTime),
        Field::answer("updated", Kind::DateTime),
        Field::answer("authorized_users", Kind::Refs(Target::User)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Contains),
        Filter {
            name: "name_exact",
            field: "name",
            how: How::Exact,
        },
        Filter::of("critical_product", How::Bool),
        Filter::of("key_product", How::Bool),
        Filter::of("created", How::Day),
        Filter::of("updated", How::Day),
    ];
    const VIEW: Permission = Permission::ViewProducts;
    const ADD: Permission = Permission::AddProduct;
    const EDIT: Permission = Permission::EditProduct;

    fn fresh() -> Self {
        Self::default()
    }

    async fn decorate(_: &Store, views: &mut [Object]) -> Result<()> {
        constants(views, &json!({"authorized_users": []}));
        Ok(())
    }
}
