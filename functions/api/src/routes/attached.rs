//! Notes and files of findings, engagements and tests; notes of risk acceptances.

use std::future::Future;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_blobs::BlobError;
use tatami_domain::{
    AttachedFile, Attachment, AttachmentId, Engagement, Event, EventData, Finding, FindingId,
    JiraObject, MentionedIn, Note, OutboxWork, Owner, RiskAcceptance, Test, UserMentioned,
};
use tatami_store::{Follows, Store};

use super::catalog::{Resource, check_references, id_in_path};
use super::mentions::mentioned;
use super::records::{NoteType, Record};
use super::risk_acceptances;
use crate::Api;
use crate::auth::Caller;
use crate::body::{Body, Upload};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::view::acceptance;
use crate::view::finding::Packs;
use crate::view::note;

/// Files that came with a report have no ids; theirs begin here, in the order of the report.
const OF_REPORT: u64 = 2_000_000_000;
/// How many things' notes and files are read side by side.
const PARALLEL: usize = 8;

const FILE: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("file", Kind::Text(0)),
    Field::answer("title", Kind::Text(100)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    add_owner::<Finding>(routes);
    add_owner::<Engagement>(routes);
    add_owner::<Test>(routes);
    add_notes::<RiskAcceptance>(routes);
    routes.schemas("Note", note::FIELDS);
    routes.schemas("NoteHistory", note::VERSION);
    routes.schemas("UserStub", note::AUTHOR);
    routes.schemas("NewNote", note::SENT);
    routes.schemas("File", FILE);
    routes.schema(
        "FileRequest",
        json!({"type": "object", "required": ["file"], "properties": {
            "title": {"type": "string", "maxLength": Attachment::MAX_NAME},
            "file": {"type": "string", "format": "binary"},
        }}),
    );
}

/// Something that notes and files are attached to.
pub trait Annotated: Clone + Send + Sync + Sized + 'static {
    /// Path of the list.
    const PATH: &'static str;
    /// Under which name answers have its id.
    const ID: &'static str;
    /// Name of the schema of its notes.
    const NOTES: &'static str;
    /// Name of the schema of its files.
    const FILES: &'static str;
    /// Who may attach something.
    const EDIT: Permission;

    /// The one with this id.
    fn find(store: &Store, id: u64) -> impl Future<Output = Result<Self>> + Send;
    /// Where it is.
    fn place(&self) -> Place;
    /// What its notes and files belong to.
    fn owner(&self) -> Owner;
    /// What a note on it says that it's on, and the title of that.
    fn named(&self) -> (MentionedIn, String);

    /// As what it is in JIRA, or may have to go there.
    fn in_jira(&self) -> Option<JiraObject> {
        None
    }

    /// Notes that it has notes or files, so that lists look for them.
    fn mark(&self, _store: &Store) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// The files that came with it.
    fn own_files(&self, _api: &Api) -> impl Future<Output = Result<Vec<AttachedFile>>> + Send {
        async { Ok(Vec::new()) }
    }
}

impl Annotated for Finding {
    const PATH: &'static str = "/api/v2/findings";
    const ID: &'static str = "finding_id";
    const NOTES: &'static str = "FindingToNotes";
    const FILES: &'static str = "FindingToFiles";
    const EDIT: Permission = Permission::EditFinding;

    async fn find(store: &Store, id: u64) -> Result<Self> {
        Ok(store.finding(FindingId(id)).await?)
    }

    fn place(&self) -> Place {
        Place::from(self)
    }

    fn owner(&self) -> Owner {
        Owner::Finding(self.id)
    }

    fn named(&self) -> (MentionedIn, String) {
        (MentionedIn::Finding(self.id), self.title.clone())
    }

    fn in_jira(&self) -> Option<JiraObject> {
        (!self.jira.is_none()).then_some(JiraObject::Finding(self.id))
    }

    async fn own_files(&self, api: &Api) -> Result<Vec<AttachedFile>> {
        let packs = Packs::load(&api.services.blobs, [self]).await?;
        Ok(packs.of(self).files.clone())
    }
}

impl Annotated for Engagement {
    const PATH: &'static str = <Self as Resource>::PATH;
    const ID: &'static str = "engagement_id";
    const NOTES: &'static str = "EngagementToNotes";
    const FILES: &'static str = "EngagementToFiles";
    const EDIT: Permission = <Self as Resource>::EDIT;

