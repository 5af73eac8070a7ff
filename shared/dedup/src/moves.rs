//! Code that moves: a finding whose line or file is another than in the last report, and all else the
//! same, is the finding it was.
//!
//! Only a re-import looks for such pairs, and only among static findings that one of its reports has
//! and the other hasn't: what is gone from a test, and what is new in it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tatami_domain::{Finding, ReportFinding};

/// Numbers from the finding's line up to so many lines below it are taken for lines of its code.
const LINES: u64 = 100;
/// Groups of more findings than this that differ in nothing but their lines are paired in their order.
const MANY: usize = 500;

/// A hash over what stays when code moves: title, weakness, rule, component and description, where the
/// names of the file and the lines are left out. `s…` where the description shows the code itself,
/// `t…` where it doesn't; nothing for a finding that is in no file.
pub fn trace(finding: &ReportFinding) -> String {
    let Some(path) = finding.file_path.as_deref().filter(|p| !p.is_empty()) else {
        return String::new();
    };
    if !finding.static_finding {
        return String::new();
    }
    let mut hash = Sha256::new();
    let mut feed = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    feed(&placeless(&finding.title, path, finding.line));
    feed(&finding.cwe.to_string());
    for field in [
        &finding.vuln_id_from_tool,
        &finding.component_name,
        &finding.sast_sink_object,
        &finding.service,
    ] {
        feed(field.as_deref().unwrap_or_default());
    }
    feed(&placeless(&finding.description, path, finding.line));
    let kind = if shows_code(&finding.description) {
        's'
    } else {
        't'
    };
    format!("{kind}{}", URL_SAFE_NO_PAD.encode(&hash.finalize()[..8]))
}

/// Scanners put the code into a fenced block, or name it.
fn shows_code(description: &str) -> bool {
    description.contains("```") || description.to_ascii_lowercase().contains("snippet")
}

/// The text without the file's path and name, and with line numbers as distances from the line.
fn placeless(text: &str, path: &str, line: Option<u64>) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let mut text = text.replace(path, "\u{1}");
    if name.len() > 3 {
        text = text.replace(name, "\u{1}");
    }
    match line {
        Some(line) => distances(&text, line),
        None => text,
    }
}

/// Whole numbers that may be lines of the code become their distance from its first line.
fn distances(text: &str, line: u64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (head, tail) = rest.split_at(at);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (digits, after) = tail.split_at(end);
        out.push_str(head);
        let previous = head.chars().next_back().or(before);
        let part_of_word = previous.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
            || after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            || (previous == Some('-') && is_name(head));
        let distance = digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_sub(line))
            .filter(|far| *far <= LINES && !part_of_word);
        match distance {
            Some(far) => {
                out.push('\u{2}');
                out.push_str(&far.to_string());
            }
            None => out.push_str(digits),
        }
        before = digits.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Does the text end like `CWE-`, so that a number after it belongs to a name?
fn is_name(head: &str) -> bool {
    let word = head.strip_suffix('-').unwrap_or(head);
    word.ends_with(char::is_alphabetic)
}

/// Pairs of findings that are one and the same in spite of other lines or files: places in `gone` and
/// in `new`. Neither occurs in two pairs.
///
/// The scanner's own id decides where just one finding of each side has it, then equal traces in the
/// same file, and last equal traces that hold code, whatever their files.
pub fn moved(gone: &[&Finding], new: &[&Finding]) -> Vec<(usize, usize)> {
    let mut pairs = Pairs::new(gone, new);
    pairs.by_id();
    pairs.by(trace_and_file, false);
    pairs.by(
        |f| trace_of(f).filter(|trace| trace.starts_with('s')),
        false,
    );
    pairs.found
}

