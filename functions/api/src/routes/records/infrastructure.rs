//! What products are built with.

use super::{Kept, add_kind};
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<CicdInfrastructure>(routes);
}

const INFRASTRUCTURES: &[&str] = &["scm_server", "build_server", "orchestration"];

/// A server of a build chain.
#[derive(Debug, Clone)]
pub struct CicdInfrastructure;

impl Kept for CicdInfrastructure {
    const KIND: &'static str = "CICD";
    const WORD: &'static str = "CI/CD infrastructure";
    const PATH: &'static str = "/api/v2/cicd_infrastructure";
    const SCHEMA: &'static str = "CICDInfrastructure";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(200)).required(),
        Field::new("description", Kind::Text(2000)),
        Field::new("url", Kind::Uri(2000)),
        Field::new("infrastructure_type", Kind::Choice(INFRASTRUCTURES)).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("infrastructure_type", How::OneOf),
    ];
    const NAME: &'static str = "name";
}