    async fn find(store: &Store, id: u64) -> Result<Self> {
        Ok(store.get(id.into()).await?)
    }

    fn place(&self) -> Place {
        Resource::place(self)
    }

    fn owner(&self) -> Owner {
        Owner::Engagement(self.id)
    }

    fn named(&self) -> (MentionedIn, String) {
        (MentionedIn::Engagement(self.id), self.name.clone())
    }

    async fn mark(&self, store: &Store) -> Result<()> {
        let mark = |engagement: &mut Self| {
            engagement.annotated = true;
            Ok::<_, ApiError>(())
        };
        store.change(self.id, mark).await.map(drop)
    }
}

impl Annotated for RiskAcceptance {
    const PATH: &'static str = acceptance::PATH;
    const ID: &'static str = "risk_acceptance_id";
    const NOTES: &'static str = "RiskAcceptanceToNotes";
    const FILES: &'static str = "RiskAcceptanceToFiles";
    const EDIT: Permission = Permission::EditFinding;

    async fn find(store: &Store, id: u64) -> Result<Self> {
        Ok(store.get(id.into()).await?)
    }

    fn place(&self) -> Place {
        risk_acceptances::place(self)
    }

    fn owner(&self) -> Owner {
        Owner::RiskAcceptance(self.id)
    }

    fn named(&self) -> (MentionedIn, String) {
        (MentionedIn::RiskAcceptance(self.id), self.name.clone())
    }

    async fn mark(&self, store: &Store) -> Result<()> {
        let mark = |acceptance: &mut Self| {
            acceptance.annotated = true;
            Ok::<_, ApiError>(())
        };
        store.change(self.id, mark).await.map(drop)
    }
}

impl Annotated for Test {
    const PATH: &'static str = <Self as Resource>::PATH;
    const ID: &'static str = "test_id";
    const NOTES: &'static str = "TestToNotes";
    const FILES: &'static str = "TestToFiles";
    const EDIT: Permission = <Self as Resource>::EDIT;

    async fn find(store: &Store, id: u64) -> Result<Self> {
        Ok(store.get(id.into()).await?)
    }

    fn place(&self) -> Place {
        Resource::place(self)
    }

    fn owner(&self) -> Owner {
        Owner::Test(self.id)
    }

    fn named(&self) -> (MentionedIn, String) {
        let title = self.title.clone().or_else(|| self.scan_type.clone());
        (MentionedIn::Test(self.id), title.unwrap_or_default())
    }

    async fn mark(&self, store: &Store) -> Result<()> {
        let mark = |test: &mut Self| {
            test.annotated = true;
            Ok::<_, ApiError>(())
        };
        store.change(self.id, mark).await.map(drop)
    }
}

fn add_notes<T: Annotated>(routes: &mut Routes) {
    let path = format!("{}/{{id}}/notes", T::PATH);
    let get = Operation::get(&*path, "Its notes").answers(200, Answer::One(T::NOTES));
    routes.add(&get, notes::<T>);
    let post = Operation::post(path, "Add a note")
        .body("NewNoteRequest")
        .answers(201, Answer::One("Note"));
    routes.add(&post, add_note::<T>);
    let id = Field::answer(T::ID, Kind::Ref(Target::Unknown));
    let notes = Field::answer("notes", Kind::Other("Note", true));
    routes.schemas(T::NOTES, &[id, notes]);
}

fn add_owner<T: Annotated>(routes: &mut Routes) {
    add_notes::<T>(routes);
    let path = format!("{}/{{id}}/files", T::PATH);
    let get = Operation::get(&*path, "Its files").answers(200, Answer::One(T::FILES));
    routes.add(&get, files::<T>);
    let post = Operation::post(&*path, "Attach a file")
        .multipart("FileRequest")
        .answers(201, Answer::One("File"));
    routes.add(&post, add_file::<T>);
    let download = Operation::get(
        format!("{path}/download/{{file_id}}"),
        "The bytes of a file",
    )
    .answers(200, Answer::Media(&["application/octet-stream"]));
    routes.add(&download, self::download::<T>);
    let id = Field::answer(T::ID, Kind::Ref(Target::Unknown));
    let files = Field::answer("files", Kind::Other("File", true));
    routes.schemas(T::FILES, &[id, files]);
}

