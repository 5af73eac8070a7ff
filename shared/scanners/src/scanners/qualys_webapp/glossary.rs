//! `GLOSSARY > QID_LIST > QID`: the texts of each QID.

use std::collections::HashMap;

use crate::Refusal;
use crate::kit::text;
use crate::kit::xml::Xml;

/// What the glossary says of a QID. Texts are as they stand there, with their HTML.
#[derive(Default)]
pub struct Entry {
    pub title: String,
    /// `1` to `5`.
    pub severity: String,
    pub description: String,
    pub impact: String,
    pub solution: String,
    pub cwes: Vec<u32>,
}

/// Reads the `<GLOSSARY>` the cursor has just entered.
pub fn read(xml: &mut Xml<'_>) -> Result<HashMap<String, Entry>, Refusal> {
    let mut entries = HashMap::new();
    let glossary = xml.level();
    while xml.next_in(glossary)? {
        if xml.name() != "QID_LIST" {
            continue;
        }
        let list = xml.level();
        while xml.next_in(list)? {
            let (qid, entry) = read_entry(xml)?;
            entries.insert(qid, entry);
        }
    }
    Ok(entries)
}

fn read_entry(xml: &mut Xml<'_>) -> Result<(String, Entry), Refusal> {
    let mut qid = String::new();
    let mut entry = Entry::default();
    let level = xml.level();
    while xml.next_in(level)? {
        match xml.name() {
            "QID" => xml.text()?.trim().clone_into(&mut qid),
            "TITLE" => xml.text()?.trim().clone_into(&mut entry.title),
            "SEVERITY" => entry.severity = xml.text()?,
            "DESCRIPTION" => entry.description = xml.text()?,
            "IMPACT" => entry.impact = xml.text()?,
            "SOLUTION" => entry.solution = xml.text()?,
            "CWE" => {
                for cwe in text::cwes(&xml.text()?) {
                    text::push_new(&mut entry.cwes, cwe);
                }
            }
            _ => {}
        }
    }
    Ok((qid, entry))
}
