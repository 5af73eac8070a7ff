use std::fmt;

use crate::Deployment;

/// How a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or asks with a body.
    Post,
    /// Replaces.
    Put,
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
        }
    }
}

/// Defines [`Operation`], so that each is written down once: name, method, path below `/rest/api/<version>`.
macro_rules! operations {
    ($($(#[doc = $doc:literal])* $name:ident = $method:ident $path:literal $(only $only:ident)?;)*) => {
        /// A request that the client can make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Operation {
            $($(#[doc = $doc])* $name,)*
        }

        impl Operation {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The request's method.
            pub fn method(self) -> Method {
                match self {
                    $(Self::$name => Method::$method,)*
                }
            }

            /// The path below `/rest/api/<version>`, with a name in braces for each segment that varies.
            pub fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)*
                }
            }

            /// The deployment that alone has it, where not both do.
            pub fn only(self) -> Option<Deployment> {
                match self {
                    $(Self::$name => operations!(@only $($only)?),)*
                }
            }

            /// What errors call it.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
    (@only $only:ident) => { Some(Deployment::$only) };
    (@only) => { None };
}

operations! {
    /// What JIRA this is.
    ServerInfo = Get "/serverInfo";
    /// Whose credentials these are.
    Myself = Get "/myself";
    /// A project with its issue types.
    Project = Get "/project/{projectIdOrKey}";
    /// All priorities.
    Priorities = Get "/priority";
    /// All fields, among them those that JIRA's own and other add-ons bring.
    Fields = Get "/field";
    /// The issue types that may be created in a project: Cloud, and Data Center from 8.4.
    CreateMetaIssueTypes = Get "/issue/createmeta/{projectIdOrKey}/issuetypes";
    /// The fields that an issue type takes at creation: Cloud, and Data Center from 8.4.
    CreateMetaFields = Get "/issue/createmeta/{projectIdOrKey}/issuetypes/{issueTypeId}";
    /// Both in one answer: Server before 8.4; 9.0 doesn't have it any more.
    OldCreateMeta = Get "/issue/createmeta" only DataCenter;
    /// Makes an issue.
    CreateIssue = Post "/issue";
    /// An issue by id or key.
    GetIssue = Get "/issue/{issueIdOrKey}";
    /// Sets fields of an issue.
    UpdateIssue = Put "/issue/{issueIdOrKey}";
    /// Where an issue may go from where it is.
    Transitions = Get "/issue/{issueIdOrKey}/transitions";
    /// Takes an issue there.
    DoTransition = Post "/issue/{issueIdOrKey}/transitions";
    /// The comments of an issue.
    Comments = Get "/issue/{issueIdOrKey}/comment";
    /// Adds one.
    AddComment = Post "/issue/{issueIdOrKey}/comment";
    /// Replaces one.
    UpdateComment = Put "/issue/{issueIdOrKey}/comment/{id}";
    /// A JSON value that an application keeps with an issue.
    GetProperty = Get "/issue/{issueIdOrKey}/properties/{propertyKey}";
    /// Sets it.
    SetProperty = Put "/issue/{issueIdOrKey}/properties/{propertyKey}";
    /// Adds or replaces a link to somewhere else.
    SetRemoteLink = Post "/issue/{issueIdOrKey}/remotelink";
    /// Issues by JQL, page after page by a token.
    SearchByToken = Post "/search/jql" only Cloud;
    /// Issues by JQL, page after page by place. Cloud doesn't have it any more.
    SearchByPlace = Post "/search" only DataCenter;
    /// Users who can be assigned issues of a project.
    AssignableUsers = Get "/user/assignable/search";
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `CreateIssue` reads "create issue".
        for (at, c) in self.name().chars().enumerate() {
            if at > 0 && c.is_ascii_uppercase() {
                f.write_str(" ")?;
            }
            write!(f, "{}", c.to_ascii_lowercase())?;
        }
        Ok(())
    }
}
