use jiff::civil::Date;

use crate::{EngagementId, GroupBy, ImportOptions, ProductId, Severity, TestId, UserId};

/// A field of an import that isn't what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong and what it should be.
    pub message: String,
}

/// Reads a boolean as forms, metadata and JSON clients write it.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// Reads a date; a date with a time is cut to its day.
pub fn parse_date(text: &str) -> Option<Date> {
    let text = text.trim();
    let day = text.get(..10).filter(|_| {
        let next = text.as_bytes().get(10);
        matches!(next, None | Some(b'T' | b' '))
    })?;
    day.parse().ok()
}

impl ImportOptions {
    /// Sets the field that clients name `name`; says whether there is such a field. An empty value
    /// means that the field is absent. Names may be written with `-` for `_`.
    pub fn set(&mut self, name: &str, value: &str) -> Result<bool, FieldError> {
        let name = name.trim().to_ascii_lowercase().replace('-', "_");
        let value = value.trim();
        if value.is_empty() {
            return Ok(Self::FIELDS.contains(&name.as_str()));
        }
        let wrong = |message: String| FieldError {
            field: name.clone(),
            message,
        };
        let boolean = || {
            parse_bool(value)
                .ok_or_else(|| wrong(format!("\"{value}\" is not a boolean: use true or false")))
        };
        let date = || {
            parse_date(value)
                .ok_or_else(|| wrong(format!("\"{value}\" is not a date: use YYYY-MM-DD")))
        };
        let id = || {
            let id = value.parse::<u64>();
            id.map_err(|_| wrong(format!("\"{value}\" is not an id: use a whole number")))
        };
        let text = || Some(value.to_owned());
        match name.as_str() {
            "scan_type" => self.scan_type = text(),
            "product_type_name" | "product_type" => self.product_type_name = text(),
            "product_name" => self.product_name = text(),
            "engagement_name" => self.engagement_name = text(),
            // a number is an id, anything else a name: people write both into metadata
            "product" => match value.parse() {
                Ok(id) => self.product = Some(ProductId(id)),
                Err(_) => self.product_name = text(),
            },
            "engagement" => match value.parse() {
                Ok(id) => self.engagement = Some(EngagementId(id)),
                Err(_) => self.engagement_name = text(),
            },
            "test" => match value.parse() {
                Ok(id) => self.test = Some(TestId(id)),
                Err(_) => self.test_title = text(),
            },
            "test_title" => self.test_title = text(),
            "auto_create_context" => self.auto_create_context = boolean()?,
            "engagement_end_date" => self.engagement_end_date = Some(date()?),
            "source_code_management_uri" => self.source_code_management_uri = text(),
            "scan_date" => self.scan_date = Some(date()?),
            "minimum_severity" => {
                let severity = value.parse::<Severity>();
                self.minimum_severity = Some(severity.map_err(|e| wrong(e.to_string()))?);
            }
            "active" => self.active = Some(boolean()?),
            "verified" => self.verified = Some(boolean()?),
            "endpoint_to_add" => self.endpoint_to_add = text(),
            "lead" => self.lead = Some(UserId(id()?)),
            "environment" => self.environment = text(),
            "version" => self.version = text(),
            "build_id" => self.build_id = text(),
            "branch_tag" => self.branch_tag = text(),
            "commit_hash" => self.commit_hash = text(),
            "api_scan_configuration" => self.api_scan_configuration = Some(id()?),
            "tags" => {
                let tags = value.split(',').map(str::trim).filter(|t| !t.is_empty());
                for tag in tags {
                    if !self.tags.iter().any(|known| known == tag) {
                        self.tags.push(tag.to_owned());
                    }
                }
            }
            "apply_tags_to_findings" => self.apply_tags_to_findings = boolean()?,
            "apply_tags_to_endpoints" => self.apply_tags_to_endpoints = boolean()?,
            "service" => self.service = text(),
            "deduplication_execution_mode" => {
                if !Self::EXECUTION_MODES.contains(&value) {
                    let names = Self::EXECUTION_MODES.join(", ");
                    return Err(wrong(format!(
                        "\"{value}\" is not a valid choice: use one of {names}"
                    )));
                }
                self.deduplication_execution_mode = text();
            }
            "close_old_findings" => self.close_old_findings = Some(boolean()?),
            "close_old_findings_product_scope" => {
                self.close_old_findings_product_scope = boolean()?;
            }
            "do_not_reactivate" => self.do_not_reactivate = boolean()?,
            "deduplication_on_engagement" => self.deduplication_on_engagement = boolean()?,
            "group_by" => {
                let by = GroupBy::parse(value).ok_or_else(|| {
                    let names = GroupBy::NAMES.join(", ");
                    wrong(format!(
                        "\"{value}\" is not a valid choice: use one of {names}"
                    ))
                });
                self.group_by = Some(by?);
            }
            "create_finding_groups_for_all_findings" => {
                self.create_finding_groups_for_all_findings = Some(boolean()?);
            }
            "push_to_jira" => self.push_to_jira = boolean()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The values of `deduplication_execution_mode`.
    pub const EXECUTION_MODES: &[&str] = &["async", "async_wait", "sync"];

    /// The names that [`ImportOptions::set`] knows.
    pub const FIELDS: &[&str] = &[
        "scan_type",
        "product_type_name",
        "product_type",
        "product_name",
        "product",
        "engagement_name",
        "engagement",
        "test",
        "test_title",
        "auto_create_context",
        "engagement_end_date",
        "source_code_management_uri",
        "scan_date",
        "minimum_severity",
        "active",
        "verified",
        "endpoint_to_add",
        "lead",
        "environment",
        "version",
        "build_id",
        "branch_tag",
        "commit_hash",
        "api_scan_configuration",
        "tags",
        "apply_tags_to_findings",
        "apply_tags_to_endpoints",
        "service",
        "deduplication_execution_mode",
        "close_old_findings",
        "close_old_findings_product_scope",
        "do_not_reactivate",
        "deduplication_on_engagement",
        "group_by",
        "create_finding_groups_for_all_findings",
        "push_to_jira",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_known_and_an_empty_value_leaves_it_absent() {
        for name in ImportOptions::FIELDS {
            let mut options = ImportOptions::default();
            assert_eq!(options.set(name, " "), Ok(true), "{name}");
            assert_eq!(options, ImportOptions::default());
            let value = if name.contains("date") {
                "2026-01-31"
            } else if *name == "minimum_severity" {
                "Low"
            } else if *name == "deduplication_execution_mode" {
                "sync"
            } else if *name == "group_by" {
                "file_path"
            } else {
                "1"
            };
            assert_eq!(options.set(name, value), Ok(true), "{name}");
            assert_ne!(options, ImportOptions::default(), "{name}");
        }
        assert_eq!(ImportOptions::default().set("nonsense", "1"), Ok(false));
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        let error = ImportOptions::default()
            .set("minimum-severity", "high")
            .unwrap_err();
        assert!(error.to_string().contains("Critical, High"), "{error}");
        let error = ImportOptions::default()
            .set("scan_date", "31.01.2026")
            .unwrap_err();
        assert!(error.to_string().contains("YYYY-MM-DD"), "{error}");
    }

    #[test]
    fn a_date_with_a_time_is_cut_to_its_day() {
        let day = Some(jiff::civil::date(2026, 1, 31));
        assert_eq!(parse_date("2026-01-31"), day);
        assert_eq!(parse_date("2026-01-31T10:00:00Z"), day);
        assert_eq!(parse_date("2026-01-311"), None);
        assert_eq!(parse_date("x"), None);
    }
}
