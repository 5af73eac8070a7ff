//! JIRA's REST API as far as Tatami uses it, for Cloud (version 3, rich text is ADF) and for Data Center and
//! Server (version 2, rich text is wiki markup).
//!
//! [`Jira`] makes the requests and reads the answers; a [`Transport`] carries them, so that there's no
//! network here. [`text`] turns Markdown into what either deployment takes, [`webhook`] reads what JIRA sends
//! by itself, [`jql`] quotes what goes into a search.
//!
//! Each request is one [`Operation`], which is the list that the tests hold against the official documents.

mod client;
mod error;
pub mod jql;
mod meta;
mod model;
mod new_issue;
mod operation;
mod requests;
pub mod text;
mod time;
mod transport;
pub mod webhook;

pub use client::{Auth, Deployment, Jira, detect};
pub use error::JiraError;
pub use meta::{AllowedValue, CreateMeta, FieldMeta, FieldSchema};
pub use model::{
    Body, Comment, CommentPage, Comments, Created, Field, Issue, IssueFields, IssueType, Issues,
    Named, Project, ServerInfo, Status, StatusCategory, Transition, User,
};
pub use new_issue::{Dropped, NewIssue, Prepared, Reference, RichText, label};
pub use operation::{Method, Operation};
pub use requests::RemoteLink;
pub use time::parse as parse_timestamp;
pub use transport::{Transport, TransportError};
