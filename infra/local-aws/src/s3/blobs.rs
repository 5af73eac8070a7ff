//! The files that hold the contents of objects, under names of their own.
//!
//! A file counts only once a row of the index points to it, so an upload that fails or is cut off by
//! a crash never shows; what it leaves behind goes at the next start.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Result, TrailingHeaders, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufWriter};
use tokio_util::io::ReaderStream;

use crate::sigv4::hex;

/// Contents up to this size are read in one go.
const SMALL_BYTES: u64 = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 128 * 1024;

/// The directory of the files.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    root: PathBuf,
}

/// A file that goes away again unless it is kept.
#[derive(Debug)]
pub(super) struct NewBlob {
    pub name: String,
    pub size: u64,
    pub md5: [u8; 16],
    path: PathBuf,
    kept: bool,
}

impl NewBlob {
    /// Leaves the file to the index. That comes before the commit: a row must never point to a
    /// missing file, even if the request is cancelled meanwhile. The reverse is cleaned up.
    pub fn keep(mut self) -> String {
        self.kept = true;
        std::mem::take(&mut self.name)
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Blobs {
    pub fn open(root: &Path) -> io::Result<Self> {
        // All directories beforehand: no write has to look for its own.
        for shard in 0..=u8::MAX {
            std::fs::create_dir_all(root.join(format!("{shard:02x}")))?;
        }
        Ok(Self {
            root: root.to_owned(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.get(..2).unwrap_or("00")).join(name)
    }

    fn new_blob(&self) -> NewBlob {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = self.path(&name);
        NewBlob {
            name,
            size: 0,
            md5: [0; 16],
            path,
            kept: false,
        }
    }

    /// Writes a request body to a new file and checks it against the digests of the client.
    pub async fn receive(
        &self,
        headers: &HeaderMap,
        trailers: Option<TrailingHeaders>,
        body: Option<StreamingBlob>,
    ) -> S3Result<NewBlob> {
        let mut blob = self.new_blob();
        let mut md5 = Md5::new();
        let mut sums = announced_checksums(headers);
        let failed = |error: io::Error| s3_error!(error, InternalError);
        let file = tokio::fs::File::create(&blob.path).await.map_err(failed)?;
        let mut writer = BufWriter::with_capacity(WRITE_BYTES, file);
        if let Some(mut body) = body {
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| {
                    s3_error!(IncompleteBody, "the request body is not complete: {error}")
                })?;
                md5.update(&chunk);
                sums.update(&chunk);
                blob.size += chunk.len() as u64;
                writer.write_all(&chunk).await.map_err(failed)?;
            }
        }
        writer.flush().await.map_err(failed)?;
        blob.md5 = md5.finalize();

        let trailers = trailers
            .and_then(|trailers| trailers.take())
            .unwrap_or_default();
        let sums = sums.finalize();
        let sums = [
            ("x-amz-checksum-crc32", sums.checksum_crc32),
            ("x-amz-checksum-crc32c", sums.checksum_crc32c),
            ("x-amz-checksum-crc64nvme", sums.checksum_crc64nvme),
            ("x-amz-checksum-sha1", sums.checksum_sha1),
            ("x-amz-checksum-sha256", sums.checksum_sha256),
            ("content-md5", Some(base64(&blob.md5))),
        ];
        for (name, sum) in sums {
            let wanted = headers.get(name).or_else(|| trailers.get(name));
            if let (Some(wanted), Some(sum)) = (wanted, sum)
                && wanted.as_bytes() != sum.as_bytes()
            {
                return Err(s3_error!(
                    BadDigest,
                    "{name} does not match: calculated {sum}"
                ));
            }
        }
        Ok(blob)
    }

    /// Puts files together to a new one. The MD5 of the result is that of the parts' MD5s.
    pub async fn join(&self, names: Vec<String>, md5: [u8; 16]) -> S3Result<NewBlob> {
        let mut blob = self.new_blob();
        let target = blob.path.clone();
        let sources: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        blob.size = blocking(move || {
            let mut target = std::fs::File::create(target)?;
            let mut size = 0;
            for source in sources {
                // The kernel copies, without a buffer of ours.
                size += io::copy(&mut std::fs::File::open(source)?, &mut target)?;
            }
            Ok(size)
        })
        .await
        .map_err(|error| s3_error!(error, InternalError))?;
        blob.md5 = md5;
        Ok(blob)
    }

    /// A new name for the content of a file.
    pub async fn link(&self, name: &str) -> S3Result<NewBlob> {
        let blob = self.new_blob();
        let (from, to) = (self.path(name), blob.path.clone());
        // Files never change, so two names can share one; not every file system can do that.
        blocking(move || {
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop))
        })
        .await
        .map_err(|error| s3_error!(error, InternalError))?;
        Ok(blob)
    }

