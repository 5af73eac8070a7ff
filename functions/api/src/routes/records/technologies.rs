//! What products are built with.

use super::{Kept, add_kind};
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Technology>(routes);
}

/// A library, framework or service that a product is built with.
#[derive(Debug, Clone)]
pub struct Technology;

impl Kept for Technology {
    const KIND: &'static str = "TECHNOLOGY";
    const WORD: &'static str = "technology";
    const PATH: &'static str = "/api/v2/technologies";
    const SCHEMA: &'static str = "AppAnalysis";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product))
            .required()
            .fixed(),
        Field::new("name", Kind::Text(200)).required(),
        Field::new("user", Kind::Ref(Target::User)).required(),
        Field::new("confidence", Kind::Integer(0, 2_147_483_647)).nullable(),
        Field::new("version", Kind::Text(200)).nullable(),
        Field::new("icon", Kind::Text(200)).nullable(),
        Field::new("website", Kind::Uri(400)),
        Field::new("website_found", Kind::Uri(400)),
        Field::answer("created", Kind::DateTime),
        Field::new("tags", Kind::Texts),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("product", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("user", How::Ids),
        Filter::of("version", How::Exact),
        Filter::TAGS[0],
        Filter::TAGS[1],
        Filter::TAGS[2],
        Filter::TAGS[3],
        Filter::TAGS[4],
    ];
    const NAME: &'static str = "name";
    const OF_PRODUCT: bool = true;
}
