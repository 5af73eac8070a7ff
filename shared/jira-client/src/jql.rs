//! Texts in JQL.

/// A text in quotes, for the right side of a comparison: `labels = "tatami-1"`.
///
/// JQL's texts have backslash escapes. Control characters become spaces, since JIRA takes none.
///
/// ```
/// use tatami_jira_client::jql;
/// assert_eq!(jql::text(r#"a "b" \c"#), r#""a \"b\" \\c""#);
/// ```
pub fn text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Several of them, for `in`: `("a", "b")`. JIRA refuses an empty list.
pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(text).collect();
    format!("({})", quoted.join(", "))
}
