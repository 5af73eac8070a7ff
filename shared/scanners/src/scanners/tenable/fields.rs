//! What the XML and CSV exports have in common.

use tatami_domain::{Endpoint, EndpointError, ReportFinding, Severity};

use crate::kit::cvss::{self, Scored};

/// `4` to `0`, or a name.
pub fn severity(text: &str) -> Option<Severity> {
    match text.trim() {
        "4" => Some(Severity::Critical),
        "3" => Some(Severity::High),
        "2" => Some(Severity::Medium),
        "1" => Some(Severity::Low),
        "0" => Some(Severity::Info),
        name => Severity::from_report(name),
    }
}

/// A CVSS v3 vector, which CSV exports write without its prefix; undefined metrics are left out.
pub fn cvss_v3(text: &str) -> Option<Scored> {
    let text = text.trim();
    let defined: Vec<&str> = text
        .split('/')
        .filter(|part| !part.ends_with(":X"))
        .collect();
    let vector = defined.join("/");
    if vector.starts_with("AV:") {
        return cvss::v3(&format!("CVSS:3.0/{vector}"));
    }
    cvss::v3(&vector)
}

/// Port 0 stands for the host as a whole. The host of a web application scan is its URL.
pub fn endpoint(host: &str, port: &str, protocol: &str) -> Result<Endpoint, EndpointError> {
    // Some exports list all names that a host has.
    let host = host.split(',').next().unwrap_or_default().trim();
    // Spreadsheets make 443.0 of 443.
    let port = port.trim();
    let port = port.strip_suffix(".0").unwrap_or(port);
    if host.contains("://") {
        return Endpoint::parse(host);
    }
    if host.is_empty() {
        return Err(EndpointError::NoHost(host.to_owned()));
    }
    let port = match port {
        "" => None,
        port => match port.parse::<u16>() {
            Ok(port) => Some(port).filter(|p| *p != 0),
            Err(_) => return Err(EndpointError::BadPort(port.to_owned())),
        },
    };
    Ok(Endpoint::from_parts(host, port, Some(protocol.trim())))
}

pub fn add_vulnerability_id(finding: &mut ReportFinding, id: &str) {
    let id = id.trim().to_ascii_uppercase();
    if !id.is_empty() && !finding.vulnerability_ids.contains(&id) {
        finding.vulnerability_ids.push(id);
    }
}

/// `79`, `CWE-79` or `CWE:79`.
pub fn cwe_number(text: &str) -> Option<u32> {
    let text = text.trim();
    let number = text.strip_prefix("CWE").unwrap_or(text);
    number.trim_start_matches([':', '-', ' ']).parse().ok()
}
