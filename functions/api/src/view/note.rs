//! Notes as clients see them.

use serde_json::{Value, json};
use tatami_domain::{Note, User};
use tatami_store::Store;

use crate::error::Result;
use crate::fields::{Field, Kind, Target};

/// The fields of a note.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("author", Kind::Other("UserStub", false)).nullable(),
    Field::answer("editor", Kind::Other("UserStub", false)).nullable(),
    Field::answer("history", Kind::Other("", true)),
    Field::answer("note_type", Kind::Other("", false)).nullable(),
    Field::new("entry", Kind::Text(0)).required(),
    Field::answer("date", Kind::DateTime),
    Field::new("private", Kind::Bool),
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

/// Notes with their authors.
pub async fn views(store: &Store, notes: &[Note]) -> Result<Vec<Value>> {
    let authors: Vec<User> = store
        .get_all(notes.iter().filter_map(|note| note.author))
        .await?;
    let view = |note: &Note| {
        let author = authors
            .iter()
            .find(|user| Some(user.id) == note.author)
            .map(|user| {
                json!({
                    "id": user.id, "username": user.username,
                    "first_name": user.first_name, "last_name": user.last_name,
                })
            });
        json!({
            "id": note.id, "author": author, "editor": null, "history": [], "note_type": null,
            "entry": note.entry, "date": note.date, "private": note.private,
            "edited": note.edited, "edit_time": null,
        })
    };
    Ok(notes.iter().map(view).collect())
}
