//! What Tatami speaks of: products and their tree, findings, imports, severities, status rules
//! and SLA arithmetic. Pure data and rules; nothing here does I/O.

mod dedupe;
mod endpoint;
mod finding;
mod group;
mod id_set;
mod ids;
mod import;
mod options;
mod report;
mod severity;
mod sla;
mod status;
mod tree;
mod user;

pub use dedupe::{Algorithm, Dedupe, HashField};
pub use endpoint::{Endpoint, EndpointError};
pub use finding::{Finding, Note, TextRef, Texts};
pub use group::{FindingGroup, GroupBy};
pub use id_set::IdSet;
pub use ids::{
    BlockId, EngagementId, EnvironmentId, FindingGroupId, FindingId, ImportId, NoteId, ProductId,
    ProductTypeId, TestId, TestTypeId, UserId,
};
pub use import::{
    FlagCounts, Import, ImportActions, ImportCounts, ImportError, ImportKind, ImportOptions,
    ImportState, ImportWarning, MAX_IMPORT_WARNINGS, ReplayCounts, ReplayOf, SeverityCounts,
};
pub use options::{FieldError, parse_bool, parse_date};
pub use report::{AttachedFile, ReportFinding, ReportTest, RequestResponse};
pub use severity::{Severity, UnknownSeverity};
pub use sla::{SlaConfiguration, SlaDays};
pub use status::{FlagChange, FlagError, Flags, ShortStatus};
pub use tree::{
    DevelopmentEnvironment, Engagement, EngagementStatus, EngagementType, Product, ProductType,
    Test, TestType,
};
pub use user::{Token, User};
