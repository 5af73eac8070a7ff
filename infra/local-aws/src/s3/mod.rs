//! The buckets: the wire protocol of `s3s` over an index in SQLite and plain files.
//!
//! An object and the event that announces it are committed in one transaction, before the upload is
//! answered: there is no object without its event and no event without its object.

mod blobs;
mod event;
mod index;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyObjectInput,
    CopyObjectOutput, CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, MetadataDirective, Object,
    ObjectStorageClass, PutObjectInput, PutObjectOutput, PutObjectTaggingInput,
    PutObjectTaggingOutput, Tag, TaggingDirective, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use self::blobs::{Blobs, NewBlob, etag};
use self::event::Created;
use self::index::{Attributes, Conditions, IndexError, Object as StoredObject};
use crate::db::Db;
use crate::sigv4::unhex;
use crate::sqs::{self, NewMessage, Queues, now_ms};
use crate::{Credentials, Error};

pub use event::BucketNotification;
pub(crate) use index::SCHEMA;

/// All parts but the last must have this size.
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
const MAX_PART_NUMBER: i32 = 10_000;
const MAX_KEYS: i32 = 1000;
/// Uploads that nobody completed go after this time.
const UPLOAD_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often a read follows an object that is being replaced.
const READ_ATTEMPTS: usize = 5;

/// The buckets of a data directory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    db: Db,
    blobs: Blobs,
    queues: Queues,
    region: Arc<str>,
    notifications: Arc<[BucketNotification]>,
}

impl Store {
    pub(crate) fn open(
        directory: &Path,
        db: Db,
        queues: Queues,
        region: &str,
        notifications: Vec<BucketNotification>,
    ) -> Result<Self, Error> {
        Ok(Self {
            db,
            blobs: Blobs::open(directory)?,
            queues,
            region: region.into(),
            notifications: notifications.into(),
        })
    }

    /// Creates a bucket, if there is none of that name.
    pub(crate) async fn ensure_bucket(&self, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.db
            .run(move |db| index::create_bucket(db, &name, now_ms()))
            .await
            .map(drop)
            .map_err(|error| Error::S3(error.to_string()))
    }

