//! The SQL of the object store. Every function runs inside a transaction of the database thread.
//!
//! An object is a row that points to a file with a name of its own. Files are written first and never
//! changed, so the row decides alone whether an object exists and which content it has.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use s3s::dto::ETagCondition;
use serde::{Deserialize, Serialize};

use crate::db::DbError;
use crate::sqs::SqsError;

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS bucket (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_blob ON object (blob);
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS part (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT;
CREATE INDEX IF NOT EXISTS part_blob ON part (blob);
";

/// Sorts behind every key with the prefix that it is appended to.
const LAST: char = char::MAX;

#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("the specified bucket does not exist")]
    NoSuchBucket,
    #[error("the specified key does not exist")]
    NoSuchKey,
    #[error("the specified upload does not exist")]
    NoSuchUpload,
    #[error("the bucket you tried to delete is not empty")]
    BucketNotEmpty,
    #[error("at least one of the preconditions you specified did not hold")]
    PreconditionFailed,
    #[error("the stored attributes are not readable: {0}")]
    Attributes(#[from] serde_json::Error),
    #[error("the event could not be queued: {0}")]
    Event(#[from] SqsError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What a client says about an object besides its content.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub metadata: Option<HashMap<String, String>>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub content_type: Option<String>,
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub blob: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: i64,
    pub attributes: Attributes,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub number: i32,
    pub blob: String,
    pub size: u64,
    pub etag: String,
}

/// When a write may replace what is there.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
}

impl Conditions {
    fn allow(&self, current: Option<&str>) -> bool {
        let same = |condition: &ETagCondition| match (condition.as_etag(), current) {
            (Some(wanted), Some(current)) => wanted.value() == current,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        self.if_match.as_ref().is_none_or(same) && !self.if_none_match.as_ref().is_some_and(same)
    }
}

pub(super) fn create_bucket(db: &Connection, name: &str, now_ms: i64) -> Result<bool, IndexError> {
    let inserted = db
        .prepare_cached(
            "INSERT INTO bucket (name, created_ms) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![name, now_ms])?;
    Ok(inserted > 0)
}

pub(super) fn check_bucket(db: &Connection, name: &str) -> Result<(), IndexError> {
    db.prepare_cached("SELECT 1 FROM bucket WHERE name = ?1")?
        .query_row([name], |_| Ok(()))
        .optional()?
        .ok_or(IndexError::NoSuchBucket)
}

pub(super) fn list_buckets(db: &Connection) -> Result<Vec<(String, i64)>, IndexError> {
    let mut statement = db.prepare_cached("SELECT name, created_ms FROM bucket ORDER BY name")?;
    let buckets = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(buckets.collect::<Result<_, _>>()?)
}

pub(super) fn delete_bucket(db: &Connection, name: &str) -> Result<(), IndexError> {
    check_bucket(db, name)?;
    let used: bool = db
        .prepare_cached("SELECT exists(SELECT 1 FROM object WHERE bucket = ?1)")?
        .query_row([name], |row| row.get(0))?;
    if used {
        return Err(IndexError::BucketNotEmpty);
    }
    db.prepare_cached("DELETE FROM bucket WHERE name = ?1")?
        .execute([name])?;
    Ok(())
}

pub(super) fn find(db: &Connection, bucket: &str, key: &str) -> Result<Object, IndexError> {
    let found = db
        .prepare_cached(
            "SELECT blob, size, etag, modified_ms, attributes FROM object WHERE bucket = ?1 AND key = ?2",
        )?
        .query_row([bucket, key], |row| {
            let attributes: String = row.get(4)?;
            Ok((row.get(0)?, size(row, 1)?, row.get(2)?, row.get(3)?, attributes))
        })
        .optional()?;
    let Some((blob, size, etag, modified_ms, attributes)) = found else {
        check_bucket(db, bucket)?;
        return Err(IndexError::NoSuchKey);
    };
    let attributes = serde_json::from_str(&attributes)?;
    Ok(Object {
        blob,
        size,
        etag,
        modified_ms,
        attributes,
    })
}

fn size(row: &Row, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
}

/// Stores an object and returns the file that it replaces.
pub(super) fn put(
    db: &Connection,
    bucket: &str,
    key: &str,
    object: &Object,
    conditions: &Conditions,
) -> Result<Option<String>, IndexError> {
    let current = match find(db, bucket, key) {
        Ok(object) => Some(object),
        Err(IndexError::NoSuchKey) => None,
        Err(error) => return Err(error),
    };
    if !conditions.allow(current.as_ref().map(|object| object.etag.as_str())) {
        return Err(IndexError::PreconditionFailed);
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO object (bucket, key, blob, size, etag, modified_ms, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        bucket,
        key,
        object.blob,
        i64::try_from(object.size).unwrap_or(i64::MAX),
        object.etag,
        object.modified_ms,
        serde_json::to_string(&object.attributes)?,
    ])?;
    Ok(current.map(|object| object.blob))
}

pub(super) fn set_tags(
    db: &Connection,
    bucket: &str,
    key: &str,
    tags: Vec<(String, String)>,
) -> Result<(), IndexError> {
    let mut attributes = find(db, bucket, key)?.attributes;
    attributes.tags = tags;
    db.prepare_cached("UPDATE object SET attributes = ?3 WHERE bucket = ?1 AND key = ?2")?
        .execute(params![bucket, key, serde_json::to_string(&attributes)?])?;
    Ok(())
}

/// Removes an object, if it exists, and returns its file.
pub(super) fn delete(
    db: &Connection,
    bucket: &str,
    key: &str,
) -> Result<Option<String>, IndexError> {
    Ok(db
        .prepare_cached("DELETE FROM object WHERE bucket = ?1 AND key = ?2 RETURNING blob")?
        .query_row([bucket, key], |row| row.get(0))
        .optional()?)
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub objects: Vec<Listed>,
    pub prefixes: Vec<String>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

#[derive(Debug)]
pub(super) struct Listed {
    pub key: String,
    pub size: u64,
    pub etag: String,
    pub modified_ms: i64,
}

/// Lists up to `limit` keys and common prefixes behind `after`, in key order. It reads no more rows
/// than it returns: behind a common prefix it jumps to the next key without it.
pub(super) fn list(
    db: &Connection,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    limit: usize,
) -> Result<Page, IndexError> {
    check_bucket(db, bucket)?;
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let mut statement = db.prepare_cached(
        "SELECT key, size, etag, modified_ms FROM object
         WHERE bucket = ?1 AND key >= ?2 AND key > ?3 ORDER BY key",
    )?;
    let mut page = Page::default();
    let mut behind = after.to_owned();
    let mut last = String::new();
    'jump: loop {
        let mut rows = statement.query(params![bucket, prefix, behind])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            let Some(rest) = key.strip_prefix(prefix) else {
                break 'jump;
            };
            let group = delimiter
                .and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()))
                .map(|end| key[..prefix.len() + end].to_owned());
            if group.as_deref().is_some_and(|group| group <= after) {
                // The page before ended with this prefix.
                behind = group.unwrap_or_default() + &LAST.to_string();
                continue 'jump;
            }
            if page.objects.len() + page.prefixes.len() >= limit {
                page.next = Some(last);
                break 'jump;
            }
            if let Some(group) = group {
                behind = format!("{group}{LAST}");
                last.clone_from(&group);
                page.prefixes.push(group);
                continue 'jump;
            }
            last.clone_from(&key);
            page.objects.push(Listed {
                key,
                size: size(row, 1)?,
                etag: row.get(2)?,
                modified_ms: row.get(3)?,
            });
        }
        break;
    }
    Ok(page)
}

pub(super) fn create_upload(
    db: &Connection,
    id: &str,
    bucket: &str,
    key: &str,
    attributes: &Attributes,
    now_ms: i64,
) -> Result<(), IndexError> {
    check_bucket(db, bucket)?;
    db.prepare_cached(
        "INSERT INTO upload (id, bucket, key, attributes, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        id,
        bucket,
        key,
        serde_json::to_string(attributes)?,
        now_ms
    ])?;
    Ok(())
}

