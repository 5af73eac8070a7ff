//! The API over HTTP, on the local stack without the pipeline.

mod app;
mod auth;
mod catalog;
mod findings;
mod imports;
mod schema;
