//! Reading one report: the scanner runs on a thread of its own and reads the object as it arrives;
//! packs of texts leave for S3 while it goes on. What stays in memory is the compact findings.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use tatami_blobs::{BlobError, Blobs, PACK_BYTES, PACK_TEXTS, pack_key, size_of_texts};
use tatami_dedup_rules::{hashes, trace};
use tatami_domain::{
    EndpointId, ImportError, ImportId, ImportWarning, MAX_IMPORT_WARNINGS, ReportFinding,
    ReportTest, ResolvedDedupe, Severity, TextRef, Texts,
};
use tatami_queue::Reported;
use tatami_scanners::{
    DetectError, Refusal, Report, Scanner, Sink, Stop, Warning, by_scan_type, detect,
};
use tatami_store::StoreError;
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::SyncIoBridge;

use crate::compact::Common;
use crate::known::Known;
use crate::replay::Replay;

/// How many packs may wait to be written.
const PACKS_WAITING: usize = 2;

/// Findings of a whole report. Each is a box of its own, so that growing and sorting move pointers and
/// a part that is sent is freed at once.
#[allow(clippy::vec_box, reason = "a finding takes most of a kilobyte")]
pub type Findings = Vec<Box<Reported>>;

/// What a report holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The findings that the store has to hear of, without ids. Where no test is known yet, their keys
    /// are only their hashes.
    pub findings: Findings,
    /// What they were held against.
    pub against: Against,
    /// How many there were with those below the minimum severity.
    pub total: u64,
    /// How many were left out as below the minimum severity.
    pub below_minimum: u64,
    /// The first records that could not be read.
    pub warnings: Vec<ImportWarning>,
    /// How many could not be read.
    pub warnings_total: u64,
    /// The endpoints of the findings.
    pub endpoints: Endpoints,
    /// What the report says of its own test.
    pub test: Option<ReportTest>,
    /// By which settings the hashes were computed.
    pub settings: ResolvedDedupe,
}

/// The texts of endpoints, each once. Findings have their numbers, from 1, until they get their ids.
#[derive(Debug, Default)]
pub struct Endpoints {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, EndpointId>,
}

impl Endpoints {
    /// The number of a text.
    fn number(&mut self, text: &str) -> EndpointId {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        let number = EndpointId(self.texts.len() as u64);
        self.numbers.insert(text, number);
        number
    }

    /// The texts by their numbers.
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }
}

/// What the findings of a report are held against while it is read.
#[derive(Debug, Default)]
pub enum Against {
    /// Nothing: each goes into the store.
    #[default]
    Nothing,
    /// What the test has.
    Test(Known),
    /// What an earlier import made of the same report.
    Replay(Replay),
}

/// How a reading begins.
#[derive(Debug, Default)]
pub struct Begun {
    /// What its findings are to be held against.
    pub against: Against,
    /// By which settings its findings are recognised.
    pub settings: ResolvedDedupe,
    /// Its own number: another reading of the same report may find other texts to keep, and must not
    /// write over those that stored findings name.
    pub reading: u64,
}

/// Each reading numbers its packs from a multiple of this.
const PACKS: u64 = 100_000;

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The report is at fault; another try will not help.
    #[error("{}", .0.message)]
    Refused(ImportError),
    /// S3 is at fault.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// DynamoDB is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reading broke off.
    #[error("reading broke off: {0}")]
    BrokeOff(String),
}

/// Which report is to be read.
#[derive(Debug)]
pub struct Order {
    /// Its import.
    pub import: ImportId,
    /// Its file name.
    pub name: String,
    /// Its scan type, where that isn't to be detected.
    pub scan_type: Option<String>,
    /// What each of its findings gets.
    pub common: Common,
    /// Are the long texts kept?
    pub packs: bool,
}

