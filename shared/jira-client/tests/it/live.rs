//! The same client against a JIRA that answers for real, where somebody has one: `TATAMI_JIRA_URL` is its address
//! (http), `TATAMI_JIRA_PROJECT` a project in which issues may be made, `TATAMI_JIRA_USER` and
//! `TATAMI_JIRA_SECRET` who makes them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Map, json};
use tatami_jira_client::{
    Auth, Deployment, IssueFields, Jira, NewIssue, Reference, RemoteLink, RichText, Transport,
    TransportError, detect, jql,
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
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head += &format!("Content-Length: {}\r\n\r\n", request.body().len());
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
    eprintln!(
        "{deployment:?}, {:?}",
        jira.server_info().await.unwrap().version
    );
    let me = jira.myself().await.unwrap();
    assert!(me.id().is_some(), "{me:?}");
    assert_eq!(jira.project(&project).await.unwrap().key, project);
    assert!(!jira.priorities().await.unwrap().is_empty());
    assert!(!jira.fields().await.unwrap().is_empty());

    let types = jira.create_meta_issue_types(&project).await.unwrap();
    let issue_type = types
        .iter()
        .find(|t| !t.subtask && t.name != "Epic")
        .expect("an issue type");
    let meta = jira.create_meta(&project, &issue_type.id).await.unwrap();
    let label = format!("tatami {}", std::process::id());
    let wanted = NewIssue {
        description: RichText {
            markdown: "**SQL injection** in `a.rs`:\n\n- one {x}".to_owned(),
            whole: None,
        },
        labels: vec![label.clone()],
        ..NewIssue::new(
            Reference::Name(project),
            Reference::Id(issue_type.id.clone()),
            "SQL\ninjection",
        )
    };
    let prepared = wanted.fields_for(&meta, deployment);
    eprintln!(
        "dropped {:?}, missing {:?}",
        prepared.dropped, prepared.missing
    );
    let created = jira.create_issue(&prepared.fields).await.unwrap();
    let issue = jira
        .issue(&created.key, IssueFields::NAMES)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(issue.id, created.id);
    assert_eq!(issue.fields.summary.as_deref(), Some("SQL injection"));
    assert!(!issue.fields.status.unwrap().is_done());
    assert_eq!(
        jira.issue("NOSUCH-999999", &["summary"]).await.unwrap(),
        None
    );

    let label = tatami_jira_client::label(&label).unwrap();
    let found = jira
        .search(
            &format!("labels = {}", jql::text(&label)),
            &["summary"],
            None,
        )
        .await;
    let keys: Vec<String> = found
        .unwrap()
        .issues
        .into_iter()
        .map(|issue| issue.key)
        .collect();
    assert_eq!(keys, [created.key.as_str()]);

    let text = |markdown: &str| RichText {
        markdown: markdown.to_owned(),
        whole: None,
    };
    let comment = jira
        .add_comment(&created.key, &text("first *note*"))
        .await
        .unwrap();
    jira.update_comment(&created.key, &comment.id, &text("second"))
        .await
        .unwrap();
    let comments = jira.comments(&created.key, 0).await.unwrap().comments;
    assert_eq!(comments.len(), 1);
    assert_eq!(comments[0].body.to_text(), "second");
    assert!(
        comments[0].author.as_ref().unwrap().is(&me),
        "{:?} isn't {me:?}",
        comments[0].author
    );

    let value = json!({ "finding": 7 });
    jira.set_property(&created.key, "tatami", &value)
        .await
        .unwrap();
    assert_eq!(
        jira.property(&created.key, "tatami").await.unwrap(),
        Some(value)
    );
    assert_eq!(jira.property(&created.key, "other").await.unwrap(), None);
    let link = RemoteLink {
        global_id: "tatami-7".to_owned(),
        url: "https://tatami.example.com/finding/7".to_owned(),
        title: "Finding 7".to_owned(),
        summary: None,
        resolved: false,
    };
    jira.set_remote_link(&created.key, &link).await.unwrap();
    jira.set_remote_link(&created.key, &link).await.unwrap();

    let update = [("summary".to_owned(), json!("changed"))]
        .into_iter()
        .collect();
    jira.update_issue(&created.key, &update).await.unwrap();
    let transitions = jira.transitions(&created.key).await.unwrap();
    let to_done = |t: &&tatami_jira_client::Transition| {
        t.to.as_ref()
            .is_some_and(tatami_jira_client::Status::is_done)
    };
    let done = transitions.iter().find(to_done).expect("a way to done");
    jira.transition(&created.key, &done.id, None, &Map::new())
        .await
        .unwrap();
    let issue = jira
        .issue(&created.key, IssueFields::NAMES)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(issue.fields.summary.as_deref(), Some("changed"));
    assert!(issue.fields.status.unwrap().is_done());
    assert!(issue.fields.updated.is_some());
    eprintln!(
        "{}: {:?} at {:?}",
        issue.key, issue.fields.resolution, issue.fields.resolution_date
    );
    if deployment == Deployment::Cloud {
        assert!(
            !jira
                .assignable_users(&wanted_project(&created.key), "a")
                .await
                .unwrap()
                .is_empty()
        );
    }
}

fn wanted_project(key: &str) -> String {
    key.rsplit_once('-').unwrap().0.to_owned()
}