/// Pairs of findings that are one and the same in spite of other keys, where one report was read twice
/// by two versions of its parser: places in `old` and in `new`. What moved code is known by decides
/// first, then place and subject, then the title.
pub fn read_again(old: &[&Finding], new: &[&Finding]) -> Vec<(usize, usize)> {
    let mut pairs = Pairs::new(old, new);
    pairs.by_id();
    pairs.by(trace_and_file, false);
    pairs.by(
        |f| {
            let place = (f.file_path.as_deref(), f.line, f.endpoints.as_slice());
            let subject = (f.component_name.as_deref(), f.vulnerability_ids.as_slice());
            let anything = f.file_path.is_some()
                || f.component_name.is_some()
                || !f.endpoints.is_empty()
                || !f.vulnerability_ids.is_empty();
            anything.then_some((place, subject))
        },
        true,
    );
    pairs.by(|f| Some(f.title.as_str()), true);
    pairs.found
}

fn trace_and_file(finding: &Finding) -> Option<(&str, &str)> {
    Some((trace_of(finding)?, finding.file_path.as_deref()?))
}

fn trace_of(finding: &Finding) -> Option<&str> {
    Some(finding.trace.as_str()).filter(|trace| !trace.is_empty())
}

struct Pairs<'a> {
    gone: &'a [&'a Finding],
    new: &'a [&'a Finding],
    gone_taken: Vec<bool>,
    new_taken: Vec<bool>,
    found: Vec<(usize, usize)>,
}

impl<'a> Pairs<'a> {
    fn new(gone: &'a [&'a Finding], new: &'a [&'a Finding]) -> Self {
        Self {
            gone,
            new,
            gone_taken: vec![false; gone.len()],
            new_taken: vec![false; new.len()],
            found: Vec::new(),
        }
    }

    /// Pairs by the scanner's own id.
    fn by_id(&mut self) {
        let id = |f: &'a Finding| {
            let id = f.unique_id_from_tool.as_deref();
            Some((id.filter(|id| !id.is_empty())?, f.title.as_str(), f.cwe))
        };
        self.by(id, true);
    }

    /// Pairs what is left of both sides by a property; `single`: only where it is the property of one
    /// finding on each side.
    fn by<K: std::hash::Hash + Eq>(
        &mut self,
        property: impl Fn(&'a Finding) -> Option<K>,
        single: bool,
    ) {
        let mut groups: HashMap<K, (Vec<usize>, Vec<usize>)> = HashMap::new();
        let (gone, new) = (self.gone, self.new);
        for (n, finding) in gone
            .iter()
            .enumerate()
            .filter(|(n, _)| !self.gone_taken[*n])
        {
            if let Some(key) = property(finding) {
                groups.entry(key).or_default().0.push(n);
            }
        }
        for (n, finding) in new.iter().enumerate().filter(|(n, _)| !self.new_taken[*n]) {
            if let Some(group) = property(finding).and_then(|key| groups.get_mut(&key)) {
                group.1.push(n);
            }
        }
        for (mut gone_places, mut new_places) in groups.into_values() {
            if single && (gone_places.len() != 1 || new_places.len() != 1) {
                continue;
            }
            let place = |f: &'a Finding| (f.file_path.as_deref(), f.line);
            gone_places.sort_by_key(|n| place(gone[*n]));
            new_places.sort_by_key(|n| place(new[*n]));
            for (was, is) in couple(gone, new, gone_places, &new_places) {
                self.gone_taken[was] = true;
                self.new_taken[is] = true;
                self.found.push((was, is));
            }
        }
        self.found.sort_unstable();
    }
}