/// The one of a path, where the caller has the permission.
async fn permitted<T: Annotated>(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<T> {
    let found = T::find(&api.services.store, id_in_path(id)?).await?;
    caller.require(permission, found.place()).await?;
    Ok(found)
}

async fn notes<T: Annotated>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let of: T = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let store = &api.services.store;
    let notes = note::views(store, &store.notes(of.owner()).await?).await?;
    Ok(Json(json!({T::ID: id_in_path(&id)?, "notes": notes})))
}

async fn add_note<T: Annotated>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let to: T = permitted(&api, &caller, T::EDIT, &id).await?;
    let store = &api.services.store;
    let sent = read(&body, note::SENT, Mode::Create).map_err(ApiError::Fields)?;
    check_references(store, note::SENT, &sent).await?;
    let entry = sent["entry"].as_str().unwrap_or_default();
    let mut new = Note::new(0.into(), entry, Some(caller.0.user), Timestamp::now());
    new.private = sent.get("private").and_then(Value::as_bool) == Some(true);
    new.note_type = sent.get("note_type").and_then(Value::as_u64);
    if let Some(kind) = new.note_type {
        check_type(store, to.owner(), kind).await?;
    }
    let place = to.place();
    let product = place.product().unwrap_or_default();
    let mentioned = Box::pin(mentioned(store, caller.0.user, place, entry)).await?;
    let follows = |note: &Note| {
        let (of, title) = to.named();
        let data = UserMentioned::new(caller.0.user, of, title, &note.entry);
        let data = EventData::UserMentioned(data);
        let event = Event::new(&data, note.id, "written", Some(product), note.date);
        let objects = to.in_jira();
        Follows {
            events: (!mentioned.is_empty())
                .then(|| event.to(mentioned))
                .into_iter()
                .collect(),
            work: objects
                .map(|object| OutboxWork::Jira {
                    product,
                    objects: vec![object],
                })
                .into_iter()
                .collect(),
        }
    };
    let note = store.add_note(product, to.owner(), new, follows).await?;
    to.mark(store).await?;
    let mut views = note::views(store, &[note]).await?;
    Ok((StatusCode::CREATED, Json(views.pop().unwrap_or_default())))
}

/// Types that are no longer used take no notes, and some take one only.
pub async fn check_type(store: &Store, owner: Owner, kind: u64) -> Result<()> {
    let found: Record<NoteType> = store.get(kind).await?;
    if found.field("is_active") == false {
        return Err(ApiError::field("note_type", "This type is not in use."));
    }
    let is_taken = |note: &Note| note.note_type == Some(kind);
    if found.field("is_single") == true && store.notes(owner).await?.iter().any(is_taken) {
        return Err(ApiError::field(
            "note_type",
            "There is a note of this type already, and only one may be.",
        ));
    }
    Ok(())
}

async fn files<T: Annotated>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Base(base): Base,
) -> Result<Json<Value>> {
    let of: T = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let id = id_in_path(&id)?;
    let files = file_views(&api, &base, id, &of).await?;
    Ok(Json(json!({T::ID: id, "files": files})))
}

/// The files of something with an id.
pub async fn file_views<T: Annotated>(
    api: &Api,
    base: &str,
    id: u64,
    of: &T,
) -> Result<Vec<Value>> {
    let attached = api.services.store.attachments(of.owner()).await?;
    let own = of.own_files(api).await?;
    let own = (OF_REPORT..).zip(&own);
    let own = own.map(|(file, of_report)| file_view::<T>(base, id, file, &of_report.title));
    Ok((attached.iter())
        .map(|file| file_view::<T>(base, id, file.id.0, &file.title))
        .chain(own)
        .collect())
}

fn file_view<T: Annotated>(base: &str, owner: u64, id: u64, title: &str) -> Value {
    let file = format!("{base}{}/{owner}/files/download/{id}/", T::PATH);
    json!({"id": id, "file": file, "title": title})
}

