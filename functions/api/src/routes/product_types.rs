//! Product types.

use jiff::Timestamp;
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Branch, Event, EventData, Membership, ProductType, ProductTypeAdded, ProductTypeId, UserId,
};
use tatami_store::Store;

use super::access::members;
use super::cascade::{self, Rooted};
use super::catalog::{self, ADDED, Filter, How, Resource};
use crate::Api;
use crate::auth::Caller;
use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<ProductType>(routes);
    cascade::add::<ProductType>(routes);
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
        Field::new("authorized_users", Kind::Refs(Target::User)),
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
    const ADD: Permission = Permission::AddProductType;
    const EDIT: Permission = Permission::EditProduct;

    fn fresh() -> Self {
        Self::default()
    }

    fn place(&self) -> Place {
        match self.id.0 {
            0 => Place::Everywhere,
            _ => Place::ProductType(self.id),
        }
    }

    async fn apply(
        &self,
        caller: &Caller,
        store: &Store,
        sent: &Object,
        _: Option<&Self>,
    ) -> Result<()> {
        let here = Membership {
            product_type: Some(self.id),
            ..Membership::default()
        };
        members::authorize(caller, store, sent, &here).await
    }

    async fn told(&self, _: &Store, by: UserId) -> Result<Option<Event>> {
        let data = EventData::ProductTypeAdded(ProductTypeAdded {
            product_type: self.id,
            name: self.name.clone(),
            by: Some(by),
        });
        Ok(Some(Event::new(
            &data,
            self.id,
            ADDED,
            None,
            Timestamp::now(),
        )))
    }

    fn changed(api: &Api) {
        api.known.invalidate_all();
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        members::add_authorized(store, views, |id| Place::ProductType(ProductTypeId(id))).await
    }
}

impl Rooted for ProductType {
    const DELETE: Permission = Permission::DeleteProduct;

    fn branch(&self) -> Branch {
        Branch::ProductType(self.id)
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