    /// Opens part of a file as a response body.
    pub async fn read(&self, name: &str, range: Range<u64>) -> io::Result<StreamingBlob> {
        let path = self.path(name);
        let length = range.end - range.start;
        if length <= SMALL_BYTES {
            let content = blocking(move || {
                let mut file = std::fs::File::open(path)?;
                file.seek(SeekFrom::Start(range.start))?;
                let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
                file.read_exact(&mut content)?;
                Ok(Bytes::from(content))
            })
            .await?;
            return Ok(StreamingBlob::from(Body::from(content)));
        }
        let mut file = tokio::fs::File::open(path).await?;
        file.seek(SeekFrom::Start(range.start)).await?;
        Ok(StreamingBlob::wrap(ReaderStream::with_capacity(
            file.take(length),
            READ_BYTES,
        )))
    }

    /// Deletes files that nothing points to any more; readers keep what they have opened.
    pub async fn remove(&self, names: impl IntoIterator<Item = String>) {
        let paths: Vec<PathBuf> = names.into_iter().map(|name| self.path(&name)).collect();
        if paths.is_empty() {
            return;
        }
        let removed = blocking(move || {
            for path in paths {
                std::fs::remove_file(path)?;
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "file of a deleted object could not be removed");
        }
    }

    /// The files that were last written before `started`, one directory at a time.
    pub fn older_than(&self, started: SystemTime) -> impl Iterator<Item = Vec<String>> + use<> {
        let root = self.root.clone();
        (0..=u8::MAX).map(move |shard| {
            let entries = std::fs::read_dir(root.join(format!("{shard:02x}")));
            entries
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| {
                    let modified = entry.metadata().and_then(|metadata| metadata.modified());
                    modified.is_ok_and(|modified| modified < started)
                })
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect()
        })
    }
}

/// Computes the checksums that the client sends along or will send behind the body.
fn announced_checksums(headers: &HeaderMap) -> ChecksumHasher {
    let trailer = headers
        .get("x-amz-trailer")
        .and_then(|value| value.to_str().ok());
    let announced = |name: &str| {
        headers.contains_key(name)
            || trailer.is_some_and(|names| {
                names
                    .split(',')
                    .any(|other| other.trim().eq_ignore_ascii_case(name))
            })
    };
    ChecksumHasher {
        crc32: announced("x-amz-checksum-crc32").then(Crc32::new),
        crc32c: announced("x-amz-checksum-crc32c").then(Crc32c::new),
        sha1: announced("x-amz-checksum-sha1").then(Sha1::new),
        sha256: announced("x-amz-checksum-sha256").then(Sha256::new),
        crc64nvme: announced("x-amz-checksum-crc64nvme").then(Crc64Nvme::new),
    }
}

/// The `ETag` of a file, or of an upload of several parts.
pub(super) fn etag(md5: &[u8; 16], parts: Option<usize>) -> String {
    match parts {
        None => hex(md5),
        Some(parts) => format!("{}-{parts}", hex(md5)),
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
