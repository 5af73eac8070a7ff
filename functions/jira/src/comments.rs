//! Comments of people in JIRA become notes, and notes become comments; each once.

use std::collections::HashSet;

use jiff::SignedDuration;
use tatami_domain::{JiraChange, JiraIssue, JiraObject, Note, User};
use tatami_jira_client::Comment;
use tatami_jira_connection::is_account;
use tatami_store::JiraComment;

use crate::context::{Link, rich};
use crate::error::Result;
use crate::thing::{Thing, get};

/// JIRA's clock and ours may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);
/// A list of comments has so many pages at most.
const PAGES: u32 = 50;

/// All comments of an issue, oldest first.
pub(crate) async fn all(link: &Link<'_>, issue: &JiraIssue) -> Result<Vec<Comment>> {
    let mut comments = Vec::new();
    let mut place = Some(0);
    for _ in 0..PAGES {
        let Some(start) = place else { break };
        let page = link.jira().comments(&issue.jira_id, start).await;
        let page = link.heard(page).await?;
        comments.extend(page.comments);
        place = page.next;
    }
    Ok(comments)
}

/// Lets new comments of people become notes of the finding, or of the first of the group.
pub(crate) async fn take_in(link: &Link<'_>, thing: &Thing, issue: &JiraIssue) -> Result<()> {
    let Some(finding) = thing.findings.first() else {
        return Ok(());
    };
    let store = &link.ctx.store;
    let known: HashSet<JiraComment> = store.jira_comments(issue.id).await?.into_iter().collect();
    let account = link.heard(link.connection.account().await).await?;
    for comment in all(link, issue).await? {
        let place = JiraComment::In(comment.id.clone());
        let own = match (&comment.author, &account) {
            (Some(author), Some(account)) => is_account(author, account),
            _ => false,
        };
        let old = |created| created < issue.created - CLOCKS;
        let text = comment.body.to_text();
        if own
            || known.contains(&place)
            || comment.created.is_some_and(old)
            || is_ours(link, thing, &text)
        {
            continue;
        }
        let author = comment.author.and_then(|author| {
            let names = [author.display_name, author.name, author.account_id];
            names.into_iter().flatten().next()
        });
        let author = author.unwrap_or_else(|| "anonymous".into());
        let entry = format!("({}, {author}): {}", issue.jira_key, text.trim());
        let entry: String = entry.chars().take(Note::MAX_ENTRY).collect();
        let date = comment.created.unwrap_or_else(|| link.now());
        let text = format!("{author} commented on it");
        let occasion = format!("comment-{}-{}", issue.id, comment.id);
        let key = Some(issue.jira_key.as_str());
        (link.ctx)
            .tell(thing, JiraChange::Commented, key, occasion, text)
            .await?;
        let ids = store.note_ids(finding.product, vec![finding.id]).await?;
        for id in ids {
            let note = Note::new(id, entry.clone(), None, date);
            store
                .note_jira_comment(issue.id, &place, Some((finding.id, &note)))
                .await?;
        }
    }
    Ok(())
}

/// Does a comment end in one of our own marks? Somebody may use our account in JIRA by hand, too.
fn is_ours(link: &Link<'_>, thing: &Thing, text: &str) -> bool {
    let mut places = (thing.findings.iter())
        .map(|finding| JiraObject::Finding(finding.id))
        .chain([thing.object]);
    places.any(|place| {
        let mark = format!("{}#", link.ctx.url(place));
        let rest = text.rfind(&mark).and_then(|at| text.get(at..));
        rest.is_some_and(|rest| !rest.trim_end().contains(char::is_whitespace))
    })
}

/// Lets notes of people become comments.
pub(crate) async fn send_out(link: &Link<'_>, thing: &Thing, issue: &JiraIssue) -> Result<()> {
    let store = &link.ctx.store;
    let known: HashSet<JiraComment> = store.jira_comments(issue.id).await?.into_iter().collect();
    let mut there = None;
    for finding in &thing.findings {
        for note in store.notes(finding.id).await? {
            let place = JiraComment::Out(note.id);
            // without an author it's our own, or came from JIRA
            let Some(author) = note.author.filter(|_| !note.private) else {
                continue;
            };
            if known.contains(&place) {
                continue;
            }
            let author: Option<User> = get(store, author).await?;
            let author = author.map_or_else(|| "somebody".into(), |author| author.username);
            let text = format!("**{author}** wrote:\n\n{}", note.entry);
            let mark = format!("note-{}", note.id);
            let on = JiraObject::Finding(finding.id);
            post(link, issue, &place, (on, &mark), &text, &mut there).await?;
        }
    }
    Ok(())
}

/// Posts a comment once: one that is there already is recognised by its last line, which links to the place.
pub(crate) async fn post(
    link: &Link<'_>,
    issue: &JiraIssue,
    comment: &JiraComment,
    (on, mark): (JiraObject, &str),
    text: &str,
    there: &mut Option<Vec<String>>,
) -> Result<()> {
    let url = link.ctx.url(on);
    let place = format!("{url}#{mark}");
    let bodies = if let Some(bodies) = there {
        bodies
    } else {
        let bodies = all(link, issue).await?;
        there.insert(bodies.iter().map(|one| one.body.to_text()).collect())
    };
    let ends = |body: &String| {
        let at = body.rfind(&place);
        let rest = at.and_then(|at| body.get(at + place.len()..));
        // not that of note 12 for note 1
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if !bodies.iter().any(ends) {
        let text = if url.starts_with("http") {
            format!("{text}\n\n[{}]({place})", crate::fields::what(on))
        } else {
            format!("{text}\n\n`{place}`")
        };
        let text = rich(text, &url);
        let added = link.jira().add_comment(&issue.jira_id, &text).await;
        link.heard(added).await?;
    }
    let store = &link.ctx.store;
    store.note_jira_comment(issue.id, comment, None).await?;
    Ok(())
}

/// The same where one comment is posted, unless it's known that it was.
pub(crate) async fn post_once(
    link: &Link<'_>,
    issue: &JiraIssue,
    event: &str,
    on: JiraObject,
    text: &str,
) -> Result<()> {
    let comment = JiraComment::Event(event.to_owned());
    let known = link.ctx.store.jira_comments(issue.id).await?;
    if known.contains(&comment) {
        return Ok(());
    }
    post(link, issue, &comment, (on, event), text, &mut None).await
}
