//! What Tatami speaks of: products and their tree, findings, imports, severities, status rules
//! and SLA arithmetic. Pure data and rules; nothing here does I/O.

mod acceptance;
mod access;
mod attached;
mod audit;
mod bulk;
mod dedupe;
mod endpoint;
mod endpoint_status;
mod event;
mod exploitation;
mod finding;
mod group;
mod id_set;
mod ids;
mod import;
mod jira;
mod job;
mod notification;
mod options;
mod outbox;
mod rehash;
mod report;
mod settings;
mod severity;
mod sla;
mod status;
mod tree;
mod user;

pub use acceptance::{
    AcceptanceChange, AcceptanceEntry, AcceptanceError, AcceptanceEvent, AcceptanceState,
    AcceptedAndOpen, Ending, NotAccepted, RiskAcceptance, Treatment,
};
pub use access::{Group, GroupMember, Membership, Role};
pub use attached::{Attachment, Note, NoteVersion, Owner};
pub use audit::{AuditAction, AuditChange, AuditEntry};
pub use bulk::{BulkChange, BulkError, BulkOutcome};
pub use dedupe::{
    Algorithm, Clustering, Dedupe, DedupeLevel, DedupeLevels, DedupeMode, DedupeScope,
    DedupeSettings, HashAlgorithm, HashField, ResolvedDedupe,
};
pub use endpoint::{Endpoint, EndpointError};
pub use endpoint_status::{EndpointStatus, StatusPlace, runs};
pub use event::{
    AcceptanceExpired, AcceptanceExpiring, CriticalFinding, DueFinding, DueFindings,
    EngagementAdded, EngagementEnded, EngagementTiming, Event, EventData, EventError, EventKind,
    ImportFailed, JiraChange, JiraUpdate, MAX_NAMED_FINDINGS, MentionedIn, NamedFinding,
    OtherEvent, ProductAdded, ProductTypeAdded, ReviewRequested, ScanAdded, SlaDue, TestAdded,
    UserMentioned,
};
pub use exploitation::Exploitation;
pub use finding::{Finding, TextRef, Texts};
pub use group::{FindingGroup, GroupBy};
pub use id_set::IdSet;
pub use ids::{
    AlertId, AttachmentId, BlockId, ContactInfoId, DeliveryId, EndpointId, EngagementId,
    EnvironmentId, FindingGroupId, FindingId, GroupId, GroupMemberId, ImportId, JiraInstanceId,
    JiraIssueId, JiraProjectId, JiraPushId, JobId, MembershipId, NoteId, NotificationRowId,
    NotificationTemplateId, NotificationWebhookId, ProductId, ProductTypeId, RehashJobId,
    RiskAcceptanceId, RoleId, SlaConfigurationId, TestId, TestTypeId, TokenId, UserId,
};
pub use import::{
    FlagCounts, Import, ImportActions, ImportCounts, ImportError, ImportKind, ImportOptions,
    ImportState, ImportWarning, MAX_IMPORT_WARNINGS, ReplayCounts, ReplayOf, SeverityCounts,
};
pub use jira::{
    FindingJira, IssueRule, JiraInstance, JiraIssue, JiraObject, JiraProject, JiraPush,
    JiraPushResult, JiraVerdict, WhyNot, may_have_issue,
};
pub use job::{Branch, Job, JobState, Work};
pub use notification::{
    Alert, Delivery, DeliveryState, NotificationRow, NotificationTemplate, NotificationWebhook,
    Receiver,
};
pub use options::{FieldError, parse_bool, parse_date};
pub use outbox::{EventKey, OutboxEntry, OutboxWork};
pub use rehash::{
    MAX_REHASH_NOTES, RehashCounts, RehashJob, RehashPhase, RehashSaved, RehashState,
};
pub use report::{AttachedFile, ReportFinding, ReportTest, RequestResponse};
pub use settings::SystemSettings;
pub use severity::{Severity, UnknownSeverity};
pub use sla::{SlaConfiguration, Slas};
pub use status::{FlagChange, FlagError, Flags, ShortStatus};
pub use tree::{
    DevelopmentEnvironment, Engagement, EngagementStatus, EngagementType, Product, ProductType,
    Test, TestType, UnlessSaid,
};
pub use user::{ContactInfo, Token, User};
