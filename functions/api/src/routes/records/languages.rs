//! In what languages products are written, and how much of each.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Product, ProductId};
use tatami_store::{Entity as _, Named, Store};

use super::{Kept, Record, add_kind};
use crate::Api;
use crate::auth::Caller;
use crate::body::Upload;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{Filter, How, Resource as _};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<LanguageType>(routes);
    add_kind::<Language>(routes);
    let import = Operation::post(
        "/api/v2/import-languages",
        "The languages of a product from a report of cloc (`cloc --json`)",
    )
    .multipart("ImportLanguagesRequest")
    .answers(201, Answer::One("ImportLanguages"));
    routes.add(&import, self::import);
    let product = json!({"type": "integer"});
    routes.schema(
        "ImportLanguagesRequest",
        json!({"type": "object", "required": ["product", "file"],
            "properties": {"product": product, "file": {"type": "string", "format": "binary"}}}),
    );
    routes.schema(
        "ImportLanguages",
        json!({"type": "object", "required": ["product", "file"],
            "properties": {"product": product, "file": {"type": "string"}}}),
    );
}

/// A programming language.
#[derive(Debug, Clone)]
pub struct LanguageType;

impl Kept for LanguageType {
    const KIND: &'static str = "LANGTYPE";
    const WORD: &'static str = "language type";
    const PATH: &'static str = "/api/v2/language_types";
    const SCHEMA: &'static str = "LanguageType";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("language", Kind::Text(100)).required(),
        Field::new("color", Kind::Text(7)).nullable(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("language", How::Exact),
        Filter::of("color", How::Exact),
    ];
    const NAME: &'static str = "language";
    const UNIQUE: bool = true;

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        let languages: Vec<Record<Language>> = store.list().await?;
        let users = languages
            .iter()
            .filter(|language| language.field("language").as_u64() == Some(id))
            .count();
        Ok((users > 0).then(|| format!("the languages of {users} products")))
    }
}

impl Named for Record<LanguageType> {}

const LINES: Kind = Kind::Integer(0, 2_147_483_647);

/// How much of a product is written in a language.
#[derive(Debug, Clone)]
pub struct Language;

impl Kept for Language {
    const KIND: &'static str = "LANGUAGE";
    const WORD: &'static str = "language";
    const PATH: &'static str = "/api/v2/languages";
    const SCHEMA: &'static str = "Language";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("product", Kind::Ref(Target::Product))
            .required()
            .fixed(),
        Field::new("language", Kind::Ref(Target::Record(LanguageType::KIND))).required(),
        Field::new("user", Kind::Ref(Target::User)).nullable(),
        Field::new("files", LINES).nullable(),
        Field::new("blank", LINES).nullable(),
        Field::new("comment", LINES).nullable(),
        Field::new("code", LINES).nullable(),
        Field::answer("created", Kind::DateTime),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("language", How::Ids),
        Filter::of("product", How::Ids),
    ];
    const NAME: &'static str = "language";
    const OF_PRODUCT: bool = true;
}

/// What cloc counts of a language.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Counted {
    #[serde(rename = "nFiles")]
    files: u32,
    blank: u32,
    comment: u32,
    code: u32,
}

/// Reads the languages of a report of cloc: an object of languages, with `header` and `SUM` beside
/// them. See its [manual](https://github.com/AlDanial/cloc).
fn read_cloc(report: &[u8]) -> Result<BTreeMap<String, Counted>> {
    let refused =
        |what: String| ApiError::field("file", format!("{what}; send what `cloc --json` writes"));
    let languages: BTreeMap<String, Value> = serde_json::from_slice(report)
        .map_err(|error| refused(format!("This is no report of cloc: {error}")))?;
    (languages.into_iter())
        .filter(|(name, _)| name != "header" && name != "SUM")
        .map(|(name, counted)| match Counted::deserialize(counted) {
            Ok(counted) => Ok((name, counted)),
            Err(error) => Err(refused(format!(
                "The lines of \"{name}\" cannot be read: {error}"
            ))),
        })
        .collect()
}

async fn import(
    State(api): State<Api>,
    caller: Caller,
    upload: Upload,
) -> Result<(StatusCode, Json<Value>)> {
    let store = &api.services.store;
    let mut sent = upload.fields.iter();
    let product = sent.find(|(name, _)| name == "product");
    let Some((_, id)) = product else {
        return Err(ApiError::field("product", "This field is required."));
    };
    let not_there = || ApiError::field("product", format!("Invalid pk \"{id}\"."));
    let id = ProductId(id.trim().parse().map_err(|_| not_there())?);
    let product: Product = match store.get(id).await {
        Err(error) if error.is_not_found() => return Err(not_there()),
        found => found?,
    };
    caller
        .require(Permission::EditProduct, Place::Product(product.id))
        .await?;
    let Some((file, report)) = upload.file else {
        return Err(ApiError::field("file", "No file was submitted."));
    };
    let mut known: Vec<Record<Language>> = store.children(Product::KIND, product.id.0).await?;
    for (name, counted) in read_cloc(&report)? {
        let Value::Object(language) = json!({"language": name, "color": null}) else {
            continue;
        };
        let (kind, _) = store.find_or_create(Record::new(language)).await?;
        let kind: Record<LanguageType> = kind;
        let write = |document: &mut Record<Language>| {
            for (field, value) in [
                ("files", counted.files),
                ("blank", counted.blank),
                ("comment", counted.comment),
                ("code", counted.code),
            ] {
                document.set(field, json!(value));
            }
        };
        let same = |language: &Record<Language>| language.field("language") == &json!(kind.id());
        if let Some(at) = known.iter().position(same) {
            let old = known.swap_remove(at);
            store
                .change::<_, ApiError>(old.id(), |language: &mut Record<Language>| {
                    write(language);
                    Ok(())
                })
                .await?;
        } else {
            let mut new = Record::<Language>::fresh();
            new.set("product", json!(product.id));
            new.set("language", json!(kind.id()));
            new.set("user", json!(caller.0.user));
            new.set("created", json!(jiff::Timestamp::now()));
            write(&mut new);
            store.create(new).await?;
        }
    }
    let answer = json!({"product": product.id, "file": file});
    Ok((StatusCode::CREATED, Json(answer)))
}
