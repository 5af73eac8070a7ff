//! What everybody who signs in is told.

use serde_json::{Value, json};

use super::{Kept, Record, add_kind};
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Announcement>(routes);
}

const STYLES: &[&str] = &["info", "success", "warning", "danger"];

/// What everybody who signs in is told; there is at most one.
#[derive(Debug, Clone)]
pub struct Announcement;

impl Kept for Announcement {
    const KIND: &'static str = "ANNOUNCEMENT";
    const WORD: &'static str = "announcement";
    const PATH: &'static str = "/api/v2/announcements";
    const SCHEMA: &'static str = "Announcement";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("message", Kind::Text(500)),
        Field::new("style", Kind::Choice(STYLES)),
        Field::new("dismissable", Kind::Bool),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("message", How::Exact),
        Filter::of("style", How::Exact),
        Filter::of("dismissable", How::Bool),
    ];
    const NAME: &'static str = "message";

    fn defaults() -> Value {
        json!({"style": "info"})
    }

    fn unique_name(_of: &Record<Self>) -> Option<(u64, &str)> {
        Some((0, "announcement"))
    }
}