/// The attributes that an upload was started with.
pub(super) fn find_upload(
    db: &Connection,
    id: &str,
    bucket: &str,
    key: &str,
) -> Result<Attributes, IndexError> {
    let attributes: Option<String> = db
        .prepare_cached("SELECT attributes FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3")?
        .query_row([id, bucket, key], |row| row.get(0))
        .optional()?;
    Ok(serde_json::from_str(
        &attributes.ok_or(IndexError::NoSuchUpload)?,
    )?)
}

/// Stores a part and returns the file that it replaces.
pub(super) fn put_part(
    db: &Connection,
    upload: &str,
    part: &Part,
) -> Result<Option<String>, IndexError> {
    let current = db
        .prepare_cached("SELECT blob FROM part WHERE upload = ?1 AND number = ?2")?
        .query_row(params![upload, part.number], |row| row.get(0))
        .optional()?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO part (upload, number, blob, size, etag) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        upload,
        part.number,
        part.blob,
        i64::try_from(part.size).unwrap_or(i64::MAX),
        part.etag,
    ])?;
    Ok(current)
}

pub(super) fn parts(db: &Connection, upload: &str) -> Result<Vec<Part>, IndexError> {
    let mut statement = db.prepare_cached(
        "SELECT number, blob, size, etag FROM part WHERE upload = ?1 ORDER BY number",
    )?;
    let parts = statement.query_map([upload], |row| {
        Ok(Part {
            number: row.get(0)?,
            blob: row.get(1)?,
            size: size(row, 2)?,
            etag: row.get(3)?,
        })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}

/// Forgets an upload and returns the files of its parts.
pub(super) fn delete_upload(db: &Connection, id: &str) -> Result<Vec<String>, IndexError> {
    let blobs = parts(db, id)?.into_iter().map(|part| part.blob).collect();
    db.prepare_cached("DELETE FROM part WHERE upload = ?1")?
        .execute([id])?;
    db.prepare_cached("DELETE FROM upload WHERE id = ?1")?
        .execute([id])?;
    Ok(blobs)
}

/// The uploads that were started before a time and never completed.
pub(super) fn delete_uploads_before(
    db: &Connection,
    before_ms: i64,
) -> Result<Vec<String>, IndexError> {
    let mut statement = db.prepare_cached("SELECT id FROM upload WHERE created_ms < ?1")?;
    let ids: Vec<String> = statement
        .query_map([before_ms], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut blobs = Vec::new();
    for id in ids {
        blobs.extend(delete_upload(db, &id)?);
    }
    Ok(blobs)
}

/// Those of the files that no object and no part points to.
pub(super) fn unused(db: &Connection, blobs: Vec<String>) -> Result<Vec<String>, IndexError> {
    let mut statement = db.prepare_cached(
        "SELECT exists(SELECT 1 FROM object WHERE blob = ?1)
             OR exists(SELECT 1 FROM part WHERE blob = ?1)",
    )?;
    let mut unused = Vec::new();
    for blob in blobs {
        if !statement.query_row([&blob], |row| row.get::<_, bool>(0))? {
            unused.push(blob);
        }
    }
    Ok(unused)
}