    /// Deletes the files that a crash left without an object.
    pub(crate) async fn remove_orphans(&self, started: SystemTime) {
        // A second of grace for file systems with coarse times.
        let started = started
            .checked_sub(Duration::from_secs(1))
            .unwrap_or(started);
        for names in self.blobs.older_than(started) {
            if !names.is_empty()
                && let Ok(unused) = self.db.run(move |db| index::unused(db, names)).await
            {
                self.blobs.remove(unused).await;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Drops the uploads that nobody completed.
    pub(crate) async fn sweep(&self) -> Result<(), Error> {
        let before_ms = now_ms() - UPLOAD_LIFE_MS;
        let blobs = self
            .db
            .run(move |db| index::delete_uploads_before(db, before_ms))
            .await
            .map_err(|error| Error::S3(error.to_string()))?;
        self.blobs.remove(blobs).await;
        Ok(())
    }

    /// The HTTP service of these buckets.
    pub(crate) fn service(self, credentials: &Credentials) -> S3Service {
        let mut builder = S3ServiceBuilder::new(self);
        builder.set_auth(s3s::auth::SimpleAuth::from_single(
            credentials.access_key.clone(),
            credentials.secret_key.clone(),
        ));
        builder.set_host(LocalHost);
        builder.build()
    }

    /// Makes a file the content of an object and announces it.
    async fn commit(
        &self,
        kind: &'static str,
        (bucket, key): (String, String),
        blob: NewBlob,
        object: StoredObject,
        conditions: Conditions,
        upload: Option<String>,
    ) -> S3Result<()> {
        let queue = self
            .notifications
            .iter()
            .find(|wanted| wanted.bucket == bucket && key.starts_with(&wanted.prefix))
            .map(|wanted| wanted.queue.clone());
        let event = queue.as_ref().map(|queue| {
            let created = Created {
                kind,
                region: &self.region,
                bucket: &bucket,
                key: &key,
                size: object.size,
                etag: &object.etag,
            };
            (
                queue.clone(),
                NewMessage {
                    body: created.to_json(),
                    ..NewMessage::default()
                },
            )
        });
        let blob = blob.keep();
        let committed = self
            .db
            .run(move |db| {
                let mut replaced = match &upload {
                    Some(upload) => {
                        // Once more, inside the transaction: another request may have completed it.
                        index::find_upload(db, upload, &bucket, &key)?;
                        index::delete_upload(db, upload)?
                    }
                    None => Vec::new(),
                };
                replaced.extend(index::put(db, &bucket, &key, &object, &conditions)?);
                if let Some((queue, message)) = event {
                    sqs::send_in_transaction(db, &queue, &[message], now_ms())?;
                }
                Ok::<_, IndexError>(replaced)
            })
            .await;
        if let (Ok(_), Some(queue)) = (&committed, queue) {
            self.queues.wake(&queue);
        }
        self.clean_up(blob, committed).await
    }

    /// After a commit, removes the files that it replaced; after a failure, the new one.
    async fn clean_up(
        &self,
        blob: String,
        committed: Result<impl IntoIterator<Item = String>, IndexError>,
    ) -> S3Result<()> {
        match committed {
            Ok(replaced) => {
                self.blobs.remove(replaced).await;
                Ok(())
            }
            Err(error) => {
                self.blobs.remove([blob]).await;
                Err(error.into())
            }
        }
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<StoredObject> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Ok(self
            .db
            .run(move |db| index::find(db, &bucket, &key))
            .await?)
    }

    async fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        let bucket = bucket.to_owned();
        Ok(self
            .db
            .run(move |db| index::check_bucket(db, &bucket))
            .await?)
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = request.input.bucket;
        let location = Some(format!("/{name}"));
        if self
            .db
            .run(move |db| index::create_bucket(db, &name, now_ms()))
            .await?
        {
            Ok(S3Response::new(CreateBucketOutput { location }))
        } else {
            Err(s3_error!(BucketAlreadyOwnedByYou))
        }
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&request.input.bucket).await?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.check_bucket(&request.input.bucket).await?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.db.run(index::list_buckets).await?;
        let buckets = buckets.into_iter().map(|(name, created_ms)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created_ms)),
            ..Bucket::default()
        });
        let output = ListBucketsOutput {
            buckets: Some(buckets.collect()),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        let name = request.input.bucket;
        self.db
            .run(move |db| index::delete_bucket(db, &name))
            .await?;
        Ok(S3Response::new(DeleteBucketOutput {}))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket).await?;
        let blob = self
            .blobs
            .receive(&request.headers, request.trailing_headers, input.body)
            .await?;
        let object = StoredObject {
            blob: blob.name.clone(),
            size: blob.size,
            etag: etag(&blob.md5, None),
            modified_ms: now_ms(),
            attributes: Attributes {
                metadata: input.metadata,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: stored_encoding(input.content_encoding),
                content_language: input.content_language,
                content_type: input.content_type,
                tags: parse_tags(input.tagging.as_deref()),
            },
        };
        let e_tag = Some(ETag::Strong(object.etag.clone()));
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        self.commit(
            "Put",
            (input.bucket, input.key),
            blob,
            object,
            conditions,
            None,
        )
        .await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag,
            ..PutObjectOutput::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(
                NotImplemented,
                "only objects of a bucket can be copied"
            ));
        };
        let source = self.find(bucket, key).await?;
        let blob = self.blobs.link(&source.blob).await?;
        let mut attributes = source.attributes;
        if input
            .metadata_directive
            .is_some_and(|it| it.as_str() == MetadataDirective::REPLACE)
        {
            attributes = Attributes {
                metadata: input.metadata,
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_type: input.content_type,
                tags: attributes.tags,
            };
        }
        if input
            .tagging_directive
            .is_some_and(|it| it.as_str() == TaggingDirective::REPLACE)
        {
            attributes.tags = parse_tags(input.tagging.as_deref());
        }
        let object = StoredObject {
            blob: blob.name.clone(),
            modified_ms: now_ms(),
            attributes,
            ..source
        };
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(timestamp(object.modified_ms)),
            ..CopyObjectResult::default()
        };
        let target = (input.bucket, input.key);
        self.commit("Copy", target, blob, object, Conditions::default(), None)
            .await?;
        let output = CopyObjectOutput {
            copy_object_result: Some(result),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let mut attempts = 0;
        let (object, range, body) = loop {
            let object = self.find(&input.bucket, &input.key).await?;
            check_read(
                &object.etag,
                input.if_match.as_ref(),
                input.if_none_match.as_ref(),
            )?;
            let range = match &input.range {
                Some(range) => range.check(object.size)?,
                None => 0..object.size,
            };
            match self.blobs.read(&object.blob, range.clone()).await {
                Ok(body) => break (object, range, body),
                // Replaced since the look at the index.
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound && attempts < READ_ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(s3_error!(error, InternalError)),
            }
        };
        let content_range = input
            .range
            .map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, object.size));
        let attributes = object.attributes;
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(body),
            content_length: Some(signed(range.end - range.start)),
            content_range,
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified_ms)),
            tag_count: tag_count(&attributes),
            metadata: attributes.metadata,
            cache_control: input.response_cache_control.or(attributes.cache_control),
            content_disposition: input
                .response_content_disposition
                .or(attributes.content_disposition),
            content_encoding: input
                .response_content_encoding
                .or(attributes.content_encoding),
            content_language: input
                .response_content_language
                .or(attributes.content_language),
            content_type: input.response_content_type.or(attributes.content_type),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key).await?;
        check_read(
            &object.etag,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
        )?;
        let attributes = object.attributes;
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: Some(signed(object.size)),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified_ms)),
            metadata: attributes.metadata,
            cache_control: attributes.cache_control,
            content_disposition: attributes.content_disposition,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            content_type: attributes.content_type,
            ..HeadObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (request.input.bucket, request.input.key);
        let blob = self
            .db
            .run(move |db| {
                index::check_bucket(db, &bucket)?;
                index::delete(db, &bucket, &key)
            })
            .await?;
        self.blobs.remove(blob).await;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let quiet = input.delete.quiet.unwrap_or(false);
        let keys: Vec<String> = input
            .delete
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect();
        let deleted = keys.clone();
        let blobs: Vec<String> = self
            .db
            .run(move |db| {
                index::check_bucket(db, &input.bucket)?;
                let blobs = keys.iter().map(|key| index::delete(db, &input.bucket, key));
                Ok::<_, IndexError>(
                    blobs
                        .collect::<Result<Vec<_>, _>>()?
                        .into_iter()
                        .flatten()
                        .collect(),
                )
            })
            .await?;
        self.blobs.remove(blobs).await;
        let deleted = deleted.into_iter().map(|key| DeletedObject {
            key: Some(key),
            ..DeletedObject::default()
        });
        let output = DeleteObjectsOutput {
            deleted: (!quiet).then(|| deleted.collect()),
            ..DeleteObjectsOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let marker = request.input.marker.clone();
        let response = self.list_objects_v2(request.map_input(Into::into)).await?;
        Ok(response.map_output(|page| ListObjectsOutput {
            name: page.name,
            prefix: page.prefix,
            marker,
            max_keys: page.max_keys,
            is_truncated: page.is_truncated,
            contents: page.contents,
            common_prefixes: page.common_prefixes,
            delimiter: page.delimiter,
            next_marker: page.next_continuation_token,
            ..ListObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let max_keys = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        let limit = usize::try_from(max_keys).unwrap_or_default();
        let after = input
            .continuation_token
            .clone()
            .or_else(|| input.start_after.clone());
        let (bucket, prefix) = (
            input.bucket.clone(),
            input.prefix.clone().unwrap_or_default(),
        );
        let delimiter = input.delimiter.clone();
        let page = self
            .db
            .run(move |db| {
                let after = after.unwrap_or_default();
                index::list(db, &bucket, &prefix, delimiter.as_deref(), &after, limit)
            })
            .await?;
        let count = page.objects.len() + page.prefixes.len();
        let contents = page.objects.into_iter().map(|object| Object {
            key: Some(object.key),
            size: Some(signed(object.size)),
            e_tag: Some(ETag::Strong(object.etag)),
            last_modified: Some(timestamp(object.modified_ms)),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            ..Object::default()
        });
        let prefixes = page.prefixes.into_iter().map(|prefix| CommonPrefix {
            prefix: Some(prefix),
        });
        // Keys are never URL-encoded, so `encoding_type` stays absent whatever was asked.
        let output = ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(max_keys),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(contents.collect()),
            common_prefixes: Some(prefixes.collect()),
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let object = self.find(&request.input.bucket, &request.input.key).await?;
        let tags = object.attributes.tags.into_iter();
        let tag_set = tags
            .map(|(key, value)| Tag {
                key: Some(key),
                value: Some(value),
            })
            .collect();
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set,
            version_id: None,
        }))
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let tags = input.tagging.tag_set.into_iter();
        let tags = tags.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
        let tags = tags.collect();
        self.db
            .run(move |db| index::set_tags(db, &input.bucket, &input.key, tags))
            .await?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        self.db
            .run(move |db| index::set_tags(db, &input.bucket, &input.key, Vec::new()))
            .await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(id.clone()),
            ..CreateMultipartUploadOutput::default()
        };
        let attributes = Attributes {
            metadata: input.metadata,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            tags: parse_tags(input.tagging.as_deref()),
        };
        self.db
            .run(move |db| {
                index::create_upload(db, &id, &input.bucket, &input.key, &attributes, now_ms())
            })
            .await?;
        Ok(S3Response::new(output))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        if !(1..=MAX_PART_NUMBER).contains(&input.part_number) {
            return Err(s3_error!(
                InvalidArgument,
                "part numbers go from 1 to {MAX_PART_NUMBER}"
            ));
        }
        let blob = self
            .blobs
            .receive(&request.headers, request.trailing_headers, input.body)
            .await?;
        let part = index::Part {
            number: input.part_number,
            blob: blob.name.clone(),
            size: blob.size,
            etag: etag(&blob.md5, None),
        };
        let e_tag = Some(ETag::Strong(part.etag.clone()));
        let blob = blob.keep();
        let committed = self
            .db
            .run(move |db| {
                index::find_upload(db, &input.upload_id, &input.bucket, &input.key)?;
                index::put_part(db, &input.upload_id, &part)
            })
            .await;
        self.clean_up(blob, committed).await?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag,
            ..UploadPartOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let (upload, bucket, key) = (
            input.upload_id.clone(),
            input.bucket.clone(),
            input.key.clone(),
        );
        let (attributes, stored) = self
            .db
            .run(move |db| {
                let attributes = index::find_upload(db, &upload, &bucket, &key)?;
                Ok::<_, IndexError>((attributes, index::parts(db, &upload)?))
            })
            .await?;
        let wanted = input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let parts = chosen_parts(&wanted, &stored)?;
        let mut md5s = Vec::with_capacity(parts.len() * 16);
        for part in &parts {
            md5s.extend(unhex(&part.etag).unwrap_or_default());
        }
        let names = parts.iter().map(|part| part.blob.clone()).collect();
        let blob = self.blobs.join(names, md5::compute(md5s).0).await?;
        let object = StoredObject {
            blob: blob.name.clone(),
            size: blob.size,
            etag: etag(&blob.md5, Some(parts.len())),
            modified_ms: now_ms(),
            attributes,
        };
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            ..CompleteMultipartUploadOutput::default()
        };
        let target = (input.bucket, input.key);
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let kind = "CompleteMultipartUpload";
        self.commit(
            kind,
            target,
            blob,
            object,
            conditions,
            Some(input.upload_id),
        )
        .await?;
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let blobs = self
            .db
            .run(move |db| {
                index::find_upload(db, &input.upload_id, &input.bucket, &input.key)?;
                index::delete_upload(db, &input.upload_id)
            })
            .await?;
        self.blobs.remove(blobs).await;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// `bucket.localhost` names a bucket; every other host is the endpoint itself.
