//! Notifications: from an event to people and their systems.

mod audience;
mod channels;
mod digests;
mod faults;
mod imports;
mod receiver;
mod secrets;
mod stage;
mod webhooks;
