use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective,
    ObjectIdentifier,
};
use serde_json::Value;

use crate::Stack;

impl Stack {
    async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        self.s3
            .put_object()
            .bucket("reports")
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        let object = self
            .s3
            .get_object()
            .bucket("reports")
            .key(key)
            .send()
            .await
            .unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    async fn events(&self) -> Vec<Value> {
        let messages = self
            .local
            .queues()
            .receive("events", 10, None, None)
            .await
            .unwrap();
        messages
            .iter()
            .map(|message| serde_json::from_str(&message.body).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn an_upload_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    stack.put("in/my report+1.json", "{}").await;
    stack.put("elsewhere.json", "{}").await;

    let events = stack.events().await;
    assert_eq!(events.len(), 1);
    let record = &events[0]["Records"][0];
    assert_eq!(record["eventSource"], "aws:s3");
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["awsRegion"], "eu-central-1");
    assert_eq!(record["s3"]["bucket"]["name"], "reports");
    assert_eq!(record["s3"]["object"]["key"], "in/my+report%2B1.json");
    assert_eq!(record["s3"]["object"]["size"], 2);
    assert_eq!(
        record["s3"]["object"]["eTag"],
        "99914b932bd37a50b983c5e7c90ae93b"
    );
}

#[tokio::test]
async fn metadata_and_tags_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    stack
        .s3
        .put_object()
        .bucket("reports")
        .key("a")
        .metadata("product", "Shop")
        .content_type("application/json")
        .content_encoding("gzip")
        .tagging("team=red&note=a%20b")
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .unwrap();
    let head = stack
        .s3
        .head_object()
        .bucket("reports")
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(head.metadata().unwrap()["product"], "Shop");
    assert_eq!(head.content_type(), Some("application/json"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    let tags = stack
        .s3
        .get_object_tagging()
        .bucket("reports")
        .key("a")
        .send()
        .await
        .unwrap();
    let tags: Vec<_> = tags
        .tag_set()
        .iter()
        .map(|tag| (tag.key(), tag.value()))
        .collect();
    assert_eq!(tags, [("team", "red"), ("note", "a b")]);

    stack
        .s3
        .copy_object()
        .copy_source("reports/a")
        .bucket("reports")
        .key("in/b")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("product", "Blog")
        .send()
        .await
        .unwrap();
    let copy = stack
        .s3
        .get_object()
        .bucket("reports")
        .key("in/b")
        .send()
        .await
        .unwrap();
    assert_eq!(copy.metadata().unwrap()["product"], "Blog");
    assert_eq!(copy.body.collect().await.unwrap().to_vec(), b"x");
    assert_eq!(
        stack.events().await[0]["Records"][0]["eventName"],
        "ObjectCreated:Copy"
    );
}

#[tokio::test]
async fn keys_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let long = format!("{}/../ü?#&=.json", "k".repeat(900));
    for key in ["a", "a/b", "a/b/c", "dir/", long.as_str()] {
        stack.put(key, key).await;
    }
    for key in ["a", "a/b", "a/b/c", "dir/", long.as_str()] {
        assert_eq!(stack.read(key).await, key.as_bytes());
    }
}

#[tokio::test]
async fn listing_pages_through_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    for key in ["a/1", "a/2", "b", "c/1", "c/2/3", "d"] {
        stack.put(key, "x").await;
    }
    let mut seen = Vec::new();
    let mut pages = stack
        .s3
        .list_objects_v2()
        .bucket("reports")
        .delimiter("/")
        .max_keys(1)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        seen.extend(
            page.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        let prefixes = page.common_prefixes().iter();
        seen.extend(prefixes.map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!(seen, ["a/", "b", "c/", "d"]);
    let list = stack
        .s3
        .list_objects_v2()
        .bucket("reports")
        .prefix("c/")
        .send()
        .await
        .unwrap();
    let keys: Vec<_> = list
        .contents()
        .iter()
        .map(|object| object.key().unwrap())
        .collect();
    assert_eq!(keys, ["c/1", "c/2/3"]);
}

#[tokio::test]
async fn deleted_objects_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    for key in ["a", "b", "c"] {
        stack.put(key, "x").await;
    }
    stack
        .s3
        .delete_object()
        .bucket("reports")
        .key("a")
        .send()
        .await
        .unwrap();
    let objects = ["b", "c", "missing"]
        .map(|key| ObjectIdentifier::builder().key(key).build().unwrap())
        .to_vec();
    let delete = Delete::builder()
        .set_objects(Some(objects))
        .build()
        .unwrap();
    stack
        .s3
        .delete_objects()
        .bucket("reports")
        .delete(delete)
        .send()
        .await
        .unwrap();
    let error = stack
        .s3
        .get_object()
        .bucket("reports")
        .key("a")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("NoSuchKey"));
    let error = stack
        .s3
        .get_object()
        .bucket("other")
        .key("a")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
    assert_eq!(files(dir.path()), 0);
}

fn files(data_dir: &std::path::Path) -> usize {
    let shards = std::fs::read_dir(data_dir.join("objects")).unwrap();
    shards
        .map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count())
        .sum()
}

