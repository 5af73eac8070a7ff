//! The HTTP messages of findings that are held until their report ends.

use tatami_domain::{ReportFinding, RequestResponse};

use crate::{Sink, Warning};

/// How much of them is held.
const LIMIT: usize = 64 * 1024 * 1024;

/// Keeps requests and responses while there is room. Those that go by the board are counted, and the
/// raw report still has them.
#[derive(Debug)]
pub struct Messages {
    room: usize,
    left_out: usize,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            room: LIMIT,
            left_out: 0,
        }
    }
}

impl Messages {
    /// Adds messages to a finding.
    pub fn add(&mut self, finding: &mut ReportFinding, messages: Vec<RequestResponse>) {
        for message in messages {
            let size = message.request.len() + message.response.len();
            match self.room.checked_sub(size) {
                Some(room) => {
                    self.room = room;
                    finding.requests.push(message);
                }
                None => self.left_out += 1,
            }
        }
    }

    /// Tells the sink how many there was no room for.
    pub fn tell(&self, sink: &mut dyn Sink) {
        if self.left_out > 0 {
            let (number, limit) = (self.left_out, LIMIT / 1024 / 1024);
            sink.warning(Warning {
                record: "the report".into(),
                message: format!(
                    "{number} requests with their responses were left out: only {limit} MB of them \
                     are kept"
                ),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Collected;

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let mut messages = Messages {
            room: 5,
            left_out: 0,
        };
        let mut finding = ReportFinding::default();
        let message = |request: &str| RequestResponse {
            request: request.into(),
            response: "ok".into(),
        };
        messages.add(&mut finding, vec![message("GET"), message("PUT")]);
        messages.add(&mut finding, vec![RequestResponse::default()]);
        assert_eq!(finding.requests.len(), 2);
        let mut out = Collected::default();
        messages.tell(&mut out);
        assert!(out.warnings[0].message.starts_with("1 request"));
        Messages::default().tell(&mut out);
        assert_eq!(out.warnings.len(), 1);
    }
}
