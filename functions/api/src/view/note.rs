//! Notes as clients see them.

use serde_json::{Value, json};
use tatami_domain::{Note, User};
use tatami_store::{Entity as _, Store};

use crate::error::Result;
use crate::fields::{Field, Kind, Target};
use crate::routes::catalog;
use crate::routes::records::{Kept as _, NoteType, Record};

/// The fields of a note.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("author", Kind::Other("UserStub", false)).nullable(),
    Field::answer("editor", Kind::Other("UserStub", false)).nullable(),
    Field::answer("history", Kind::Other("", true)),
    Field::answer("note_type", Kind::Other("NoteType", false)).nullable(),
    Field::answer("entry", Kind::Text(0)),
    Field::answer("date", Kind::DateTime),
    Field::answer("private", Kind::Bool),
    Field::answer("edited", Kind::Bool),
    Field::answer("edit_time", Kind::DateTime).nullable(),
];

/// The fields of a user as they stand in a note.
pub const AUTHOR: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("username", Kind::Text(150)),
    Field::answer("first_name", Kind::Text(150)),
    Field::answer("last_name", Kind::Text(150)),
];

/// A user as they stand in a note.
pub fn author(user: &User) -> Value {
    json!({
        "id": user.id, "username": user.username,
        "first_name": user.first_name, "last_name": user.last_name,
    })
}

/// What is sent of a note.
pub const SENT: &[Field] = &[
    Field::new("entry", Kind::Text(0)).required(),
    Field::new("private", Kind::Bool),
    Field::new("note_type", Kind::Ref(Target::Record(NoteType::KIND))).nullable(),
];

/// Notes with their authors and types.
pub async fn views(store: &Store, notes: &[Note]) -> Result<Vec<Value>> {
    let authors: Vec<User> = store
        .get_all(notes.iter().filter_map(|note| note.author))
        .await?;
    let types = notes.iter().filter_map(|note| note.note_type);
    let types: Vec<Record<NoteType>> = store.get_all(types).await?;
    let mut type_views = Vec::with_capacity(types.len());
    for kind in &types {
        type_views.push((kind.id(), catalog::view(store, kind).await?));
    }
    let view = |note: &Note| {
        let kind = type_views
            .iter()
            .find(|(id, _)| Some(*id) == note.note_type);
        let kind = kind.map(|(_, view)| view);
        let author = authors
            .iter()
            .find(|user| Some(user.id) == note.author)
            .map(author);
        json!({
            "id": note.id, "author": author, "editor": null, "history": [], "note_type": kind,
            "entry": note.entry, "date": note.date, "private": note.private,
            "edited": note.edited, "edit_time": null,
        })
    };
    Ok(notes.iter().map(view).collect())
}