#[tokio::test]
async fn ranges_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    // Long enough to be streamed.
    let content: Vec<u8> = (0..1_000_000_u32)
        .map(|i| u8::try_from(i % 251).unwrap())
        .collect();
    stack.put("big", content.clone()).await;
    assert_eq!(stack.read("big").await, content);
    for (range, wanted) in [
        ("bytes=10-19", &content[10..20]),
        ("bytes=500000-", &content[500_000..]),
        ("bytes=-5", &content[999_995..]),
    ] {
        let get = stack
            .s3
            .get_object()
            .bucket("reports")
            .key("big")
            .range(range);
        let part = get.send().await.unwrap();
        assert_eq!(part.body.collect().await.unwrap().to_vec(), wanted);
    }
    let get = stack
        .s3
        .get_object()
        .bucket("reports")
        .key("big")
        .range("bytes=2000000-");
    assert_eq!(get.send().await.unwrap_err().code(), Some("InvalidRange"));
}

#[tokio::test]
async fn presigned_urls_need_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let soon = || PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let put = stack
        .s3
        .put_object()
        .bucket("reports")
        .key("in/p q")
        .content_type("text/plain");
    let put = put.presigned(soon()).await.unwrap();
    let headers: Vec<_> = put.headers().collect();
    let (status, _) = http("PUT", put.uri(), &headers, "hello").await;
    assert_eq!(status, 200);
    assert_eq!(stack.events().await.len(), 1);

    let get = stack
        .s3
        .get_object()
        .bucket("reports")
        .key("in/p q")
        .presigned(soon())
        .await
        .unwrap();
    assert_eq!(
        http("GET", get.uri(), &[], "").await,
        (200, "hello".to_owned())
    );
    let forged = get.uri().replace("in/", "out/");
    assert_eq!(http("GET", &forged, &[], "").await.0, 403);
}

/// A request as a client without an SDK makes it.
pub(crate) async fn http(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let headers: String = headers
        .iter()
        .flat_map(|(name, value)| {
            [
                *name, ": ", *value, "
",
            ]
        })
        .collect();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\
         {headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

#[tokio::test]
async fn multipart_uploads_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    // What was there before must not shine through.
    stack.put("in/big", "old").await;
    assert_eq!(stack.events().await.len(), 1);
    let start = stack
        .s3
        .create_multipart_upload()
        .bucket("reports")
        .key("in/big");
    let upload = start.metadata("scan", "zap").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let contents = [vec![1_u8; 5 * 1024 * 1024], vec![2_u8; 10]];
    let mut parts = Vec::new();
    for (number, content) in (1..).zip(contents.clone()) {
        let part = stack
            .s3
            .upload_part()
            .bucket("reports")
            .key("in/big")
            .upload_id(id);
        let part = part
            .part_number(number)
            .body(content.into())
            .send()
            .await
            .unwrap();
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag);
        parts.push(part.build());
    }
    let complete = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let complete = || {
        let request = stack
            .s3
            .complete_multipart_upload()
            .bucket("reports")
            .key("in/big");
        request
            .upload_id(id)
            .multipart_upload(complete.clone())
            .send()
    };
    assert!(complete().await.unwrap().e_tag().unwrap().ends_with("-2\""));
    assert_eq!(complete().await.unwrap_err().code(), Some("NoSuchUpload"));

    let object = stack
        .s3
        .get_object()
        .bucket("reports")
        .key("in/big")
        .send()
        .await
        .unwrap();
    assert_eq!(object.metadata().unwrap()["scan"], "zap");
    assert_eq!(
        object.body.collect().await.unwrap().to_vec(),
        contents.concat()
    );
    let record = &stack.events().await[0]["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:CompleteMultipartUpload");
    assert_eq!(record["s3"]["object"]["size"], 5 * 1024 * 1024 + 10);
    assert_eq!(files(dir.path()), 1);
}

#[tokio::test]
async fn a_damaged_upload_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    stack.put("in/a", "good").await;
    let put = stack.s3.put_object().bucket("reports").key("in/a");
    let put = put.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let error = put
        .body(ByteStream::from_static(b"bad"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("BadDigest"));
    let put = stack
        .s3
        .put_object()
        .bucket("reports")
        .key("in/a")
        .if_none_match("*");
    let error = put
        .body(ByteStream::from_static(b"late"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("PreconditionFailed"));
    assert_eq!(stack.read("in/a").await, b"good");
    assert_eq!(stack.events().await.len(), 1);
    assert_eq!(files(dir.path()), 1);
}

#[tokio::test]
async fn objects_survive_a_restart_and_orphans_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    stack.put("in/a", "kept").await;
    stack.local.shutdown().await;
    let orphan = dir.path().join("objects/ab/abcdef");
    std::fs::write(&orphan, "left by a crash").unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_hours(1);
    std::fs::File::open(&orphan)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();

    let stack = Stack::start(dir.path()).await;
    assert_eq!(stack.read("in/a").await, b"kept");
    assert_eq!(stack.events().await.len(), 1);
    for _ in 0..100 {
        if !orphan.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("orphan is still there");
}