/// Reads a report. `begin` is called as soon as its scanner is known, and says what its findings are to
/// be held against.
pub async fn read<B: Future<Output = Result<Begun, StoreError>>>(
    blobs: &Blobs,
    order: Order,
    body: impl AsyncRead + Send + Unpin + 'static,
    begin: impl FnOnce(&'static Scanner) -> B,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let (packs, mut waiting) = mpsc::channel::<(u64, Vec<Texts>)>(PACKS_WAITING);
    let (chosen, scanner) = oneshot::channel();
    let (tell, told) = oneshot::channel();
    let import = order.import;
    let runtime = tokio::runtime::Handle::current();
    let reading = tokio::task::spawn_blocking(move || {
        let source = Faults {
            source: SyncIoBridge::new_with_handle(body, runtime),
            fault: None,
        };
        let start = Start {
            chosen,
            begun: told,
        };
        parse(source, order, start, packs)
    });
    let starting = async move {
        if let Ok(scanner) = scanner.await {
            // Nobody listens where the reading has broken off; that tells the reason itself.
            let _ = tell.send(begin(scanner).await?);
        }
        Ok::<_, StoreError>(())
    };
    // Takes the receiver with it: a reader that still wants to write after a failure is let go.
    let storing = async move {
        while let Some((n, texts)) = waiting.recv().await {
            blobs.put_pack(import, n, &texts).await?;
        }
        Ok::<_, BlobError>(())
    };
    let (read, stored, started) = tokio::join!(reading, storing, starting);
    started?;
    stored?;
    match read {
        Ok(result) => result,
        Err(error) => Err(ReadError::BrokeOff(error.to_string())),
    }
}

/// Keeps the fault of the connection apart from what the scanner makes of it.
struct Faults<R> {
    source: R,
    fault: Option<String>,
}

impl<R: Read> Read for Faults<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.source.read(buf);
        if let Err(error) = &got
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.fault = Some(error.to_string());
        }
        got
    }
}

/// The agreement with `begin`: it's told the scanner, and tells what to hold the findings against.
struct Start {
    chosen: oneshot::Sender<&'static Scanner>,
    begun: oneshot::Receiver<Begun>,
}

fn parse<R: Read>(
    mut source: Faults<R>,
    order: Order,
    start: Start,
    packs: mpsc::Sender<(u64, Vec<Texts>)>,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let parsed = scan(&mut source, order, start, packs);
    match source.fault {
        // a lost connection looks like a truncated report: it isn't one
        Some(fault) => Err(ReadError::BrokeOff(fault)),
        None => parsed,
    }
}

fn scan(
    source: impl Read,
    order: Order,
    start: Start,
    packs: mpsc::Sender<(u64, Vec<Texts>)>,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let broke_off = |what: &str| ReadError::BrokeOff(what.to_owned());
    let report = Report::new(order.name, source).map_err(|e| broke_off(&e.to_string()))?;
    let scanner = match &order.scan_type {
        Some(name) => by_scan_type(name).ok_or_else(|| {
            refused(
                Refusal::new(format!("there is no scan type \"{name}\""))
                    .hint("leave it out to have it detected"),
            )
        })?,
        None => detect(&report).map_err(|error| {
            let hint = match error {
                DetectError::Empty => "upload the report again",
                DetectError::Unknown | DetectError::Ambiguous(_) => "send it with its scan_type",
            };
            refused(Refusal::new(error.to_string()).hint(hint))
        })?,
    };
    let _ = start.chosen.send(scanner);
    let begun = start.begun.blocking_recv();
    let Begun {
        against,
        settings,
        reading,
    } = begun.map_err(|_| broke_off("what the test holds cannot be read"))?;
    let mut keeper = Keeper {
        import: order.import,
        common: order.common,
        packs,
        pack: reading * PACKS,
        texts: Vec::new(),
        bytes: 0,
        contents: Contents {
            against,
            settings,
            ..Contents::default()
        },
        keeps_texts: order.packs,
        stopped: false,
        fault: None,
    };
    let parsed = scanner.parse(report, &mut keeper);
    if let Some(fault) = keeper.fault {
        return Err(fault.into());
    }
    if keeper.stopped {
        return Err(broke_off("the text packs cannot be written"));
    }
    parsed.map_err(refused)?;
    keeper.flush().map_err(|stop| ReadError::BrokeOff(stop.0))?;
    Ok((scanner, keeper.contents))
}

