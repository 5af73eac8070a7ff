//! The same client against a JIRA that answers for real, where somebody has one: `TATAMI_JIRA_URL` is its address
//! (http), `TATAMI_JIRA_PROJECT` a project in which issues may be made, `TATAMI_JIRA_USER` and
//! `TATAMI_JIRA_SECRET` who makes them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Map, json};
use tatami_jira_client::{
    Auth, Issue, IssueFields, IssueType, Jira, NewIssue, Reference, RemoteLink, RichText, Status,
    Transition, Transport, TransportError, detect, jql, label,
};

/// HTTP/1.1 as little as it takes: one request a connection.
struct Plain;

impl Transport for &Plain {
    async fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, TransportError> {
        let failed = |e: std::io::Error| TransportError {
            message: e.to_string(),
            passing: true,
        };
        exchange(&request).map_err(failed)
    }
}

fn exchange(request: &http::Request<Vec<u8>>) -> std::io::Result<http::Response<Vec<u8>>> {
    let authority = request.uri().authority().unwrap();
    let mut stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80)))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = format!(
        "{} {} HTTP/1.0\r\nHost: {authority}\r\n",
        request.method(),
        request.uri().path_and_query().unwrap()
    );
    for (name, value) in request.headers() {
        head.extend([name.as_str(), ": ", value.to_str().unwrap(), "\r\n"]);
    }
    let length = request.body().len().to_string();
    head.extend(["Content-Length: ", &length, "\r\n\r\n"]);
    stream.write_all(head.as_bytes())?;
    stream.write_all(request.body())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut response = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    Ok(response.body(answer.split_off(end + 4)).unwrap())
}

type Client<'a> = Jira<&'a Plain>;

#[tokio::test]
async fn an_issue_lives() {
    let Some(url) = crate::variable("TATAMI_JIRA_URL") else {
        eprintln!("SKIPPED: there is no JIRA to ask (TATAMI_JIRA_URL)");
        return;
    };
    let or = |name, default: &str| crate::variable(name).unwrap_or_else(|| default.to_owned());
    let auth = Auth::Basic {
        user: or("TATAMI_JIRA_USER", "admin"),
        secret: or("TATAMI_JIRA_SECRET", "admin").into(),
    };
    let project = or("TATAMI_JIRA_PROJECT", "SEC");
    let deployment = detect(&url, auth.clone(), &Plain).await.unwrap();
    let jira = Jira::new(&url, deployment, auth, &Plain).unwrap();
    look_around(&jira, &project).await;
    let key = create(&jira, &project).await;
    comment(&jira, &key).await;
    remember(&jira, &key).await;
    close(&jira, &key).await;
}

async fn look_around(jira: &Client<'_>, project: &str) {
    let version = jira.server_info().await.unwrap().version;
    eprintln!("{:?}, {version:?}", jira.deployment());
    assert_eq!(jira.project(project).await.unwrap().key, project);
    assert!(!jira.priorities().await.unwrap().is_empty());
    assert!(!jira.fields().await.unwrap().is_empty());
    let none = jira.issue("NOSUCH-999999", &["summary"]).await;
    assert_eq!(none.unwrap(), None);
}

async fn create(jira: &Client<'_>, project: &str) -> String {
    let types = jira.create_meta_issue_types(project).await.unwrap();
    let usual = |t: &&IssueType| !t.subtask && t.name != "Epic";
    let issue_type = types.iter().find(usual).expect("an issue type");
    let meta = jira.create_meta(project, &issue_type.id).await.unwrap();
    let words = format!("tatami {}", std::process::id());
    let wanted = NewIssue {
        description: text("**SQL injection** in `a.rs`:\n\n- one {x}"),
        labels: vec![words.clone()],
        ..NewIssue::new(
            Reference::Name(project.to_owned()),
            Reference::Id(issue_type.id.clone()),
            "SQL\ninjection",
        )
    };
    let prepared = wanted.fields_for(&meta, jira.deployment());
    eprintln!(
        "dropped {:?}, missing {:?}",
        prepared.dropped, prepared.missing
    );
    let created = jira.create_issue(&prepared.fields).await.unwrap();
    let issue = read(jira, &created.key).await;
    assert_eq!(issue.id, created.id);
    assert_eq!(issue.fields.summary.as_deref(), Some("SQL injection"));
    assert!(!issue.fields.status.unwrap().is_done());
    let by_label = format!("labels = {}", jql::text(&label(&words).unwrap()));
    let found = jira.search(&by_label, &["summary"], None).await.unwrap();
    let keys: Vec<&str> = found.issues.iter().map(|i| i.key.as_str()).collect();
    assert_eq!(keys, [created.key.as_str()]);
    created.key
}

async fn comment(jira: &Client<'_>, key: &str) {
    let me = jira.myself().await.unwrap();
    let comment = jira.add_comment(key, &text("first *note*")).await.unwrap();
    let changed = jira.update_comment(key, &comment.id, &text("second")).await;
    assert_eq!(changed.unwrap().id, comment.id);
    let comments = jira.comments(key, 0).await.unwrap().comments;
    assert_eq!(comments.len(), 1);
    assert_eq!(comments[0].body.to_text(), "second");
    let author = comments[0].author.as_ref().unwrap();
    assert!(author.is(&me), "{author:?} isn't {me:?}");
}

async fn remember(jira: &Client<'_>, key: &str) {
    let value = json!({ "finding": 7 });
    jira.set_property(key, "tatami", &value).await.unwrap();
    assert_eq!(jira.property(key, "tatami").await.unwrap(), Some(value));
    assert_eq!(jira.property(key, "other").await.unwrap(), None);
    let link = RemoteLink {
        global_id: "tatami-7".to_owned(),
        url: "https://tatami.example.com/finding/7".to_owned(),
        title: "Finding 7".to_owned(),
        summary: None,
        resolved: false,
    };
    for _ in 0..2 {
        jira.set_remote_link(key, &link).await.unwrap();
    }
}

async fn close(jira: &Client<'_>, key: &str) {
    let update = [("summary".to_owned(), json!("changed"))];
    let update = update.into_iter().collect();
    jira.update_issue(key, &update).await.unwrap();
    let transitions = jira.transitions(key).await.unwrap();
    let to_done = |t: &&Transition| t.to.as_ref().is_some_and(Status::is_done);
    let done = transitions.iter().find(to_done).expect("a way to done");
    let went = jira.transition(key, &done.id, None, &Map::new()).await;
    assert_eq!(went, Ok(()));
    let issue = read(jira, key).await;
    assert_eq!(issue.fields.summary.as_deref(), Some("changed"));
    assert!(issue.fields.status.unwrap().is_done());
    assert!(issue.fields.updated.is_some());
    let (why, when) = (issue.fields.resolution, issue.fields.resolution_date);
    eprintln!("{key}: {why:?} at {when:?}");
}

async fn read(jira: &Client<'_>, key: &str) -> Issue {
    let found = jira.issue(key, IssueFields::NAMES).await.unwrap();
    found.expect("the issue")
}

fn text(markdown: &str) -> RichText {
    RichText {
        markdown: markdown.to_owned(),
        whole: None,
    }
}
