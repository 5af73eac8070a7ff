//! What the formats have in common.

use std::fmt::Write as _;

/// A text of paragraphs, those that are empty left out.
#[derive(Debug, Default)]
pub struct Paragraphs(String);

impl Paragraphs {
    pub fn add(&mut self, text: &str) {
        let text = text.trim_end();
        if text.trim_start().is_empty() {
            return;
        }
        if !self.0.is_empty() {
            self.0.push_str("\n\n");
        }
        self.0.push_str(text);
    }

    /// A paragraph with a heading before it.
    pub fn headed(&mut self, heading: &str, text: &str) {
        if !text.trim().is_empty() {
            self.add(&format!("**{heading}**\n\n{}", text.trim()));
        }
    }

    /// Lines of label and value, those without a value left out.
    pub fn table(&mut self, rows: &[(&str, &str)]) {
        let mut lines = String::new();
        for (label, value) in rows {
            if !value.trim().is_empty() {
                // Writing to a string doesn't fail.
                let _ = writeln!(lines, "**{label}:** {}", value.trim());
            }
        }
        self.add(&lines);
    }

    pub fn code(&mut self, text: &str) {
        let text = text.trim_matches('\n');
        if !text.trim().is_empty() {
            self.add(&format!("```\n{text}\n```"));
        }
    }

    pub fn text(self) -> String {
        self.0
    }

    pub fn some(self) -> Option<String> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

/// What auditors said of an issue.
#[derive(Debug, Default)]
pub struct Opinion {
    /// Tags (Analysis and whatever an organisation adds) with their values.
    pub tags: Vec<(String, String)>,
    /// Who, perhaps when, and what.
    pub comments: Vec<(String, String)>,
}

impl Opinion {
    pub fn text(&self) -> Option<String> {
        let mut text = Paragraphs::default();
        let tags = self
            .tags
            .iter()
            .map(|(tag, value)| (tag.as_str(), value.as_str()));
        text.table(&tags.collect::<Vec<_>>());
        for (who, comment) in &self.comments {
            text.headed(&format!("Comment by {}", who.trim()), comment);
        }
        text.some()
    }
}

/// `Cross-Site Scripting - Search.java: 12`.
pub fn title(category: &str, file: &str, line: Option<u64>) -> String {
    let file = file.trim();
    match line {
        _ if file.is_empty() => category.to_owned(),
        Some(line) => format!("{category} - {file}: {line}"),
        None => format!("{category} - {file}"),
    }
}

/// The last part of a path, of whatever system.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// `src/Search.java:12`.
pub fn place(path: &str, line: Option<u64>) -> String {
    match line {
        _ if path.is_empty() => String::new(),
        Some(line) => format!("{path}:{line}"),
        None => path.to_owned(),
    }
}

/// A line number; there is no line 0.
pub fn line_number(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|line| *line > 0)
}

/// Fortify's list of weaknesses: `CWE ID 259,CWE ID 798`, `[9] CWE ID 352` or `None`.
pub fn cwes(text: &str) -> Vec<u32> {
    let numbers = text.split(',').filter_map(|part| {
        let number = part
            .trim_end()
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()?;
        number.parse().ok().filter(|cwe| *cwe > 0)
    });
    let mut cwes = Vec::new();
    for cwe in numbers {
        if !cwes.contains(&cwe) {
            cwes.push(cwe);
        }
    }
    cwes
}
