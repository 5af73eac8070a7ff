//! S3: raw reports, packs of long texts, presigned links.
//!
//! Raw reports lie in the uploads bucket and are never changed. Long texts lie in the data bucket as
//! packs: one zstd-compressed JSON array of [`Texts`] an object. A pack is small enough to be read
//! whole and is never changed, so it may be cached for ever.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::Bytes;
use jiff::Timestamp;
use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tatami_domain::{AttachmentId, BlockId, ImportId, RehashJobId, RehashSaved, TextRef, Texts};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A pack is closed when its texts reach this many bytes, before compression.
pub const PACK_BYTES: usize = 256 * 1024;
/// A pack holds at most this many findings' texts.
pub const PACK_TEXTS: usize = 256;
/// Level 3 is where zstd's ratio flattens out against its time.
const ZSTD_LEVEL: i32 = 3;
/// What the cache of unpacked texts may hold, in bytes.
const CACHE_BYTES: u64 = 24 * 1024 * 1024;
/// No pack unpacks to more than this, whatever its header says.
const MAX_UNPACKED: usize = 256 * 1024 * 1024;
/// The key of the EPSS scores and the KEV catalogue.
const INTEL: &str = "intel/exploitation";
/// No more of that object is read, in bytes; it has about a million.
const MAX_INTEL: i64 = 64 * 1024 * 1024;

