//! ADF as simple Markdown, for comments that become notes.

use jiff::Timestamp;
use serde_json::Value;

/// Longer texts keep their lines as they are: many lines deep within lists would become very many bytes.
const MAX_INDENTED: usize = 1 << 18;

/// The text of an ADF document. What isn't known is read for the text in it; what isn't ADF is empty.
pub fn from_adf(document: &Value) -> String {
    let mut blocks = Vec::new();
    for node in children(document) {
        block(node, &mut blocks);
    }
    blocks.join("\n\n")
}

fn children(node: &Value) -> &[Value] {
    node["content"].as_array().map_or(&[], Vec::as_slice)
}

fn kind(node: &Value) -> &str {
    node["type"].as_str().unwrap_or_default()
}

fn attr<'a>(node: &'a Value, name: &str) -> Option<&'a str> {
    node["attrs"][name].as_str().filter(|text| !text.is_empty())
}

fn block(node: &Value, blocks: &mut Vec<String>) {
    let text = match kind(node) {
        "paragraph" => line(node),
        "heading" => {
            let level = node["attrs"]["level"].as_u64().unwrap_or(1).clamp(1, 6);
            format!(
                "{} {}",
                "######"
                    .get(..usize::try_from(level).unwrap_or(1))
                    .unwrap_or("#"),
                line(node)
            )
        }
        "codeBlock" => {
            let code: String = children(node)
                .iter()
                .filter_map(|n| n["text"].as_str())
                .collect();
            let fence = if code.contains("```") { "~~~" } else { "```" };
            format!(
                "{fence}{}\n{code}\n{fence}",
                attr(node, "language").unwrap_or_default()
            )
        }
        "rule" => "---".to_owned(),
        "blockquote" => indented(&inner(node), "> ", "> "),
        "bulletList" | "orderedList" | "taskList" | "decisionList" => list(node),
        "table" => children(node)
            .iter()
            .map(row)
            .collect::<Vec<_>>()
            .join("\n"),
        "blockCard" | "embedCard" => attr(node, "url").unwrap_or_default().to_owned(),
        "media" => attr(node, "alt").map_or_else(
            || "(attachment)".to_owned(),
            |name| format!("(attachment {name})"),
        ),
        "expand" | "nestedExpand" => {
            if let Some(title) = attr(node, "title") {
                blocks.push(title.to_owned());
            }
            inner(node)
        }
        // Panels, layouts, groups of media and what is to come.
        _ if children(node).iter().any(is_inline) => line(node),
        _ => inner(node),
    };
    if !text.trim().is_empty() {
        blocks.push(text);
    }
}

fn inner(node: &Value) -> String {
    let mut blocks = Vec::new();
    for child in children(node) {
        block(child, &mut blocks);
    }
    blocks.join("\n\n")
}

fn list(node: &Value) -> String {
    let ordered = kind(node) == "orderedList";
    let mut number = node["attrs"]["order"].as_u64().unwrap_or(1);
    let mut items = Vec::new();
    for item in children(node) {
        let sign = match (kind(item), item["attrs"]["state"].as_str()) {
            // A list of tasks has its inner lists beside the tasks.
            ("taskList" | "bulletList" | "orderedList", _) => {
                items.push(indented(&list(item), "  ", "  "));
                continue;
            }
            ("taskItem", Some("DONE")) => "- [x] ".to_owned(),
            ("taskItem", _) => "- [ ] ".to_owned(),
            _ if ordered => format!("{number}. "),
            _ => "- ".to_owned(),
        };
        number = number.saturating_add(1);
        let text = if children(item).iter().any(is_inline) {
            line(item)
        } else {
            // Inner lists follow at once.
            inner(item).replace("\n\n", "\n")
        };
        items.push(indented(&text, &sign, &" ".repeat(sign.len())));
    }
    items.join("\n")
}

fn row(node: &Value) -> String {
    let cell = |cell: &Value| inner(cell).replace('\n', " ");
    let cells: Vec<String> = children(node).iter().map(cell).collect();
    format!("| {} |", cells.join(" | "))
}

fn indented(text: &str, first: &str, rest: &str) -> String {
    let mut out = String::new();
    if text.len() > MAX_INDENTED {
        out.extend([first, text]);
        return out;
    }
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(if at == 0 { first } else { rest });
        out.push_str(line);
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_inline(node: &Value) -> bool {
    matches!(
        kind(node),
        "text" | "hardBreak" | "mention" | "emoji" | "inlineCard" | "status" | "date"
    )
}

fn line(node: &Value) -> String {
    children(node).iter().map(inline).collect()
}

fn inline(node: &Value) -> String {
    match kind(node) {
        "text" => marked(node),
        "hardBreak" => "\n".to_owned(),
        "mention" => {
            let name = attr(node, "text")
                .or_else(|| attr(node, "id"))
                .unwrap_or("somebody");
            format!("@{}", name.trim_start_matches('@'))
        }
        "emoji" => attr(node, "text")
            .or_else(|| attr(node, "shortName"))
            .unwrap_or_default()
            .to_owned(),
        "inlineCard" => attr(node, "url").unwrap_or_default().to_owned(),
        "status" => attr(node, "text").map_or_else(String::new, |text| format!("[{text}]")),
        "date" => date(&node["attrs"]["timestamp"]).unwrap_or_default(),
        _ => line(node),
    }
}

/// Milliseconds since 1970, as text.
fn date(value: &Value) -> Option<String> {
    let ms = value
        .as_str()
        .map_or_else(|| value.as_i64(), |text| text.parse().ok())?;
    let time = Timestamp::from_millisecond(ms).ok()?;
    Some(time.strftime("%Y-%m-%d").to_string())
}

fn marked(node: &Value) -> String {
    let text = node["text"].as_str().unwrap_or_default();
    let marks = node["marks"].as_array().map_or(&[][..], Vec::as_slice);
    let has = |name: &str| marks.iter().find(|mark| mark["type"] == name);
    let inner = text.trim();
    if inner.is_empty() || marks.is_empty() {
        return text.to_owned();
    }
    let mut shown = inner.to_owned();
    for (name, sign) in [
        ("code", "`"),
        ("em", "*"),
        ("strong", "**"),
        ("strike", "~~"),
    ] {
        if has(name).is_some() {
            shown = format!("{sign}{shown}{sign}");
        }
    }
    let href = has("link").and_then(|mark| attr(mark, "href"));
    if let Some(href) = href.filter(|href| *href != inner) {
        shown = format!("[{shown}]({href})");
    }
    let lead = &text[..text.len() - text.trim_start().len()];
    let trail = &text[lead.len() + inner.len()..];
    format!("{lead}{shown}{trail}")
}
