//! [Package URLs](https://github.com/package-url/purl-spec): `pkg:npm/%40scope/name@1.0`.

use std::str::FromStr;

use packageurl::PackageUrl;

/// A package as its URL names it, percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purl {
    /// Such as `npm`, `maven` or `deb`.
    pub kind: String,
    /// Such as a Maven group or an npm scope.
    pub namespace: Option<String>,
    /// Name within its namespace.
    pub name: String,
    /// Version.
    pub version: Option<String>,
}

impl Purl {
    /// The name with its namespace before it, as `sep` joins them in its ecosystem.
    pub fn full_name(&self, sep: &str) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}{sep}{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Reads a package URL; `None` where the text isn't one.
pub fn parse(text: &str) -> Option<Purl> {
    let purl = PackageUrl::from_str(text.trim()).ok()?;
    Some(Purl {
        kind: purl.ty().to_owned(),
        namespace: purl.namespace().map(str::to_owned),
        name: purl.name().to_owned(),
        version: purl.version().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_taken_apart() {
        let purl = parse("pkg:npm/%40acme/core@1.2.3?arch=x#lib").unwrap();
        assert_eq!(purl.kind, "npm");
        assert_eq!(purl.full_name("/"), "@acme/core");
        assert_eq!(purl.version.as_deref(), Some("1.2.3"));
        let purl = parse(" pkg:deb/debian/openssl@3.0.11-1 ").unwrap();
        assert_eq!(
            (purl.name.as_str(), purl.namespace.as_deref()),
            ("openssl", Some("debian"))
        );
        assert_eq!(parse("pkg:golang/x").unwrap().full_name("/"), "x");
        for text in ["", "pkg:", "npm/core@1", "pkg:npm"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
