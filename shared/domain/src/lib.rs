//! What Tatami speaks of: products and their tree, findings, imports, severities, status rules
//! and SLA arithmetic. Pure data and rules; nothing here does I/O.

mod endpoint;
mod ids;
mod report;
mod severity;

pub use endpoint::{Endpoint, EndpointError};
pub use ids::{
    BlockId, EngagementId, EnvironmentId, FindingId, ImportId, NoteId, ProductId, ProductTypeId,
    TestId, TestTypeId, UserId,
};
pub use report::{AttachedFile, ReportFinding, ReportTest, RequestResponse};
pub use severity::{Severity, UnknownSeverity};
