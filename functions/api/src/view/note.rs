//! Notes as clients see them.

use serde_json::{Value, json};
use tatami_domain::{Note, NoteVersion, User, UserId};
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
    Field::answer("history", Kind::Other("NoteHistory", true)),
    Field::answer("note_type", Kind::Other("NoteType", false)).nullable(),
    Field::new("entry", Kind::Text(Note::MAX_ENTRY)).required(),
    Field::answer("date", Kind::DateTime),
    Field::new("private", Kind::Bool),
    Field::new("edited", Kind::Bool),
    Field::answer("edit_time", Kind::DateTime).nullable(),
];

/// The fields of what a note said before.
pub const VERSION: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("current_editor", Kind::Other("UserStub", false)).nullable(),
    Field::answer("note_type", Kind::Other("NoteType", false)).nullable(),
    Field::answer("data", Kind::Text(0)),
    Field::answer("time", Kind::DateTime).nullable(),
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
    Field::new("entry", Kind::Text(Note::MAX_ENTRY)).required(),
    Field::new("private", Kind::Bool),
    Field::new("note_type", Kind::Ref(Target::Record(NoteType::KIND))).nullable(),
];

/// Notes with their authors and types. Earlier versions are numbered within their note.
pub async fn views(store: &Store, notes: &[Note]) -> Result<Vec<Value>> {
    let versions = || notes.iter().flat_map(|note| &note.history);
    let people = notes.iter().flat_map(|note| [note.author, note.editor]);
    let people = people.chain(versions().map(|version| version.author));
    let people: Vec<UserId> = people.flatten().collect();
    let types = notes.iter().map(|note| note.note_type);
    let types = types.chain(versions().map(|version| version.note_type));
    let types: Vec<u64> = types.flatten().collect();
    let people: Vec<User> = store.get_all(people).await?;
    let types: Vec<Record<NoteType>> = store.get_all(types).await?;
    let mut type_views = Vec::with_capacity(types.len());
    for kind in &types {
        type_views.push((kind.id(), catalog::view(store, kind).await?));
    }
    let kind = |of: Option<u64>| {
        let found = type_views.iter().find(|(id, _)| Some(*id) == of);
        found.map(|(_, view)| view)
    };
    let person = |of: Option<UserId>| {
        let user = people.iter().find(|user| Some(user.id) == of);
        user.map(author)
    };
    let version = |(id, version): (u64, &NoteVersion)| {
        json!({
            "id": id, "current_editor": person(version.author),
            "note_type": kind(version.note_type), "data": version.entry, "time": version.time,
        })
    };
    let view = |note: &Note| {
        let history: Vec<Value> = (1..).zip(&note.history).map(version).collect();
        json!({
            "id": note.id, "author": person(note.author), "editor": person(note.editor),
            "history": history, "note_type": kind(note.note_type), "entry": note.entry,
            "date": note.date, "private": note.private, "edited": note.edited,
            "edit_time": note.edit_time,
        })
    };
    Ok(notes.iter().map(view).collect())
}