/// Something that S3 refused or that isn't what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such object.
    #[error("s3://{bucket}/{key} does not exist")]
    NotFound {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// A call failed.
    #[error("{call} of s3://{bucket}/{key} failed: {reason}")]
    Call {
        /// Which call.
        call: &'static str,
        /// On which bucket.
        bucket: String,
        /// On which key.
        key: String,
        /// What S3 said.
        reason: String,
    },
    /// A pack that isn't one.
    #[error("the text pack {key} is damaged: {reason}")]
    Damaged {
        /// Its key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

/// A raw report, opened for reading.
pub struct Upload {
    /// Its bytes, as they come.
    pub body: Box<dyn AsyncRead + Send + Unpin>,
    /// Bytes in all.
    pub size: u64,
    /// The object's metadata, names in lower case, without `x-amz-meta-`.
    pub metadata: HashMap<String, String>,
}

/// What a look at the EPSS scores and the KEV catalogue found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredIntel {
    /// There are none.
    Missing,
    /// They are those that are known.
    Unchanged,
    /// Others.
    Changed {
        /// The object.
        bytes: Bytes,
        /// What it is known by, for the next look.
        tag: String,
        /// When it was stored.
        stored: Timestamp,
    },
}

/// The two buckets.
#[derive(Debug, Clone)]
pub struct Blobs {
    client: Client,
    /// Signs links; another client where people reach S3 at another address.
    signer: Client,
    uploads: String,
    data: String,
    cache: Cache<String, Arc<Vec<Texts>>>,
}

impl Blobs {
    /// Reads reports from the bucket `uploads`, keeps packs in the bucket `data`.
    pub fn new(client: Client, uploads: impl Into<String>, data: impl Into<String>) -> Self {
        let cache = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, texts: &Arc<Vec<Texts>>| {
                let bytes: usize = texts.iter().map(text_bytes).sum();
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            signer: client.clone(),
            client,
            uploads: uploads.into(),
            data: data.into(),
            cache,
        }
    }

    /// Signs links by another client, for where people reach S3 at another address than we do.
    #[must_use]
    pub fn signing_with(mut self, signer: Client) -> Self {
        self.signer = signer;
        self
    }

    /// Name of the bucket for raw reports.
    pub fn uploads_bucket(&self) -> &str {
        &self.uploads
    }

    /// Makes the buckets where they don't exist, for the local stack.
    pub async fn create_buckets(&self) -> Result<(), BlobError> {
        for bucket in [&self.uploads, &self.data] {
            if self
                .client
                .head_bucket()
                .bucket(bucket)
                .send()
                .await
                .is_err()
            {
                let made = self.client.create_bucket().bucket(bucket).send().await;
                made.map_err(|e| failed("CreateBucket", bucket, "", e))?;
            }
        }
        Ok(())
    }

    /// Opens a raw report. `bucket` is the one the event names.
    pub async fn open(&self, bucket: &str, key: &str) -> Result<Upload, BlobError> {
        let answer = self
            .client
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|e| failed("GetObject", bucket, key, e))?;
        Ok(Upload {
            size: answer.content_length().unwrap_or(0).try_into().unwrap_or(0),
            metadata: (answer.metadata().cloned().unwrap_or_default().into_iter())
                .map(|(name, value)| (name.to_lowercase(), decoded(value)))
                .collect(),
            body: Box::new(answer.body.into_async_read()),
        })
    }

    /// The tags of a raw report; none where the bucket has none or they may not be read.
    pub async fn tags(&self, bucket: &str, key: &str) -> HashMap<String, String> {
        match self
            .client
            .get_object_tagging()
            .bucket(bucket)
            .key(key)
            .send()
            .await
        {
            Ok(answer) => (answer.tag_set().iter())
                .map(|tag| (tag.key().to_lowercase(), tag.value().to_owned()))
                .collect(),
            Err(error) => {
                tracing::debug!(bucket, key, error = %DisplayErrorContext(error), "no object tags");
                HashMap::new()
            }
        }
    }

    /// Stores a raw report.
    pub async fn put_upload(
        &self,
        key: &str,
        body: impl Into<ByteStream>,
        metadata: HashMap<String, String>,
    ) -> Result<(), BlobError> {
        let metadata = metadata
            .into_iter()
            .map(|(k, v)| (k, encoded(&v)))
            .collect();
        self.client
            .put_object()
            .bucket(&self.uploads)
            .key(key)
            .set_metadata(Some(metadata))
            .body(body.into())
            .send()
            .await
            .map_err(|e| failed("PutObject", &self.uploads, key, e))?;
        Ok(())
    }

    /// A link by which somebody without AWS credentials may PUT one raw report, and the headers that
    /// must go with it.
    pub async fn presign_upload(
        &self,
        key: &str,
        metadata: HashMap<String, String>,
        valid: Duration,
    ) -> Result<PresignedPut, BlobError> {
        let call_failed = |reason: String| BlobError::Call {
            call: "presigning",
            bucket: self.uploads.clone(),
            key: key.to_owned(),
            reason,
        };
        let metadata = metadata
            .into_iter()
            .map(|(k, v)| (k, encoded(&v)))
            .collect();
        let config = PresigningConfig::expires_in(valid).map_err(|e| call_failed(e.to_string()))?;
        let request = self
            .signer
            .put_object()
            .bucket(&self.uploads)
            .key(key)
            .set_metadata(Some(metadata))
            .presigned(config)
            .await
            .map_err(|e| call_failed(DisplayErrorContext(e).to_string()))?;
        Ok(PresignedPut {
            url: request.uri().to_owned(),
            headers: (request.headers())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// A link by which somebody without AWS credentials may GET one raw report, to be saved as
    /// `file_name` (of letters, digits, `.`, `-` and `_`). Whether the report is still there, shows
    /// only when the link is used.
    pub async fn presign_download(
        &self,
        bucket: &str,
        key: &str,
        file_name: &str,
        valid: Duration,
    ) -> Result<String, BlobError> {
        let call_failed = |reason: String| BlobError::Call {
            call: "presigning",
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let config = PresigningConfig::expires_in(valid).map_err(|e| call_failed(e.to_string()))?;
        let request = self
            .signer
            .get_object()
            .bucket(bucket)
            .key(key)
            .response_content_disposition(format!("attachment; filename=\"{file_name}\""))
            .presigned(config)
            .await
            .map_err(|e| call_failed(DisplayErrorContext(e).to_string()))?;
        Ok(request.uri().to_owned())
    }

    /// Stores the texts of some findings of an import as its pack number `n`; gives the pack's key.
    /// Writing the same pack again changes nothing.
    pub async fn put_pack(
        &self,
        import: ImportId,
        n: u64,
        texts: &[Texts],
    ) -> Result<String, BlobError> {
        let key = pack_key(import, n);
        self.put_texts(&key, texts).await?;
        Ok(key)
    }

    /// Stores the texts of one finding that a person wrote; gives the place.
    pub async fn put_own_texts(&self, unique: &str, texts: Texts) -> Result<TextRef, BlobError> {
        let key = format!("{OWN_TEXTS}{unique}");
        self.put_texts(&key, std::slice::from_ref(&texts)).await?;
        Ok(TextRef(key, 0))
    }

    async fn put_texts(&self, key: &str, texts: &[Texts]) -> Result<(), BlobError> {
        self.put_packed(key, &texts).await
    }

    async fn put_packed(&self, key: &str, content: &impl Serialize) -> Result<(), BlobError> {
        let damaged = |reason: String| BlobError::Damaged {
            key: key.to_owned(),
            reason,
        };
        let json = serde_json::to_vec(content).map_err(|e| damaged(e.to_string()))?;
        let packed = zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(|e| damaged(e.to_string()))?;
        self.client
            .put_object()
            .bucket(&self.data)
            .key(key)
            .body(packed.into())
            .send()
            .await
            .map_err(|e| failed("PutObject", &self.data, key, e))?;
        Ok(())
    }

    /// Stores a JSON document of ours; writing it again replaces it.
    pub async fn put_json<T: Serialize>(&self, key: &str, document: &T) -> Result<(), BlobError> {
        let json = serde_json::to_vec(document).map_err(|e| BlobError::Damaged {
            key: key.to_owned(),
            reason: e.to_string(),
        })?;
        self.client
            .put_object()
            .bucket(&self.data)
            .key(key)
            .content_type("application/json")
            .body(json.into())
            .send()
            .await
            .map_err(|e| failed("PutObject", &self.data, key, e))?;
        Ok(())
    }

    /// Stores the bytes of a file that a person attached.
    pub async fn put_attachment(&self, id: AttachmentId, bytes: Bytes) -> Result<(), BlobError> {
        let key = attachment_key(id);
        self.client
            .put_object()
            .bucket(&self.data)
            .key(&key)
            .body(bytes.into())
            .send()
            .await
            .map_err(|e| failed("PutObject", &self.data, &key, e))?;
        Ok(())
    }

    /// The bytes of a file that a person attached.
    pub async fn attachment(&self, id: AttachmentId) -> Result<Vec<u8>, BlobError> {
        let key = attachment_key(id);
        let mut opened = self.open(&self.data, &key).await?;
        let mut bytes = Vec::new();
        match opened.body.read_to_end(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(error) => Err(BlobError::Damaged {
                key,
                reason: error.to_string(),
            }),
        }
    }

    /// Removes the bytes of a file that a person attached.
    pub async fn remove_attachment(&self, id: AttachmentId) -> Result<(), BlobError> {
        self.remove(&self.data, &attachment_key(id)).await
    }

    /// The EPSS scores and the KEV catalogue, unless they are those that this tag says are known.
    pub async fn intel(&self, known: Option<&str>) -> Result<StoredIntel, BlobError> {
        let sent = (self.client.get_object())
            .bucket(&self.data)
            .key(INTEL)
            .set_if_none_match(known.map(str::to_owned))
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if is_unchanged(&error) => return Ok(StoredIntel::Unchanged),
            Err(error) => match failed("GetObject", &self.data, INTEL, error) {
                BlobError::NotFound { .. } => return Ok(StoredIntel::Missing),
                error => return Err(error),
            },
        };
        let damaged = |reason: String| BlobError::Damaged {
            key: INTEL.to_owned(),
            reason,
        };
        let size = answer.content_length().unwrap_or_default();
        if size > MAX_INTEL {
            return Err(damaged(format!("it has {size} bytes")));
        }
        let tag = answer.e_tag().unwrap_or_default().to_owned();
        let seconds = answer.last_modified().map_or(0, DateTime::secs);
        let stored = Timestamp::from_second(seconds).unwrap_or_default();
        let bytes = answer.body.collect().await;
        let bytes = bytes.map_err(|e| damaged(e.to_string()))?.into_bytes();
        Ok(StoredIntel::Changed { bytes, tag, stored })
    }

    /// Stores the EPSS scores and the KEV catalogue in the place of what there is.
    pub async fn put_intel(&self, bytes: Vec<u8>) -> Result<(), BlobError> {
        (self.client.put_object())
            .bucket(&self.data)
            .key(INTEL)
            .body(bytes.into())
            .send()
            .await
            .map_err(|e| failed("PutObject", &self.data, INTEL, e))?;
        Ok(())
    }

    /// Removes an object of any bucket; nothing happens where there is none.
    pub async fn remove(&self, bucket: &str, key: &str) -> Result<(), BlobError> {
        self.client
            .delete_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|e| failed("DeleteObject", bucket, key, e))?;
        Ok(())
    }

    /// Removes what an import has besides its raw report: its packs, and the difference that it made.
    pub async fn remove_import(&self, import: ImportId) -> Result<(), BlobError> {
        let prefix = pack_prefix(import);
        loop {
            let listed = (self.client.list_objects_v2())
                .bucket(&self.data)
                .prefix(&prefix)
                .send()
                .await
                .map_err(|e| failed("ListObjectsV2", &self.data, &prefix, e))?;
            for key in listed.contents().iter().filter_map(|object| object.key()) {
                self.remove(&self.data, key).await?;
                self.cache.invalidate(key);
            }
            if listed.is_truncated() != Some(true) {
                break;
            }
        }
        self.remove(&self.data, &difference_key(import)).await
    }

    /// Removes the texts of one finding, if they are its own.
    pub async fn remove_own_texts(&self, at: &TextRef) -> Result<(), BlobError> {
        if at.0.starts_with(OWN_TEXTS) {
            self.remove(&self.data, &at.0).await?;
            self.cache.invalidate(&at.0);
        }
        Ok(())
    }

    /// A JSON document of ours.
    pub async fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T, BlobError> {
        let damaged = |reason: String| BlobError::Damaged {
            key: key.to_owned(),
            reason,
        };
        let mut opened = self.open(&self.data, key).await?;
        let mut json = Vec::new();
        let read = opened.body.read_to_end(&mut json).await;
        read.map_err(|e| damaged(e.to_string()))?;
        serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))
    }

    /// Keeps what a job is about to change of a block, unless that was kept before; gives what is kept.
    pub async fn keep_before(
        &self,
        job: RehashJobId,
        block: BlockId,
        now: impl FnOnce() -> Vec<RehashSaved>,
    ) -> Result<Vec<RehashSaved>, BlobError> {
        match self.kept_before(job, block).await {
            Err(BlobError::NotFound { .. }) => {}
            other => return other,
        }
        let now = now();
        self.put_packed(&before_key(job, block), &now).await?;
        Ok(now)
    }

    /// What a job kept of a block.
    pub async fn kept_before(
        &self,
        job: RehashJobId,
        block: BlockId,
    ) -> Result<Vec<RehashSaved>, BlobError> {
        self.packed(&before_key(job, block)).await
    }

    /// The long texts at a place.
    pub async fn texts(&self, at: &TextRef) -> Result<Texts, BlobError> {
        let pack = self.pack(&at.0).await?;
        let texts = usize::try_from(at.1).ok().and_then(|n| pack.get(n));
        texts.cloned().ok_or_else(|| BlobError::Damaged {
            key: at.0.clone(),
            reason: format!("it has {} texts, number {} is wanted", pack.len(), at.1),
        })
    }

    /// A whole pack.
    pub async fn pack(&self, key: &str) -> Result<Arc<Vec<Texts>>, BlobError> {
        if let Some(pack) = self.cache.get(key) {
            return Ok(pack);
        }
        let texts: Arc<Vec<Texts>> = Arc::new(self.packed(key).await?);
        self.cache.insert(key.to_owned(), Arc::clone(&texts));
        Ok(texts)
    }

    async fn packed<T: DeserializeOwned>(&self, key: &str) -> Result<T, BlobError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.data)
            .key(key)
            .send()
            .await
            .map_err(|e| failed("GetObject", &self.data, key, e))?;
        let damaged = |reason: String| BlobError::Damaged {
            key: key.to_owned(),
            reason,
        };
        let packed = answer
            .body
            .collect()
            .await
            .map_err(|e| damaged(e.to_string()))?;
        let json = zstd::bulk::Decompressor::new()
            .and_then(|mut d| {
                let packed = packed.into_bytes();
                let size = zstd::bulk::Decompressor::upper_bound(&packed).unwrap_or(MAX_UNPACKED);
                d.decompress(&packed, size.min(MAX_UNPACKED))
            })
            .map_err(|e| damaged(e.to_string()))?;
        serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))
    }
}

