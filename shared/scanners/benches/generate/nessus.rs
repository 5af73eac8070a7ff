//! Nessus: many hosts that share 300 plugins, as XML and as CSV.

use super::Parts;
use super::text::{Template, Words, csv, xml};

const PLUGINS: u64 = 300;
/// What one host has of them.
const ITEMS: u64 = 60;

const SERVICES: [(u16, &str, &str); 8] = [
    (0, "general", "tcp"),
    (22, "ssh", "tcp"),
    (80, "www", "tcp"),
    (443, "www", "tcp"),
    (445, "cifs", "tcp"),
    (3389, "msrdp", "tcp"),
    (161, "snmp", "udp"),
    (8443, "www", "tcp"),
];
const VECTORS: [&str; 4] = [
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
    "CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:L/A:N",
    "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N",
];

/// What a plugin says on every host.
struct Plugin {
    id: u64,
    name: String,
    family: &'static str,
    severity: u64,
    service: (u16, &'static str, &'static str),
    vector: Option<&'static str>,
    cves: Vec<String>,
    synopsis: String,
    description: String,
    solution: String,
    see_also: String,
    /// With blanks for the host's address and a number.
    output: String,
}

fn plugins() -> Vec<Plugin> {
    (0..PLUGINS).map(plugin).collect()
}

fn plugin(number: u64) -> Plugin {
    let mut words = Words::new(number + 1);
    let severity = [0, 0, 1, 2, 2, 3, 4][usize::try_from(number % 7).unwrap_or(0)];
    let cves = if severity > 0 { words.below(4) + 1 } else { 0 };
    let lines = words.below(12);
    let output = (0..lines).map(|line| {
        let text = words.words(5);
        match line {
            0 => "\n  Host              : \u{1}\n".to_owned(),
            1 => "  Installed version : 2.4.\u{1}\n".to_owned(),
            _ => format!("  {text} : \"{}\" <{}>\n", line * 17, words.below(99_999)),
        }
    });
    let output: String = output.collect();
    Plugin {
        id: 10_000 + number * 431,
        name: format!("{} < 2.{number} {}", words.words(2), words.words(4)),
        family: words.one_of(&[
            "Web Servers",
            "General",
            "Misc.",
            "Windows",
            "Service detection",
        ]),
        severity,
        service: words.one_of(&SERVICES),
        vector: (severity > 0).then(|| words.one_of(&VECTORS)),
        cves: (0..cves)
            .map(|cve| format!("CVE-20{}-{}", 10 + number % 16, 1000 + number * 10 + cve))
            .collect(),
        synopsis: format!("{}.", words.words(9)),
        description: words.paragraphs(450 + usize::try_from(number % 9).unwrap_or(0) * 60),
        solution: words.paragraphs(120),
        see_also: (0..=words.below(3))
            .map(|at| format!("https://www.example.test/advisories/{number}/{at}"))
            .collect::<Vec<_>>()
            .join("\n"),
        output,
    }
}

/// The plugins that this host has.
fn of_host(host: u64) -> impl Iterator<Item = usize> {
    (0..ITEMS).filter_map(move |item| usize::try_from((host * 7 + item * 13) % PLUGINS).ok())
}

fn address(host: u64) -> String {
    format!("10.{}.{}.{}", host >> 16 & 255, host >> 8 & 255, host & 255)
}

pub struct Xml {
    items: Vec<Template>,
    properties: Template,
}

impl Xml {
    pub fn new() -> Self {
        let properties: String = [
            ("HOST_END", "Mon Mar  3 11:02:12 2025"),
            ("patch-summary-total-cves", "12"),
            ("cpe", "cpe:/o:linux:linux_kernel"),
            ("os", "linux"),
            ("Credentialed_Scan", "true"),
            ("policy-used", "Weekly"),
            (
                "operating-system",
                "Linux Kernel 5.15.0-91-generic on Ubuntu 22.04",
            ),
            ("host-fqdn", "host-\u{1}.example.test"),
            ("host-ip", "\u{1}"),
            ("HOST_START", "Mon Mar  3 10:31:51 2025"),
        ]
        .iter()
        .map(|(name, value)| format!("<tag name=\"{name}\">{value}</tag>\n"))
        .collect();
        Self {
            items: plugins().iter().map(item).collect(),
            properties: Template::new(&format!(
                "<ReportHost name=\"\u{1}\"><HostProperties>\n{properties}</HostProperties>\n"
            )),
        }
    }
}

