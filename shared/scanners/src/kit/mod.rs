//! What scanners share: reading JSON, XML, CSV, HTML and zip archives without holding the whole file,
//! and turning what reports write into what a finding holds.

pub mod archive;
pub mod base64;
pub mod csv;
pub mod cvss;
pub mod html;
pub mod json;
pub mod merged;
pub mod messages;
pub mod page;
pub mod purl;
pub mod sarif;
pub mod source;
pub mod text;
pub mod xml;
