//! ZAP: alerts with the places they were seen at, and their HTTP messages.

use super::Parts;
use super::text::{Template, Words, xml};

const ALERTS: u64 = 60;
const PLACES: u64 = 6;

pub struct Site {
    alerts: Vec<Template>,
    places: Vec<Template>,
    tails: Vec<Template>,
}

impl Site {
    pub fn new() -> Self {
        Self {
            alerts: (0..ALERTS).map(alert).collect(),
            places: (0..ALERTS).map(place).collect(),
            tails: (0..ALERTS).map(tail).collect(),
        }
    }
}

fn paragraphs(words: &mut Words, count: u64) -> String {
    let html: String = (0..count)
        .map(|_| format!("<p>{}</p>", words.paragraphs(180).replace('\n', " ")))
        .collect();
    xml(&html)
}

fn alert(number: u64) -> Template {
    let mut words = Words::new(number + 3);
    let name = words.words(5);
    let risk = number % 4;
    Template::new(&format!(
        "        <alertitem>\n          <pluginid>{id}</pluginid>\n          <alertRef>{id}</alertRef>\n          \
         <alert>{name} \u{1}</alert>\n          <name>{name} \u{1}</name>\n          <riskcode>{risk}</riskcode>\n          \
         <confidence>2</confidence>\n          <riskdesc>{} (Medium)</riskdesc>\n          \
         <confidencedesc>Medium</confidencedesc>\n          <desc>{}</desc>\n          <instances>\n",
        ["Informational", "Low", "Medium", "High"][usize::try_from(risk).unwrap_or(0)],
        paragraphs(&mut words, 2),
        id = 10_010 + number,
    ))
}

fn place(number: u64) -> Template {
    let mut words = Words::new(number + 11);
    let body = format!(
        "<html><body><h1>{}</h1>{}</body></html>",
        words.words(3),
        words.paragraphs(700)
    );
    Template::new(&format!(
        "            <instance>\n              <uri>https://shop.example.test/{path}/\u{1}?page=\u{1}</uri>\n              \
         <method>GET</method>\n              <param>page</param>\n              <attack></attack>\n              \
         <evidence>{evidence}</evidence>\n              <otherinfo></otherinfo>\n              \
         <requestheader>GET https://shop.example.test/{path}/\u{1}?page=\u{1} HTTP/1.1\nhost: shop.example.test\n\
         user-agent: Mozilla/5.0\npragma: no-cache\n</requestheader>\n              <requestbody></requestbody>\n              \
         <responseheader>HTTP/1.1 200 OK\ncontent-type: text/html; charset=UTF-8\nserver: nginx\n</responseheader>\n              \
         <responsebody>{body}</responsebody>\n            </instance>\n",
        path = words.words(2).replace(' ', "/").to_lowercase(),
        evidence = xml("<form action=\"/search\">"),
        body = xml(&body),
    ))
}

fn tail(number: u64) -> Template {
    let mut words = Words::new(number + 17);
    let links = (0..3).map(|at| format!("<p>https://docs.example.test/{number}/{at}</p>"));
    Template::new(&format!(
        "          </instances>\n          <count>{PLACES}</count>\n          <solution>{}</solution>\n          \
         <otherinfo>{}</otherinfo>\n          <reference>{}</reference>\n          <cweid>{}</cweid>\n          \
         <wascid>15</wascid>\n          <sourceid>4</sourceid>\n        </alertitem>\n",
        paragraphs(&mut words, 1),
        paragraphs(&mut words, 1),
        xml(&links.collect::<String>()),
        20 + number,
    ))
}

impl Parts for Site {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"<?xml version=\"1.0\"?>\n<OWASPZAPReport programName=\"ZAP\" version=\"2.16.0\" \
              generated=\"Mon, 3 Mar 2025 09:30:00\">\n    <site name=\"https://shop.example.test\" \
              host=\"shop.example.test\" port=\"443\" ssl=\"true\">\n      <alerts>\n",
        );
    }

    fn record(&mut self, number: u64, out: &mut Vec<u8>) {
        let text = usize::try_from(number % ALERTS).unwrap_or(0);
        self.alerts[text].fill(&[&number, &number], out);
        for at in 0..PLACES {
            let id = number * PLACES + at;
            self.places[text].fill(&[&id, &at, &id, &at], out);
        }
        self.tails[text].fill(&[], out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"      </alerts>\n    </site>\n</OWASPZAPReport>\n");
    }
}
