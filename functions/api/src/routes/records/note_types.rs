//! What notes are about.

use serde_json::{Value, json};

use super::{Kept, add_kind};
use crate::fields::{Field, Kind, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<NoteType>(routes);
}

/// What a note is about.
#[derive(Debug, Clone)]
pub struct NoteType;

impl Kept for NoteType {
    const KIND: &'static str = "NOTETYPE";
    const WORD: &'static str = "note type";
    const PATH: &'static str = "/api/v2/note_type";
    const SCHEMA: &'static str = "NoteType";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("name", Kind::Text(100)).required(),
        Field::new("description", Kind::Text(200)).required(),
        Field::new("is_single", Kind::Bool),
        Field::new("is_active", Kind::Bool),
        Field::new("is_mandatory", Kind::Bool),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("name", How::Exact),
        Filter::of("description", How::Exact),
        Filter::of("is_single", How::Bool),
        Filter::of("is_active", How::Bool),
        Filter::of("is_mandatory", How::Bool),
    ];
    const NAME: &'static str = "name";
    const UNIQUE: bool = true;

    fn defaults() -> Value {
        json!({"is_active": true, "is_mandatory": true})
    }
}