/// Keeps an uploaded file of something.
pub async fn attach(
    api: &Api,
    caller: &Caller,
    owner: Owner,
    upload: Upload,
) -> Result<Attachment> {
    let Some((file_name, bytes)) = upload.file else {
        return Err(ApiError::field("file", "No file was submitted."));
    };
    let too_long = |name: &str| name.chars().count() > Attachment::MAX_NAME;
    let title = upload.fields.iter().find(|(name, _)| name == "title");
    let title = title.map(|(_, title)| title.trim()).unwrap_or_default();
    let title = if title.is_empty() { &file_name } else { title };
    for (field, name) in [("title", title), ("file", &file_name)] {
        if too_long(name) {
            let message = format!("Use no more than {} characters.", Attachment::MAX_NAME);
            return Err(ApiError::field(field, message));
        }
    }
    let store = &api.services.store;
    let attachment = Attachment {
        id: store.reserve::<Attachment>().await?,
        owner,
        title: title.to_owned(),
        size: bytes.len() as u64,
        created: Timestamp::now(),
        by: caller.0.user,
        file_name,
    };
    // The bytes first: a file that is listed can be read.
    api.services
        .blobs
        .put_attachment(attachment.id, bytes)
        .await?;
    Ok(store.create_reserved(attachment).await?)
}

async fn add_file<T: Annotated>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Base(base): Base,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    let to: T = permitted(&api, &caller, T::EDIT, &id).await?;
    let attachment = attach(&api, &caller, to.owner(), upload).await?;
    to.mark(&api.services.store).await?;
    let view = file_view::<T>(&base, id_in_path(&id)?, attachment.id.0, &attachment.title);
    Ok((StatusCode::CREATED, Json(view)))
}

/// Bytes that a browser saves and does nothing else with.
pub fn saved(name: &str, bytes: Vec<u8>) -> Response {
    let name = form_urlencoded::byte_serialize(name.as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename*=UTF-8''{name}"),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, bytes).into_response()
}

async fn download<T: Annotated>(
    State(api): State<Api>,
    caller: Caller,
    Path((id, file)): Path<(String, String)>,
) -> Result<Response> {
    let of: T = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let file = id_in_path(&file)?;
    let (name, bytes) = if let Some(place) = file.checked_sub(OF_REPORT) {
        let own = of.own_files(&api).await?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let own = own.into_iter().nth(place).ok_or_else(ApiError::not_found)?;
        let bytes = STANDARD.decode(own.data.trim());
        (own.title, bytes.map_err(|_| ApiError::not_found())?)
    } else {
        let found: Attachment = api.services.store.get(AttachmentId(file)).await?;
        if found.owner != of.owner() {
            return Err(ApiError::not_found());
        }
        match api.services.blobs.attachment(found.id).await {
            Err(BlobError::NotFound { .. }) => return Err(ApiError::not_found()),
            bytes => (found.file_name, bytes?),
        }
    };
    Ok(saved(&name, bytes))
}

/// Puts notes and files into answers of a list, for those that have any.
pub async fn decorate(
    store: &Store,
    views: &mut [Object],
    path: &str,
    owner: impl Fn(u64) -> Owner,
) -> Result<()> {
    let reads: Vec<_> = (views.iter_mut())
        .map(|view| {
            let id = view["id"].as_u64().unwrap_or_default();
            let annotated = view.remove("annotated") == Some(json!(true));
            annotated.then(|| (id, owner(id)))
        })
        .map(|annotated| async move {
            let Some((id, owner)) = annotated else {
                return Ok::<_, ApiError>((json!([]), json!([])));
            };
            let notes = note::views(store, &store.notes(owner).await?).await?;
            let file = |file: &Attachment| {
                let id = format!("{path}/{id}/files/download/{}/", file.id);
                json!({"id": file.id, "file": id, "title": file.title})
            };
            let files = store.attachments(owner).await?;
            let files: Vec<Value> = files.iter().map(file).collect();
            Ok((json!(notes), json!(files)))
        })
        .collect();
    let read: Vec<(Value, Value)> = futures::stream::iter(reads)
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    for (view, (notes, files)) in views.iter_mut().zip(read) {
        view.insert("notes".into(), notes);
        view.insert("files".into(), files);
    }
    Ok(())
}

/// The ids of a finding's files.
pub async fn file_ids(store: &Store, finding: &Finding, own: usize) -> Result<Vec<u64>> {
    let attached = store.attachments(finding.id).await?;
    let attached = attached.iter().map(|file| file.id.0);
    Ok(attached.chain((OF_REPORT..).take(own)).collect())
}
