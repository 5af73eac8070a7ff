//! The texts of an FPR: HTML with elements of Fortify's own.
//!
//! `<Replace key="..."/>` stands for a value of the vulnerability. A `<Paragraph>` whose values aren't
//! all known gives way to the `<AltParagraph>` in it. What depends on conditions within the analysis
//! (`<IfDef>`, `<ConditionalText>`) is left out.

use crate::kit::html;

/// A text about a class of vulnerabilities.
#[derive(Debug)]
pub enum Prose {
    /// The same for all of them.
    Plain(String),
    /// With values of the vulnerability.
    Template(String),
}

impl Default for Prose {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

/// Keys and values of one vulnerability.
pub type Values = [(String, String)];

impl Prose {
    pub fn new(text: &str) -> Self {
        let text = without(&without(text, "IfDef"), "ConditionalText");
        if text.contains("<Replace") {
            Self::Template(text)
        } else {
            Self::Plain(fill(&text, &[]))
        }
    }

    /// The text for a vulnerability with these values.
    pub fn with(&self, values: &Values) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Template(text) => fill(text, values),
        }
    }
}

fn fill(text: &str, values: &Values) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inner, after)) = element(rest, "Paragraph") {
        replace(before, values, &mut out);
        let (main, alternative) = match element(inner, "AltParagraph") {
            Some((main, alternative, _)) => (main, alternative),
            None => (inner, ""),
        };
        let end = out.len();
        if !replace(main, values, &mut out) {
            out.truncate(end);
            replace(alternative, values, &mut out);
        }
        rest = after;
    }
    replace(rest, values, &mut out);
    for tag in ["<Content>", "</Content>", "<Content/>"] {
        if out.contains(tag) {
            out = out.replace(tag, "");
        }
    }
    html::to_text(&out)
}

/// Writes the text with its values; `false` where one wasn't known.
fn replace(text: &str, values: &Values, out: &mut String) -> bool {
    let mut complete = true;
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once("<Replace") {
        out.push_str(before);
        let key = key_of(tag);
        match values.iter().find(|(name, _)| Some(name.as_str()) == key) {
            Some((_, value)) => out.push_str(&value.replace('&', "&amp;").replace('<', "&lt;")),
            None => complete = false,
        }
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    complete
}

/// The key in what follows `<Replace`.
fn key_of(tag: &str) -> Option<&str> {
    let (attributes, _) = tag.split_once('>')?;
    let (_, value) = attributes.split_once("key=\"")?;
    value.split_once('"').map(|(key, _)| key)
}

fn without(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _, after)) = element(rest, name) {
        out.push_str(before);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What is before, in and after the first element of this name.
fn element<'t>(text: &'t str, name: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let (before, rest) = text.split_once(&format!("<{name}"))?;
    let (_, rest) = rest.split_once('>')?;
    let (inner, after) = rest.split_once(&format!("</{name}>"))?;
    Some((before, inner, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, values: &[(&str, &str)]) -> String {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Prose::new(text).with(&values.iter().map(own).collect::<Vec<_>>())
    }

    #[test]
    fn values_are_put_in() {
        let text = "<Content>In <Replace key=\"F\" link=\"L\"/> at <Replace key=\"N\"/> \
                    <code>&lt;b&gt;</code></Content>";
        assert_eq!(
            fill(text, &[("F", "a<b>&c"), ("N", "3")]),
            "In a<b>&c at 3 <b>"
        );
        assert_eq!(fill(text, &[("F", "x")]), "In x at  <b>");
    }

    #[test]
    fn a_paragraph_without_its_values_gives_way() {
        let text = "<Paragraph>Call of <Replace key=\"F\"/>.<AltParagraph>A call.</AltParagraph>\
                    </Paragraph> More.<Paragraph> At <Replace key=\"N\"/>.</Paragraph>";
        assert_eq!(
            fill(text, &[("F", "f()"), ("N", "3")]),
            "Call of f(). More. At 3."
        );
        assert_eq!(fill(text, &[]), "A call. More.");
    }

    #[test]
    fn conditional_text_is_left_out() {
        let text =
            "a<IfDef var=\"x\"><ConditionalText condition=\"y\">b</ConditionalText></IfDef>c";
        assert_eq!(fill(text, &[]), "ac");
    }

    #[test]
    fn broken_markup_does_no_harm() {
        for text in [
            "<Paragraph>a",
            "<Paragraph",
            "<Replace",
            "<Replace key=\"é>",
            "<Replace key=>x</Paragraph></AltParagraph>",
            "<IfDef>é",
        ] {
            fill(text, &[("F", "x")]);
        }
    }
}