/// Couples two groups of equal findings: in their order where that is all of both, else each new one
/// with the nearest line that is left.
fn couple(
    gone: &[&Finding],
    new: &[&Finding],
    mut gone_places: Vec<usize>,
    new_places: &[usize],
) -> Vec<(usize, usize)> {
    let many = gone_places.len().max(new_places.len()) > MANY;
    if many || gone_places.len() <= new_places.len() {
        let both = gone_places.into_iter().zip(new_places.iter().copied());
        return both.collect();
    }
    let line = |f: &Finding| f.line.unwrap_or_default();
    let mut pairs = Vec::with_capacity(new_places.len());
    for is in new_places {
        let near = |was: &usize| line(gone[*was]).abs_diff(line(new[*is]));
        let nearest = (0..gone_places.len()).min_by_key(|at| near(&gone_places[*at]));
        if let Some(at) = nearest {
            pairs.push((gone_places.remove(at), *is));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(path: &str, line: u64, description: &str) -> ReportFinding {
        ReportFinding {
            title: format!("Hard-coded password in {path}"),
            cwe: 259,
            description: description.to_owned(),
            file_path: Some(path.to_owned()),
            line: Some(line),
            static_finding: true,
            ..ReportFinding::default()
        }
    }

    fn stored(path: &str, line: u64, description: &str) -> Finding {
        let reported = reported(path, line, description);
        Finding {
            trace: trace(&reported),
            title: reported.title,
            file_path: reported.file_path,
            line: reported.line,
            ..Finding::default()
        }
    }

    fn pairs(gone: &[Finding], new: &[Finding]) -> Vec<(usize, usize)> {
        let (gone, new): (Vec<_>, Vec<_>) = (gone.iter().collect(), new.iter().collect());
        moved(&gone, &new)
    }

    #[test]
    fn lines_and_file_names_leave_no_trace() {
        let at = |path: &str, line: u64| {
            let text = format!("{path}, lines {line}-{}: see CWE-259", line + 2);
            trace(&reported(path, line, &text))
        };
        assert_eq!(at("src/a/login.rs", 10), at("src/a/login.rs", 97));
        assert_eq!(at("src/a/login.rs", 10), at("src/b/session.rs", 3));
        let other = trace(&reported("src/a/login.rs", 10, "another text"));
        assert_ne!(at("src/a/login.rs", 10), other);
    }

    #[test]
    fn numbers_of_names_are_no_lines() {
        assert_eq!(
            distances("CWE-12 at 12, v1.12, a12", 12),
            "CWE-12 at \u{2}0, v1.12, a12"
        );
        assert_eq!(distances("12-14", 12), "\u{2}0-\u{2}2");
    }

    #[test]
    fn a_moved_line_is_the_same_finding() {
        let gone = [stored("a.rs", 10, "weak"), stored("a.rs", 50, "weak")];
        let new = [stored("a.rs", 55, "weak"), stored("a.rs", 12, "weak")];
        assert_eq!(pairs(&gone, &new), [(0, 1), (1, 0)]);
        assert_eq!(pairs(&gone, &new[..1]), [(1, 0)], "the nearest");
    }

    #[test]
    fn a_renamed_file_is_followed_by_its_code_only() {
        let code = "found\n```\nlet password = \"x\";\n```";
        let gone = [stored("old.rs", 10, code), stored("old.rs", 20, "weak")];
        let new = [stored("new.rs", 10, code), stored("new.rs", 20, "weak")];
        assert_eq!(pairs(&gone, &new), [(0, 0)]);
    }

    #[test]
    fn a_fingerprint_follows_whatever_the_text_says() {
        let with = |path: &str, text: &str| Finding {
            unique_id_from_tool: Some("f1".into()),
            title: "Weak".into(),
            ..stored(path, 1, text)
        };
        assert_eq!(pairs(&[with("a", "x")], &[with("b", "y")]), [(0, 0)]);
        let twice = [with("b", "y"), with("c", "z")];
        assert_eq!(
            pairs(&[with("a", "x")], &twice),
            [],
            "an id of two findings tells nothing"
        );
    }

    #[test]
    fn what_is_in_no_file_does_not_move() {
        let mut finding = reported("a.rs", 1, "x");
        finding.static_finding = false;
        assert_eq!(trace(&finding), "");
        let without = Finding::default();
        assert_eq!(
            pairs(
                std::slice::from_ref(&without),
                std::slice::from_ref(&without)
            ),
            []
        );
    }
}
