use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    EngagementId, EnvironmentId, JiraIssueId, ProductId, ProductTypeId, SlaConfigurationId, TestId,
    TestTypeId, UserId,
};

/// A group of products.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct ProductType {
    #[serde(skip)]
    pub id: ProductTypeId,
    pub name: String,
    pub description: Option<String>,
    pub critical_product: bool,
    pub key_product: bool,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// What is being secured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Product {
    #[serde(skip)]
    pub id: ProductId,
    pub name: String,
    pub description: String,
    pub prod_type: ProductTypeId,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub business_criticality: Option<String>,
    pub platform: Option<String>,
    pub lifecycle: Option<String>,
    pub origin: Option<String>,
    pub user_records: Option<u64>,
    /// A decimal number, as text.
    pub revenue: Option<String>,
    pub external_audience: bool,
    pub internet_accessible: bool,
    pub product_manager: Option<UserId>,
    pub technical_contact: Option<UserId>,
    pub team_manager: Option<UserId>,
    pub tags: Vec<String>,
    pub enable_product_tag_inheritance: bool,
    pub enable_simple_risk_acceptance: bool,
    pub enable_full_risk_acceptance: bool,
    pub disable_sla_breach_notifications: bool,
    pub sla_configuration: SlaConfigurationId,
    /// Ids of laws and standards that it is held to.
    pub regulations: Vec<u64>,
}

/// What kind of work an engagement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum EngagementType {
    #[default]
    Interactive,
    #[serde(rename = "CI/CD")]
    CiCd,
    Baseline,
    Targeted,
    Regression,
    Incident,
}

/// How far an engagement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum EngagementStatus {
    #[serde(rename = "Not Started")]
    NotStarted,
    Blocked,
    Cancelled,
    Completed,
    #[default]
    #[serde(rename = "In Progress")]
    InProgress,
    #[serde(rename = "On Hold")]
    OnHold,
    Scheduled,
    #[serde(rename = "Waiting for Resource")]
    WaitingForResource,
}

/// True where nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlessSaid(pub bool);

impl Default for UnlessSaid {
    fn default() -> Self {
        Self(true)
    }
}

/// A period of work on a product.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Engagement {
    #[serde(skip)]
    pub id: EngagementId,
    pub name: String,
    pub product: ProductId,
    pub engagement_type: EngagementType,
    pub status: EngagementStatus,
    pub active: bool,
    pub description: Option<String>,
    pub version: Option<String>,
    pub first_contacted: Option<Date>,
    pub target_start: Date,
    pub target_end: Date,
    pub lead: Option<UserId>,
    pub reason: Option<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub build_id: Option<String>,
    pub commit_hash: Option<String>,
    pub branch_tag: Option<String>,
    pub source_code_management_uri: Option<String>,
    pub tracker: Option<String>,
    pub test_strategy: Option<String>,
    pub threat_model: UnlessSaid,
    pub api_test: UnlessSaid,
    pub pen_test: UnlessSaid,
    pub check_list: UnlessSaid,
    pub requester: Option<UserId>,
    /// Id of the preset that it began with.
    pub preset: Option<u64>,
    pub report_type: Option<u64>,
    /// Ids of the servers that its product is built with.
    pub cicd_scm_server: Option<u64>,
    pub cicd_build_server: Option<u64>,
    pub cicd_orchestration_engine: Option<u64>,
    pub deduplication_on_engagement: bool,
    pub tags: Vec<String>,
    /// Has it notes or files?
    pub annotated: bool,
    /// Its epic in JIRA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jira_epic: Option<JiraIssueId>,
}

/// One run of one scanner, or of several re-imports of the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct Test {
    #[serde(skip)]
    pub id: TestId,
    pub engagement: EngagementId,
    pub product: ProductId,
    pub test_type: TestTypeId,
    pub scan_type: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub environment: EnvironmentId,
    pub target_start: Timestamp,
    pub target_end: Timestamp,
    pub percent_complete: u8,
    pub lead: Option<UserId>,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub version: Option<String>,
    pub build_id: Option<String>,
    pub commit_hash: Option<String>,
    pub branch_tag: Option<String>,
    /// Id of what says how its findings are fetched from a tool.
    pub api_scan_configuration: Option<u64>,
    pub tags: Vec<String>,
    /// Has it notes or files?
    pub annotated: bool,
}

/// A kind of report; one for each scan type, and one for each tool that names itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct TestType {
    #[serde(skip)]
    pub id: TestTypeId,
    pub name: String,
    pub static_tool: bool,
    pub dynamic_tool: bool,
    pub active: bool,
}

/// Where a test ran: Development, Staging, Production and the like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct DevelopmentEnvironment {
    #[serde(skip)]
    pub id: EnvironmentId,
    pub name: String,
}