fn item(plugin: &Plugin) -> Template {
    let (port, service, protocol) = plugin.service;
    let name = xml(&plugin.name);
    let mut text = format!(
        "<ReportItem port=\"{port}\" svc_name=\"{service}\" protocol=\"{protocol}\" severity=\"{}\" \
         pluginID=\"{}\" pluginName=\"{name}\" pluginFamily=\"{}\">\n",
        plugin.severity, plugin.id, plugin.family,
    );
    let mut tag = |name: &str, value: &str| {
        text.push_str(&format!("<{name}>{}</{name}>\n", xml(value)));
    };
    tag("agent", "all");
    if let Some(vector) = plugin.vector {
        for cve in &plugin.cves {
            tag("cve", cve);
        }
        tag("cvss3_base_score", "7.5");
        tag("cvss3_temporal_score", "6.5");
        tag("cvss3_temporal_vector", "CVSS:3.0/E:U/RL:O/RC:C");
        tag("cvss3_vector", vector);
        tag("cvss_base_score", "5.0");
        tag("cvss_score_source", &plugin.cves[0]);
        tag("cvss_vector", "CVSS2#AV:N/AC:L/Au:N/C:P/I:N/A:N");
        tag("cwe", "200");
        tag("exploit_available", "false");
        tag("exploitability_ease", "No known exploits are available");
    }
    tag("description", &plugin.description);
    tag("fname", "example_detect.nasl");
    tag("plugin_modification_date", "2024/11/22");
    tag("plugin_name", &plugin.name);
    tag("plugin_publication_date", "2019/02/05");
    tag("plugin_type", "remote");
    tag(
        "risk_factor",
        ["None", "Low", "Medium", "High", "Critical"]
            [usize::try_from(plugin.severity).unwrap_or(0)],
    );
    tag("script_version", "1.118");
    tag("see_also", &plugin.see_also);
    tag("solution", &plugin.solution);
    tag("synopsis", &plugin.synopsis);
    tag("vpr_score", "4.4");
    tag("xref", "IAVA:2024-A-0001");
    tag("xref", "CWE:200");
    if !plugin.output.is_empty() {
        tag("plugin_output", &plugin.output);
    }
    text.push_str("</ReportItem>\n");
    Template::new(&text)
}

impl Parts for Xml {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"<?xml version=\"1.0\" ?>\n<NessusClientData_v2>\n<Policy><policyName>Weekly</policyName>\n\
              <Preferences><ServerPreferences>\n",
        );
        let plugins: String = (0..20_000).map(|id| format!("{};", 10_000 + id)).collect();
        let preference = format!(
            "<preference><name>plugin_set</name>\n<value>{plugins}</value>\n</preference>\n"
        );
        out.extend_from_slice(preference.as_bytes());
        out.extend_from_slice(
            b"</ServerPreferences></Preferences></Policy>\n\
              <Report name=\"Weekly\" xmlns:cm=\"http://www.nessus.org/cm\">\n",
        );
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        let address = address(number);
        self.properties.fill(&[&address, &number, &address], out);
        for plugin in of_host(number) {
            self.items[plugin].fill(&[&address, &number], out);
        }
        out.extend_from_slice(b"</ReportHost>\n");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</Report>\n</NessusClientData_v2>\n");
    }
}

pub struct Csv {
    rows: Vec<Template>,
}

impl Csv {
    pub fn new() -> Self {
        Self {
            rows: plugins().iter().map(row).collect(),
        }
    }
}

/// One row for each CVE, as Nessus writes them.
fn row(plugin: &Plugin) -> Template {
    let (port, _, protocol) = plugin.service;
    let risk = ["None", "Low", "Medium", "High", "Critical"]
        [usize::try_from(plugin.severity).unwrap_or(0)];
    let (v2, v3) = if plugin.severity > 0 {
        ("5.0", "7.5")
    } else {
        ("", "")
    };
    let cves = if plugin.cves.is_empty() {
        vec![String::new()]
    } else {
        plugin.cves.clone()
    };
    let rows = cves.iter().map(|cve| {
        let output = csv(&plugin.output);
        format!(
            "\"{}\",\"{cve}\",\"{v2}\",\"{risk}\",\"\u{1}\",\"{protocol}\",\"{port}\",{},{},{},{},{},{},\"{v3}\",\"{risk}\",\"\",\
             \"2019/02/05\",\"2024/11/22\",\"\",\"\",\"\"\n",
            plugin.id,
            csv(&plugin.name),
            csv(&plugin.synopsis),
            csv(&plugin.description),
            csv(&plugin.solution),
            csv(&plugin.see_also),
            output.replace('\u{1}', "10.0.0.1"),
        )
    });
    Template::new(&rows.collect::<String>())
}

impl Parts for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"Plugin ID,CVE,CVSS v2.0 Base Score,Risk,Host,Protocol,Port,Name,Synopsis,Description,Solution,See Also,\
              Plugin Output,CVSS v3.0 Base Score,Risk Factor,XREF,Plugin Publication Date,Plugin Modification Date,\
              Metasploit,Core Impact,CANVAS\n",
        );
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        let address = address(number);
        for plugin in of_host(number) {
            self.rows[plugin].fill(&[&address; 4].map(|a| a as &dyn std::fmt::Display), out);
        }
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