struct LocalHost;

impl S3Host for LocalHost {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        Ok(match name.strip_suffix(".localhost") {
            Some(bucket) => VirtualHost::new("localhost").with_bucket(bucket),
            None => VirtualHost::new(host),
        })
    }
}

/// The stored parts that the client lists, which must be in order and as the client knows them.
fn chosen_parts(wanted: &[CompletedPart], stored: &[index::Part]) -> S3Result<Vec<index::Part>> {
    let mut parts: Vec<index::Part> = Vec::with_capacity(wanted.len());
    for part in wanted {
        let number = part.part_number.unwrap_or_default();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let found = stored
            .binary_search_by_key(&number, |part| part.number)
            .map(|at| &stored[at])
            .map_err(|_| s3_error!(InvalidPart))?;
        if part
            .e_tag
            .as_ref()
            .is_some_and(|wanted| wanted.value() != found.etag)
        {
            return Err(s3_error!(InvalidPart));
        }
        if parts.last().is_some_and(|last| last.size < MIN_PART_BYTES) {
            return Err(s3_error!(EntityTooSmall));
        }
        parts.push(found.clone());
    }
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload has at least one part"));
    }
    Ok(parts)
}

fn check_read(
    etag: &str,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let same = |condition: &ETagCondition| condition.as_etag().is_none_or(|it| it.value() == etag);
    if if_match.is_some_and(|condition| !same(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(same) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// `aws-chunked` is how the body travelled, not how it is stored.
fn stored_encoding(encoding: Option<String>) -> Option<String> {
    let encoding = encoding?;
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|it| !matches!(*it, "aws-chunked" | ""))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn parse_tags(header: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(header.unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

fn tag_count(attributes: &Attributes) -> Option<i32> {
    i32::try_from(attributes.tags.len())
        .ok()
        .filter(|count| *count > 0)
}

fn timestamp(ms: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    Timestamp::from(SystemTime::UNIX_EPOCH + since)
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

impl From<IndexError> for S3Error {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::NoSuchBucket => s3_error!(NoSuchBucket),
            IndexError::NoSuchKey => s3_error!(NoSuchKey),
            IndexError::NoSuchUpload => s3_error!(NoSuchUpload),
            IndexError::BucketNotEmpty => s3_error!(BucketNotEmpty),
            IndexError::PreconditionFailed => s3_error!(PreconditionFailed),
            IndexError::Attributes(_) | IndexError::Event(_) | IndexError::Db(_) => {
                tracing::error!(%error, "local S3 call failed");
                s3_error!(InternalError, "{error}")
            }
        }
    }
}