fn refused(refusal: Refusal) -> ReadError {
    ReadError::Refused(ImportError {
        message: refusal.message,
        line: refusal.position.map(|p| p.line).filter(|n| *n > 0),
        column: refusal.position.map(|p| p.column).filter(|n| *n > 0),
        hint: refusal.hint,
    })
}

/// Keeps the compact findings and lets the texts go.
struct Keeper {
    import: ImportId,
    common: Common,
    packs: mpsc::Sender<(u64, Vec<Texts>)>,
    pack: u64,
    texts: Vec<Texts>,
    bytes: usize,
    contents: Contents,
    keeps_texts: bool,
    stopped: bool,
    fault: Option<BlobError>,
}

impl Keeper {
    fn flush(&mut self) -> Result<(), Stop> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let texts = std::mem::take(&mut self.texts);
        self.bytes = 0;
        let sent = self.packs.blocking_send((self.pack, texts));
        self.pack += 1;
        sent.map_err(|_| {
            self.stopped = true;
            Stop("the text packs cannot be written".into())
        })
    }
}

impl Sink for Keeper {
    fn finding(&mut self, mut finding: ReportFinding) -> Result<(), Stop> {
        self.contents.total += 1;
        let minimum = self
            .common
            .options
            .minimum_severity
            .unwrap_or(Severity::Info);
        if finding.severity > minimum {
            self.contents.below_minimum += 1;
            return Ok(());
        }
        self.common.apply(&mut finding);
        let hashes = hashes(&finding, &self.contents.settings);
        let trace = trace(&finding);
        let (mut stored, texts) = self.common.split(finding);
        stored.keys = vec![hashes.key];
        stored.hash_code = hashes.compatible;
        stored.trace = trace;
        stored.import = Some(self.import);
        if self.common.options.apply_tags_to_endpoints {
            // also of findings that are as they were
            for text in stored.all_endpoints(&texts) {
                self.contents.endpoints.number(text);
            }
        }
        let stored = Box::new(stored);
        let reported = match &mut self.contents.against {
            Against::Nothing => Some(Box::new(Reported::from(*stored))),
            Against::Test(known) => known.hold(stored),
            Against::Replay(replay) => replay.hold(stored, &texts).map_err(|fault| {
                let stop = Stop(fault.to_string());
                self.fault = Some(fault);
                stop
            })?,
        };
        let Some(mut reported) = reported else {
            return Ok(()); // just as it is in the store
        };
        let endpoints = &mut self.contents.endpoints;
        let urls = reported.finding.all_endpoints(&texts).iter();
        reported.finding.endpoint_ids = urls.map(|text| endpoints.number(text)).collect();
        if !self.keeps_texts {
            self.contents.findings.push(reported);
            return Ok(());
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        reported.finding.texts = Some(TextRef(pack_key(self.import, self.pack), place));
        self.bytes += size_of_texts(&texts);
        self.texts.push(texts);
        self.contents.findings.push(reported);
        if self.bytes >= PACK_BYTES || self.texts.len() >= PACK_TEXTS {
            self.flush()?;
        }
        Ok(())
    }

    fn warning(&mut self, warning: Warning) {
        self.contents.warnings_total += 1;
        if self.contents.warnings.len() < MAX_IMPORT_WARNINGS {
            self.contents.warnings.push(ImportWarning {
                record: warning.record,
                message: warning.message,
            });
        }
    }

    fn test(&mut self, test: ReportTest) {
        self.contents.test = Some(test);
    }
}