/// A presigned PUT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresignedPut {
    /// Where to.
    pub url: String,
    /// Headers that the signature covers.
    pub headers: Vec<(String, String)>,
}

/// The key of an import's pack.
pub fn pack_key(import: ImportId, n: u64) -> String {
    format!("{}{n}", pack_prefix(import))
}

fn pack_prefix(import: ImportId) -> String {
    format!("i/{import}/")
}

/// What keys of texts begin with that are one finding's own.
const OWN_TEXTS: &str = "t/";

/// The key of the difference that a replay makes.
pub fn difference_key(import: ImportId) -> String {
    format!("replays/{import}.json")
}

/// The key of the findings of a job.
pub fn list_key(list: &str) -> String {
    format!("jobs/{list}/list.json")
}

/// The key of what became of the findings of a job, from the one at `start` on.
pub fn done_key(list: &str, start: usize) -> String {
    format!("jobs/{list}/{start}.json")
}

/// The key of what there is to tell when a job is done.
pub fn told_key(list: &str) -> String {
    format!("jobs/{list}/told.json")
}

fn attachment_key(id: AttachmentId) -> String {
    format!("f/{id}")
}

fn before_key(job: RehashJobId, block: BlockId) -> String {
    format!("r/{job}/{block}")
}

fn text_bytes(texts: &Texts) -> usize {
    let optional = [
        &texts.mitigation,
        &texts.impact,
        &texts.references,
        &texts.steps_to_reproduce,
        &texts.severity_justification,
        &texts.payload,
    ];
    size_of::<Texts>()
        + texts.description.len()
        + optional
            .into_iter()
            .flatten()
            .map(String::len)
            .sum::<usize>()
        + texts.endpoints.iter().map(|e| e.len() + 24).sum::<usize>()
        + (texts.requests.iter())
            .map(|r| r.request.len() + r.response.len() + 48)
            .sum::<usize>()
        + texts
            .files
            .iter()
            .map(|f| f.data.len() + f.title.len() + 48)
            .sum::<usize>()
}

/// How many bytes the texts of a finding take in memory and, roughly, before compression.
pub fn size_of_texts(texts: &Texts) -> usize {
    text_bytes(texts)
}

/// Metadata values travel as HTTP headers: anything but plain ASCII is percent-encoded.
const METADATA: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');

fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, METADATA).to_string()
}

fn decoded(value: String) -> String {
    match percent_encoding::percent_decode_str(&value).decode_utf8() {
        Ok(text) => text.into_owned(),
        Err(_) => value,
    }
}

/// S3's answer to `If-None-Match` for what the client has already.
fn is_unchanged<E>(error: &SdkError<E>) -> bool {
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    status == Some(304)
}

fn failed<E>(call: &'static str, bucket: &str, key: &str, error: SdkError<E>) -> BlobError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    if matches!(code, Some("NoSuchKey" | "NotFound")) {
        return BlobError::NotFound {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        };
    }
    BlobError::Call {
        call,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        reason: DisplayErrorContext(error).to_string(),
    }
}
