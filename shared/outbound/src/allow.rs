//! What an operator allows beyond the public network.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;
use url::Host;

use crate::target::canonical_name;

/// Hosts and addresses that may be called although they aren't globally reachable, and by plain HTTP.
///
/// Read from a text of entries with commas or blanks between them:
///
/// | entry | allows |
/// |---|---|
/// | `jira.corp.example` | this host, whatever it resolves to |
/// | `jira.corp.example:8443` | the same, at this port only |
/// | `*.corp.example` | every host below this domain, not the domain itself; may have a port, too |
/// | `10.1.2.3`, `fd00::7`, `[fd00::7]:8443` | this address |
/// | `10.1.0.0/16`, `[fd00::]/8` | these addresses |
///
/// A host may be called by plain HTTP if it's listed by its name, or if it's a listed address. What a
/// name resolves to may be in a listed network, but then the name is called by HTTPS. Cloud metadata is
/// only allowed by an entry with its very address or name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    names: Vec<(Name, Option<u16>)>,
    networks: Vec<(IpNet, Option<u16>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Exact(String),
    Below(String),
}

/// An entry isn't one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllowListError {
    /// No name, no address.
    #[error("allow list: {entry:?} is no host; give a name, an address, *.domain or a network")]
    Host {
        /// As it was written.
        entry: String,
    },
    /// The port isn't a number from 1 to 65535.
    #[error("allow list: {entry:?} has no port from 1 to 65535 after the colon")]
    Port {
        /// As it was written.
        entry: String,
    },
    /// What has a slash isn't a network.
    #[error("allow list: {entry:?} is no network; give it as 10.1.0.0/16 or [fd00::]/8")]
    Network {
        /// As it was written.
        entry: String,
    },
}

impl FromStr for AllowList {
    type Err = AllowListError;

    fn from_str(text: &str) -> Result<Self, AllowListError> {
        let mut list = Self::default();
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            list.add(entry)?;
        }
        Ok(list)
    }
}

impl AllowList {
    fn add(&mut self, text: &str) -> Result<(), AllowListError> {
        let entry = || text.to_owned();
        if let Some((address, length)) = text.split_once('/') {
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
            let network = format!("{}/{length}", bare.unwrap_or(address)).parse();
            let network = network.map_err(|_| AllowListError::Network { entry: entry() })?;
            self.networks.push((network, None));
            return Ok(());
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            self.networks.push((address.into(), None));
            return Ok(());
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                let number = port.parse().ok().filter(|&number: &u16| number > 0);
                let number = number.ok_or_else(|| AllowListError::Port { entry: entry() })?;
                (host, Some(number))
            }
            _ => (text, None),
        };
        let (below, host) = match host.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, host),
        };
        match Host::parse(host) {
            Ok(Host::Domain(name)) => {
                let name = canonical_name(&name).filter(|name| !name.contains('*'));
                let name = name.ok_or_else(|| AllowListError::Host { entry: entry() })?;
                let name = if below {
                    Name::Below(format!(".{name}"))
                } else {
                    Name::Exact(name)
                };
                self.names.push((name, port));
            }
            Ok(Host::Ipv4(address)) if !below => {
                self.networks.push((IpAddr::V4(address).into(), port));
            }
            Ok(Host::Ipv6(address)) if !below => {
                self.networks.push((IpAddr::V6(address).into(), port));
            }
            _ => return Err(AllowListError::Host { entry: entry() }),
        }
        Ok(())
    }

    /// Whether a host is listed by its canonical name, or by a domain it's below.
    pub(crate) fn has_name(&self, host: &str, port: u16) -> bool {
        self.names_at(port).any(|name| match name {
            Name::Exact(name) => name == host,
            Name::Below(domain) => host.ends_with(domain),
        })
    }

    /// Whether a host is listed by its canonical name itself.
    pub(crate) fn has_very_name(&self, host: &str, port: u16) -> bool {
        self.names_at(port)
            .any(|name| matches!(name, Name::Exact(name) if name == host))
    }

    /// Whether an address is listed, or in a listed network.
    pub(crate) fn has_address(&self, address: IpAddr, port: u16) -> bool {
        self.networks_at(port).any(|net| net.contains(&address))
    }

    /// Whether an address is listed itself.
    pub(crate) fn has_very_address(&self, address: IpAddr, port: u16) -> bool {
        self.networks_at(port)
            .any(|net| *net == IpNet::from(address))
    }

    fn names_at(&self, port: u16) -> impl Iterator<Item = &Name> {
        at(&self.names, port)
    }

    fn networks_at(&self, port: u16) -> impl Iterator<Item = &IpNet> {
        at(&self.networks, port)
    }
}

fn at<T>(entries: &[(T, Option<u16>)], port: u16) -> impl Iterator<Item = &T> {
    let counts = move |only: Option<u16>| only.is_none_or(|only| only == port);
    entries
        .iter()
        .filter_map(move |(entry, only)| counts(*only).then_some(entry))
}
