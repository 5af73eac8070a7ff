//! The notification that S3 sends when an object was created.

use serde_json::json;

/// A bucket whose new objects are announced in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketNotification {
    /// The bucket.
    pub bucket: String,
    /// Only keys that start with this; empty for all.
    pub prefix: String,
    /// The queue, which must exist by the time of the first upload.
    pub queue: String,
}

/// What happened to an object.
pub(super) struct Created<'a> {
    /// The part behind `ObjectCreated:`.
    pub kind: &'static str,
    pub region: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub size: u64,
    pub etag: &'a str,
}

impl Created<'_> {
    /// The event as S3 writes it.
    pub fn to_json(&self) -> String {
        let now = jiff::Timestamp::now();
        json!({"Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self.region,
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "eventName": format!("ObjectCreated:{}", self.kind),
            "userIdentity": {"principalId": "AWS:TATAMILOCAL"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {
                "x-amz-request-id": "0000000000000000",
                "x-amz-id-2": "local",
            },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "tatami-local",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": {"principalId": "TATAMILOCAL"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": {
                    "key": encode_key(self.key),
                    "size": self.size,
                    "eTag": self.etag,
                    "sequencer": format!("{:018X}", now.as_nanosecond()),
                },
            },
        }]})
        .to_string()
    }
}

/// As in a form, with plus signs for spaces, but with plain slashes.
fn encode_key(key: &str) -> String {
    form_urlencoded::byte_serialize(key.as_bytes())
        .collect::<String>()
        .replace("%2F", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_like_s3_does() {
        assert_eq!(encode_key("in/a b+ü.json"), "in/a+b%2B%C3%BC.json");
    }
}
