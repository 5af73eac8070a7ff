//! Bodies that reports carry in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The text in a base64 body: white space in it and missing padding do no harm, bytes that aren't
/// UTF-8 become U+FFFD. `None` where it isn't base64.
pub fn text(encoded: &str) -> Option<String> {
    let packed = || encoded.split_ascii_whitespace().collect::<String>();
    // Most are on one line.
    let bytes = LENIENT.decode(encoded.trim_ascii());
    let bytes = bytes.or_else(|_| LENIENT.decode(packed())).ok()?;
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_decoded() {
        assert_eq!(text("R0VU\n IC8=").as_deref(), Some("GET /"));
        assert_eq!(text("R0VUIC8").as_deref(), Some("GET /"));
        assert_eq!(text("gEE=").as_deref(), Some("\u{FFFD}A"));
        assert_eq!(text("").as_deref(), Some(""));
        assert_eq!(text("no base64!"), None);
    }
}
