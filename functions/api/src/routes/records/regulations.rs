//! Laws and standards that products are held to.

use tatami_domain::Product;
use tatami_store::Store;

use super::{Kept, add_kind};
use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Regulation>(routes);
}

const CATEGORIES: &[&str] = &[
    "privacy",
    "finance",
    "education",
    "medical",
    "corporate",
    "security",
    "government",
    "other",
];

/// A law or standard.
#[derive(Debug, Clone)]
pub struct Regulation;

impl Kept for Regulation {
    const KIND: &'static str = "REGULATION";
    const WORD: &'static str = "regulation";
    const PATH: &'static str = "/api/v2/regulations";
    const SCHEMA: &'static str = "Regulation";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(128)).required(),
        Field::new("acronym", Kind::Text(20)).required(),
        Field::new("category", Kind::Choice(CATEGORIES)).required(),
        Field::new("jurisdiction", Kind::Text(64)).required(),
        Field::new("description", Kind::Text(0)),
        Field::new("reference", Kind::Uri(200)),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("description", How::Exact),
    ];
    const NAME: &'static str = "acronym";
    const UNIQUE: bool = true;

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        let products: Vec<Product> = store.list().await?;
        let users = products
            .iter()
            .filter(|product| product.regulations.contains(&id));
        let users = users.count();
        Ok((users > 0).then(|| format!("{users} products")))
    }
}
