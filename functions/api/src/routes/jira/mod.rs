//! JIRA: where it is, what goes there, which issue is whose, and what it tells us.

mod epics;
mod instances;
mod issues;
mod linking;
mod projects;
mod pushes;
pub mod pushing;
pub mod webhook;

use crate::openapi::Routes;

pub use instances::Instances;
pub use projects::Projects;
pub use webhook::without_secret;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    instances::add(routes);
    projects::add(routes);
    issues::add(routes);
    pushes::add(routes);
    epics::add(routes);
    webhook::add(routes);
}
