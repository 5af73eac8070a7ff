//! A look at the head of a JSON report, which may be cut anywhere, for the detectors.

use super::MAX_DEPTH;
use crate::kit::source;

/// How deep the outline goes. Detectors need no more.
const LEVELS: usize = 6;

/// The names found in the head of a JSON report. A place is written as a path such as
/// `runs[].tool.driver.name`; of a list only the first element is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    places: Vec<(String, Option<String>)>,
}

impl Outline {
    /// Was this place seen? The top is `""` for an object and `[]` for a list that isn't empty.
    pub fn has(&self, path: &str) -> bool {
        self.places.iter().any(|(place, _)| place == path)
    }

    /// Were all of these seen?
    pub fn has_all(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| self.has(path))
    }

    /// The text, number or word at this place.
    pub fn text(&self, path: &str) -> Option<&str> {
        let found = self.places.iter().find(|(place, _)| place == path);
        found.and_then(|(_, text)| text.as_deref())
    }

    /// The keys of the object at this place, in the report's order.
    pub fn keys(&self, path: &str) -> impl Iterator<Item = &str> {
        let dot = usize::from(!path.is_empty());
        (self.places.iter()).filter_map(move |(place, _)| {
            let key = place.strip_prefix(path)?;
            let key = if dot == 1 {
                key.strip_prefix('.')?
            } else {
                key
            };
            (!key.is_empty() && !key.contains(['.', '['])).then_some(key)
        })
    }
}

/// Looks at the head of a report. One that isn't JSON has an empty outline.
pub fn outline(head: &[u8]) -> Outline {
    let text = source::head_as_utf8(head);
    let mut look = Look {
        text: &text,
        at: 0,
        places: Vec::new(),
    };
    if matches!(look.next(), Some(b'{' | b'[')) {
        // `None` where the head ends before the value does; what was seen until then counts.
        let _ = look.value(&mut String::new(), 0);
    }
    Outline {
        places: look.places,
    }
}

struct Look<'t> {
    text: &'t [u8],
    at: usize,
    places: Vec<(String, Option<String>)>,
}

impl<'t> Look<'t> {
    /// The next byte that isn't white space.
    fn next(&mut self) -> Option<u8> {
        while self.text.get(self.at)?.is_ascii_whitespace() {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn value(&mut self, path: &mut String, level: usize) -> Option<()> {
        if level > MAX_DEPTH {
            return None;
        }
        let mark = is_noted(level).then_some(self.places.len());
        if mark.is_some() {
            self.places.push((path.clone(), None));
        }
        let scalar = match self.next()? {
            b'{' => return self.object(path, level),
            b'[' => return self.list(path, level),
            b'"' => self.string()?,
            _ => self.bare()?,
        };
        if let Some(place) = mark.and_then(|at| self.places.get_mut(at)) {
            place.1 = Some(text_of(scalar));
        }
        Some(())
    }

    fn object(&mut self, path: &mut String, level: usize) -> Option<()> {
        self.at += 1;
        loop {
            match self.next()? {
                b'}' => break,
                b',' => self.at += 1,
                b'"' => {
                    let key = self.string()?;
                    if self.next()? != b':' {
                        return None;
                    }
                    self.at += 1;
                    let before = path.len();
                    if is_noted(level + 1) {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(&text_of(key));
                    }
                    self.value(path, level + 1)?;
                    path.truncate(before);
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    fn list(&mut self, path: &mut String, level: usize) -> Option<()> {
        self.at += 1;
        let mut first = true;
        loop {
            match self.next()? {
                b']' => break,
                b',' => self.at += 1,
                _ if first => {
                    first = false;
                    let before = path.len();
                    path.push_str("[]");
                    self.value(path, level + 1)?;
                    path.truncate(before);
                }
                // Deep enough that nothing of the further elements is noted.
                _ => self.value(&mut String::new(), LEVELS + 1)?,
            }
        }
        self.at += 1;
        Some(())
    }

    /// The string that begins here, in its quotes.
    fn string(&mut self) -> Option<&'t [u8]> {
        let start = self.at;
        self.at += 1;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[self.at] == b'"' {
                break;
            }
            self.at += 2;
        }
        self.at += 1;
        Some(&self.text[start..self.at])
    }

    /// The number or word that begins here.
    fn bare(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..)?;
        let len = rest
            .iter()
            .position(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'))?;
        if len == 0 {
            return None;
        }
        self.at += len;
        Some(&rest[..len])
    }
}

/// Is what lies so deep in the outline?
fn is_noted(level: usize) -> bool {
    level <= LEVELS
}

/// A string without its quotes, and anything else as it is.
fn text_of(scalar: &[u8]) -> String {
    let string = scalar.first().filter(|first| **first == b'"');
    let string = string.and_then(|_| serde_json::from_slice(scalar).ok());
    string.unwrap_or_else(|| String::from_utf8_lossy(scalar).into_owned())
}
