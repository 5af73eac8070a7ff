//! CVSS vectors and scores: found in what a report writes, checked, scored.

use std::str::FromStr;

use tatami_domain::Severity;

/// A valid vector and its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// As the report writes it, from `CVSS:` on.
    pub vector: String,
    /// 0.0 to 10.0.
    pub score: f64,
}

/// The first valid CVSS v3.0 or v3.1 vector in a text. `score` is of its base metrics.
pub fn v3(text: &str) -> Option<Scored> {
    candidates(text, "CVSS:3.").find_map(|vector| {
        let parsed = cvss::v3::Vector::from_str(vector).ok()?;
        let exploitability = parsed.av.is_some() && parsed.ac.is_some() && parsed.pr.is_some();
        let impact = parsed.c.is_some() && parsed.i.is_some() && parsed.a.is_some();
        let whole = exploitability && parsed.ui.is_some() && parsed.s.is_some() && impact;
        whole.then(|| Scored {
            vector: vector.to_owned(),
            score: parsed.base_score().value(),
        })
    })
}

/// The first valid CVSS v4.0 vector in a text.
pub fn v4(text: &str) -> Option<Scored> {
    candidates(text, "CVSS:4.").find_map(|vector| {
        let parsed = cvss::v4::Vector::from_str(vector).ok()?;
        Some(Scored {
            vector: vector.to_owned(),
            score: parsed.score().value(),
        })
    })
}

/// The first valid CVSS v2 vector in a text, with or without its parentheses: `AV:N/AC:L/Au:N/C:P/I:P/A:P`.
/// `vector` begins with `AV:`, `score` is of its base metrics.
pub fn v2(text: &str) -> Option<Scored> {
    candidates(text, "AV:").find_map(|vector| {
        let parsed = cvss::v2::Vector::from_str(vector).ok()?;
        Some(Scored {
            vector: vector.to_owned(),
            score: parsed.score().value(),
        })
    })
}

/// The severity that the CVSS rating scale gives to a score.
pub fn severity(score: f64) -> Severity {
    match score {
        s if s >= 9.0 => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        s if s > 0.0 => Severity::Low,
        _ => Severity::Info,
    }
}

/// What may be vectors: everything from the prefix on that consists of their characters.
fn candidates<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(prefix).map(|(at, _)| {
        let rest = &text[at..];
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.');
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches(['/', ':', '.'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_vectors_are_found_and_scored() {
        let scored = v3("see (CVSS:3.1/AV:N/AC:L/PR:H/UI:R/S:C/C:L/I:L/A:N), or not").unwrap();
        assert_eq!(
            scored.vector,
            "CVSS:3.1/AV:N/AC:L/PR:H/UI:R/S:C/C:L/I:L/A:N"
        );
        assert!((scored.score - 4.8).abs() < 1e-9);
        let temporal = "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C";
        assert!((v3(temporal).unwrap().score - 9.8).abs() < 1e-9);
        for wrong in [
            "",
            "AV:N/AC:L",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:Q/AC:L",
            "CVSS:3.7/AV:N",
            "CVSS:3.",
        ] {
            assert_eq!(v3(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn v4_vectors_are_found_and_scored() {
        let scored = v4("CVSS:4.0/AV:N/AC:L/AT:N/PR:H/UI:N/VC:L/VI:L/VA:N/SC:N/SI:N/SA:N").unwrap();
        assert!((scored.score - 5.1).abs() < 1e-9);
        assert_eq!(v4("CVSS:4.0/AV:N/AC:L/PR:H/UI:R/S:C/C:L/I:L/A:N"), None);
        assert_eq!(v4("CVSS:4.0/AV:N"), None);
    }

    #[test]
    fn v2_vectors_are_found_and_scored() {
        let scored = v2("CVSS2#AV:N/AC:L/Au:N/C:P/I:P/A:P").unwrap();
        assert_eq!(scored.vector, "AV:N/AC:L/Au:N/C:P/I:P/A:P");
        assert!((scored.score - 7.5).abs() < 1e-9);
        let scored = v2("7.8 (AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C)").unwrap();
        assert!((scored.score - 7.8).abs() < 1e-9);
        // The specification rounds to the nearest tenth, not up.
        assert!((v2("AV:A/AC:L/Au:N/C:P/I:P/A:P").unwrap().score - 5.8).abs() < 1e-9);
        for wrong in [
            "",
            "AV:N/AC:L",
            "CVSS:3.1/AV:N/AC:L/PR:H/UI:R/S:C/C:L/I:L/A:N",
        ] {
            assert_eq!(v2(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scores_have_their_severity() {
        use Severity::{Critical, High, Info, Low, Medium};
        let severities = [10.0, 9.0, 8.9, 7.0, 6.9, 4.0, 3.9, 0.1, 0.0].map(severity);
        assert_eq!(
            severities,
            [
                Critical, Critical, High, High, Medium, Medium, Low, Low, Info
            ]
        );
    }
}
