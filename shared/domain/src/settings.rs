//! The system's settings: one document, of which every version is kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Severity, UserId};

/// The settings as one version has them. What isn't stored has its default.
///
/// `docs/settings.md` says which of them do something; the rest are kept for the clients that know them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "these are the switches that clients know"
)]
pub struct SystemSettings {
    /// Counts the changes; 0: nobody has changed anything yet. Part of the item, not of the document.
    #[serde(skip)]
    pub version: u64,
    /// When this version was made.
    pub updated: Timestamp,
    /// By whom.
    pub updated_by: Option<UserId>,
    pub delete_duplicates: bool,
    pub max_dupes: Option<u32>,
    pub email_from: String,
    pub enable_jira: bool,
    pub enable_jira_web_hook: bool,
    pub disable_jira_webhook_secret: bool,
    /// What the addresses end in to which JIRA sends what happens there; encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jira_webhook_secret: Option<String>,
    pub jira_minimum_severity: Option<Severity>,
    pub jira_labels: Option<String>,
    pub add_vulnerability_id_to_jira_label: bool,
    pub enable_github: bool,
    pub enable_slack_notifications: bool,
    /// A bot's token, or the address of an incoming webhook; encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_token: Option<String>,
    pub slack_channel: String,
    pub slack_username: String,
    pub enable_msteams_notifications: bool,
    /// The address of the channel's workflow; encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msteams_url: Option<String>,
    pub enable_mail_notifications: bool,
    pub mail_notifications_to: String,
    pub enable_webhooks_notifications: bool,
    pub webhooks_notifications_timeout: u32,
    pub enforce_verified_status: bool,
    pub enforce_verified_status_jira: bool,
    pub enforce_verified_status_product_grading: bool,
    pub enforce_verified_status_metrics: bool,
    pub retroactive_false_positive_history: bool,
    pub url_prefix: String,
    pub team_name: String,
    pub enable_product_grade: bool,
    pub product_grade_a: u32,
    pub product_grade_b: u32,
    pub product_grade_c: u32,
    pub product_grade_d: u32,
    pub product_grade_f: u32,
    pub enable_product_tag_inheritance: bool,
    pub enable_benchmark: bool,
    pub enable_similar_findings: bool,
    pub engagement_auto_close: bool,
    pub engagement_auto_close_days: u32,
    pub enable_finding_sla: bool,
    pub enable_notify_sla_active: bool,
    pub enable_notify_sla_active_verified: bool,
    pub enable_notify_sla_jira_only: bool,
    pub enable_notify_sla_exponential_backoff: bool,
    pub allow_anonymous_survey_repsonse: bool,
    pub disclaimer_notifications: String,
    pub disclaimer_reports: String,
    pub disclaimer_reports_forced: bool,
    pub disclaimer_notes: String,
    pub risk_acceptance_form_default_days: Option<u32>,
    pub risk_acceptance_notify_before_expiration: Option<u32>,
    pub enable_questionnaires: bool,
    pub enable_checklists: bool,
    pub enable_endpoint_metadata_import: bool,
    pub enable_user_profile_editable: bool,
    pub enable_product_tracking_files: bool,
    pub enable_finding_groups: bool,
    pub enable_ui_table_based_searching: bool,
    pub enable_calendar: bool,
    pub enable_cvss3_display: bool,
    pub enable_cvss4_display: bool,
    pub minimum_password_length: u32,
    pub maximum_password_length: u32,
    pub number_character_required: bool,
    pub special_character_required: bool,
    pub lowercase_character_required: bool,
    pub uppercase_character_required: bool,
    pub non_common_password_required: bool,
    pub api_expose_error_details: bool,
    pub filter_string_matching: bool,
}

impl SystemSettings {
    /// For what the end of the webhook's address is encrypted.
    pub const WEBHOOK_SECRET: &str = "SETTINGS.jira_webhook_secret";
    /// Settings that are stored encrypted, each with the purpose that it's encrypted for.
    pub const SECRETS: &[(&str, &str)] = &[
        ("slack_token", "SETTINGS.slack_token"),
        ("msteams_url", "SETTINGS.msteams_url"),
        ("jira_webhook_secret", Self::WEBHOOK_SECRET),
    ];
}

impl Default for SystemSettings {
    fn default() -> Self {
        Self {
            version: 0,
            updated: Timestamp::UNIX_EPOCH,
            updated_by: None,
            delete_duplicates: false,
            max_dupes: None,
            email_from: String::new(),
            // a project that is enabled is what switches JIRA on
            enable_jira: true,
            enable_jira_web_hook: false,
            disable_jira_webhook_secret: false,
            jira_webhook_secret: None,
            jira_minimum_severity: Some(Severity::Low),
            jira_labels: None,
            add_vulnerability_id_to_jira_label: false,
            enable_github: false,
            // what has an address is on
            enable_slack_notifications: true,
            slack_token: None,
            slack_channel: String::new(),
            slack_username: String::new(),
            enable_msteams_notifications: true,
            msteams_url: None,
            enable_mail_notifications: true,
            mail_notifications_to: String::new(),
            enable_webhooks_notifications: true,
            webhooks_notifications_timeout: 10,
            enforce_verified_status: false,
            enforce_verified_status_jira: false,
            enforce_verified_status_product_grading: false,
            enforce_verified_status_metrics: false,
            retroactive_false_positive_history: false,
            url_prefix: String::new(),
            team_name: String::new(),
            enable_product_grade: true,
            product_grade_a: 90,
            product_grade_b: 80,
            product_grade_c: 70,
            product_grade_d: 60,
            product_grade_f: 59,
            enable_product_tag_inheritance: false,
            enable_benchmark: false,
            enable_similar_findings: true,
            engagement_auto_close: false,
            engagement_auto_close_days: 3,
            enable_finding_sla: true,
            enable_notify_sla_active: false,
            enable_notify_sla_active_verified: false,
            enable_notify_sla_jira_only: false,
            enable_notify_sla_exponential_backoff: false,
            allow_anonymous_survey_repsonse: false,
            disclaimer_notifications: String::new(),
            disclaimer_reports: String::new(),
            disclaimer_reports_forced: false,
            disclaimer_notes: String::new(),
            risk_acceptance_form_default_days: Some(180),
            risk_acceptance_notify_before_expiration: Some(10),
            enable_questionnaires: false,
            enable_checklists: true,
            enable_endpoint_metadata_import: true,
            enable_user_profile_editable: true,
            enable_product_tracking_files: true,
            enable_finding_groups: true,
            enable_ui_table_based_searching: true,
            enable_calendar: true,
            enable_cvss3_display: true,
            enable_cvss4_display: true,
            minimum_password_length: 9,
            maximum_password_length: 128,
            number_character_required: false,
            special_character_required: false,
            lowercase_character_required: false,
            uppercase_character_required: false,
            non_common_password_required: true,
            api_expose_error_details: false,
            filter_string_matching: false,
        }
    }
}
