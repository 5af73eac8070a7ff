//! What scanners share: reading JSON, XML and CSV without holding the whole file, and turning
//! what reports write into what a finding holds.

pub mod csv;
pub mod cvss;
pub mod html;
pub mod json;
pub mod source;
pub mod text;
pub mod xml;
