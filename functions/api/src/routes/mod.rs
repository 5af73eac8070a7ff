//! The routes, one module for each resource.

mod access;
pub mod attached;
mod audit;
mod cascade;
pub mod catalog;
mod common;
mod dedupe_settings;
mod endpoints;
mod engagements;
mod events;
mod exploitation;
mod finding_groups;
mod findings;
mod imports;
pub mod jira;
mod jobs;
mod mentions;
mod metrics;
mod notes;
mod notifications;
mod product_types;
mod products;
pub mod records;
mod rehash_jobs;
mod replays;
pub mod risk_acceptances;
mod scans;
mod sla;
mod sla_configurations;
mod system;
mod system_settings;
mod test_imports;
mod tests;
mod uploads;

use crate::openapi::Routes;

/// All of them; a body with a file in it has at most so many bytes.
pub fn all(file_bytes: usize) -> Routes {
    let mut routes = Routes::new(file_bytes);
    system::add(&mut routes);
    system_settings::add(&mut routes);
    access::add(&mut routes);
    audit::add(&mut routes);
    product_types::add(&mut routes);
    products::add(&mut routes);
    engagements::add(&mut routes);
    tests::add(&mut routes);
    common::add(&mut routes);
    records::add(&mut routes);
    dedupe_settings::add(&mut routes);
    rehash_jobs::add(&mut routes);
    jira::add(&mut routes);
    jobs::add(&mut routes);
    events::add(&mut routes);
    scans::add(&mut routes);
    sla::add(&mut routes);
    sla_configurations::add(&mut routes);
    metrics::add(&mut routes);
    uploads::add(&mut routes);
    imports::add(&mut routes);
    replays::add(&mut routes);
    test_imports::add(&mut routes);
    findings::add(&mut routes);
    attached::add(&mut routes);
    notes::add(&mut routes);
    notifications::add(&mut routes);
    risk_acceptances::add(&mut routes);
    endpoints::add(&mut routes);
    finding_groups::add(&mut routes);
    exploitation::add(&mut routes);
    routes.finished()
}
