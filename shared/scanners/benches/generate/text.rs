//! Words, and texts with blanks to fill.

use std::fmt::Display;
use std::io::Write as _;

const WORDS: [&str; 96] = [
    "a",
    "the",
    "of",
    "in",
    "to",
    "and",
    "is",
    "that",
    "on",
    "with",
    "for",
    "an",
    "which",
    "when",
    "remote",
    "attacker",
    "vulnerability",
    "version",
    "server",
    "service",
    "host",
    "affected",
    "multiple",
    "flaw",
    "function",
    "memory",
    "buffer",
    "overflow",
    "input",
    "validation",
    "request",
    "response",
    "header",
    "parsing",
    "crafted",
    "packet",
    "certificate",
    "chain",
    "trusted",
    "authority",
    "cipher",
    "suite",
    "strength",
    "protocol",
    "negotiation",
    "handshake",
    "denial",
    "execution",
    "arbitrary",
    "code",
    "privilege",
    "escalation",
    "local",
    "user",
    "process",
    "kernel",
    "module",
    "library",
    "package",
    "component",
    "before",
    "after",
    "earlier",
    "release",
    "patch",
    "upgrade",
    "vendor",
    "advisory",
    "configuration",
    "default",
    "option",
    "setting",
    "credential",
    "password",
    "token",
    "session",
    "cookie",
    "script",
    "injection",
    "query",
    "database",
    "file",
    "path",
    "directory",
    "upload",
    "archive",
    "integer",
    "pointer",
    "free",
    "use",
    "race",
    "condition",
    "information",
    "disclosure",
    "leak",
    "bypass",
];

/// Makes texts; the same each time.
pub struct Words {
    state: u64,
}

impl Words {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // The generator of Knuth's MMIX; its high bits are the good ones.
        self.state = (self.state)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % end.max(1)
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len() as u64);
        choices[usize::try_from(at).unwrap_or(0)]
    }

    /// So many words with a capital letter at the beginning.
    pub fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.one_of(&WORDS)).collect();
        let text = words.join(" ");
        text[..1].to_ascii_uppercase() + &text[1..]
    }

    /// Sentences of together about so many characters, in lines as tools break them.
    pub fn paragraphs(&mut self, length: usize) -> String {
        let mut text = String::new();
        let mut line = 0;
        while text.len() < length {
            let count = self.below(14) + 6;
            for word in self.words(usize::try_from(count).unwrap_or(6)).split(' ') {
                let gap = if line + word.len() > 76 { "\n" } else { " " };
                if !text.is_empty() {
                    text.push_str(gap);
                }
                line = if gap == "\n" {
                    0
                } else {
                    line + word.len() + 1
                };
                text.push_str(word);
            }
            text.push('.');
        }
        text
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| {
                self.one_of(&[
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
                ])
            })
            .collect()
    }
}

/// What stands for a value in a template.
pub const BLANK: char = '\u{1}';

/// A text whose blanks are filled in time and again.
pub struct Template {
    pieces: Vec<String>,
}

impl Template {
    pub fn new(text: &str) -> Self {
        Self {
            pieces: text.split(BLANK).map(str::to_owned).collect(),
        }
    }

    pub fn fill(&self, values: &[&dyn Display], out: &mut Vec<u8>) {
        for (at, piece) in self.pieces.iter().enumerate() {
            out.extend_from_slice(piece.as_bytes());
            if let Some(value) = values.get(at).filter(|_| at + 1 < self.pieces.len()) {
                // Writing to memory doesn't fail.
                let _ = write!(out, "{value}");
            }
        }
    }
}

/// As it stands in JSON, without the quotes. Control characters other than line ends don't occur.
pub fn json(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

/// As it stands in XML.
pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

/// As it stands in a quoted CSV field.
pub fn csv(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
