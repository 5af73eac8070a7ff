//! S3 events, as S3 itself, SQS and EventBridge deliver them.

use serde::Deserialize;
use serde_json::Value;

/// An object that was put into the uploads bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Tells this upload from others to the same key.
    pub event: String,
}

/// An event that isn't one of S3.
#[derive(Debug, thiserror::Error)]
#[error("the event is not one of S3: {0}")]
pub struct EventError(#[from] serde_json::Error);

/// Is it a batch of messages from a queue?
pub fn is_sqs(event: &Value) -> bool {
    event["Records"][0]["eventSource"] == "aws:sqs"
}

/// The objects that an event is about. Events other than creations, and S3's own test event, are
/// about none; neither are keys that stand for folders.
pub fn uploads(event: &Value) -> Result<Vec<Upload>, EventError> {
    let mut uploads = if event["detail-type"] == "Object Created" {
        vec![from_event_bridge(&event["detail"])?]
    } else if event["Records"].is_array() {
        from_s3(event)?
    } else {
        Vec::new()
    };
    uploads.retain(|upload| !upload.key.ends_with('/'));
    Ok(uploads)
}

fn from_event_bridge(detail: &Value) -> Result<Upload, EventError> {
    #[derive(Deserialize)]
    struct Detail {
        bucket: Bucket,
        object: Object,
    }
    #[derive(Deserialize)]
    struct Bucket {
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Object {
        key: String,
        #[serde(default)]
        size: u64,
        etag: Option<String>,
        version_id: Option<String>,
        sequencer: Option<String>,
    }
    let detail = Detail::deserialize(detail)?;
    let object = detail.object;
    Ok(Upload {
        bucket: detail.bucket.name,
        key: object.key,
        size: object.size,
        event: which(object.sequencer, object.version_id, object.etag),
    })
}

fn from_s3(event: &Value) -> Result<Vec<Upload>, EventError> {
    // Only what is needed, since the services that speak S3's protocol fill in less than S3 does.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record {
        event_name: String,
        s3: Entity,
    }
    #[derive(Deserialize)]
    struct Entity {
        bucket: Bucket,
        object: Object,
    }
    #[derive(Deserialize)]
    struct Bucket {
        name: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Object {
        key: String,
        #[serde(default)]
        size: u64,
        e_tag: Option<String>,
        version_id: Option<String>,
        sequencer: Option<String>,
    }
    let records = Vec::<Record>::deserialize(&event["Records"])?;
    let created = (records.into_iter()).filter(|record| {
        let name = record.event_name.trim_start_matches("s3:");
        name.starts_with("ObjectCreated")
    });
    Ok(created
        .map(|Record { s3, .. }| Upload {
            bucket: s3.bucket.name,
            key: decoded(&s3.object.key),
            size: s3.object.size,
            event: which(s3.object.sequencer, s3.object.version_id, s3.object.e_tag),
        })
        .collect())
}

/// Keys in S3's own events are written as in a form: `+` for a space, `%` for the rest.
fn decoded(key: &str) -> String {
    let spaced = key.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
}

fn which(sequencer: Option<String>, version: Option<String>, etag: Option<String>) -> String {
    let mut known = [sequencer, version, etag].into_iter().flatten();
    known
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_three_wrappings_give_the_same_upload() {
        let plain = event(include_str!("../events/s3.json"));
        let from_s3 = uploads(&plain).unwrap();
        assert_eq!(
            from_s3,
            [Upload {
                bucket: "tatami-uploads".into(),
                key: "inbox/Web shop/Nightly/trivy+1.json".into(),
                size: 1024,
                event: "0055AED6DCD90281E5".into(),
            }]
        );
        let queued = event(include_str!("../events/sqs.json"));
        assert!(is_sqs(&queued) && !is_sqs(&plain));
        let body = queued["Records"][0]["body"].as_str().unwrap();
        assert_eq!(uploads(&event(body)).unwrap(), from_s3);
        let bridged = event(include_str!("../events/eventbridge.json"));
        assert_eq!(uploads(&bridged).unwrap(), from_s3);
    }

    #[test]
    fn what_is_no_creation_is_no_upload() {
        assert!(
            uploads(&event(r#"{"Event":"s3:TestEvent"}"#))
                .unwrap()
                .is_empty()
        );
        let mut removed = event(include_str!("../events/s3.json"));
        removed["Records"][0]["eventName"] = "ObjectRemoved:Delete".into();
        assert!(uploads(&removed).unwrap().is_empty());
        let mut folder = event(include_str!("../events/s3.json"));
        folder["Records"][0]["s3"]["object"]["key"] = "inbox/Web+shop/".into();
        assert!(uploads(&folder).unwrap().is_empty());
    }
}
