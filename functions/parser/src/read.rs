//! Reading one report: the scanner runs on a thread of its own and reads the object as it arrives;
//! packs of texts leave for S3 while it goes on. What stays in memory is the compact findings.

use std::io::{self, Read};

use tatami_blobs::{BlobError, Blobs, PACK_BYTES, PACK_TEXTS, pack_key, size_of_texts};
use tatami_dedup_rules::hashes;
use tatami_domain::{
    DedupeLevels, Finding, ImportError, ImportId, ImportWarning, MAX_IMPORT_WARNINGS,
    ReportFinding, ReportTest, ResolvedDedupe, Severity, TextRef, Texts,
};
use tatami_scanners::{
    DetectError, Refusal, Report, Scanner, Sink, Stop, Warning, by_scan_type, detect,
};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use crate::compact::Common;

/// How many packs may wait to be written.
const PACKS_WAITING: usize = 2;

/// Findings of a whole report. Each is a box of its own, so that growing and sorting move pointers and
/// a part that is sent is freed at once.
#[allow(clippy::vec_box, reason = "a finding takes most of a kilobyte")]
pub type Findings = Vec<Box<Finding>>;

/// What a report holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The findings, with the hash key in `keys` and no ids yet.
    pub findings: Findings,
    /// How many there were with those below the minimum severity.
    pub total: u64,
    /// How many were left out as below the minimum severity.
    pub below_minimum: u64,
    /// The first records that could not be read.
    pub warnings: Vec<ImportWarning>,
    /// How many could not be read.
    pub warnings_total: u64,
    /// What the report says of its own test.
    pub test: Option<ReportTest>,
    /// By which settings the hashes were computed.
    pub settings: ResolvedDedupe,
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The report is at fault; another try will not help.
    #[error("{}", .0.message)]
    Refused(ImportError),
    /// S3 is at fault.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The reading broke off.
    #[error("reading broke off: {0}")]
    BrokeOff(String),
}

/// Reads a report of the named scan type (detected where there is none).
pub async fn read(
    blobs: &Blobs,
    import: ImportId,
    name: String,
    body: impl AsyncRead + Send + Unpin + 'static,
    scan_type: Option<String>,
    common: Common,
    levels: DedupeLevels,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let (packs, mut waiting) = mpsc::channel::<(u32, Vec<Texts>)>(PACKS_WAITING);
    let runtime = tokio::runtime::Handle::current();
    let reading = tokio::task::spawn_blocking(move || {
        let source = Faults {
            source: SyncIoBridge::new_with_handle(body, runtime),
            fault: None,
        };
        let name = Named {
            import,
            name,
            scan_type,
        };
        parse(source, name, common, &levels, packs)
    });
    // Takes the receiver with it: a reader that still wants to write after a failure is let go.
    let storing = async move {
        while let Some((n, texts)) = waiting.recv().await {
            blobs.put_pack(import, n, &texts).await?;
        }
        Ok::<_, BlobError>(())
    };
    let (read, stored) = tokio::join!(reading, storing);
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

/// What is known of a report before it's read.
struct Named {
    import: ImportId,
    name: String,
    scan_type: Option<String>,
}

fn parse<R: Read>(
    mut source: Faults<R>,
    named: Named,
    common: Common,
    levels: &DedupeLevels,
    packs: mpsc::Sender<(u32, Vec<Texts>)>,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let parsed = scan(&mut source, named, common, levels, packs);
    match source.fault {
        // a lost connection looks like a truncated report: it isn't one
        Some(fault) => Err(ReadError::BrokeOff(fault)),
        None => parsed,
    }
}

fn scan(
    source: impl Read,
    named: Named,
    common: Common,
    levels: &DedupeLevels,
    packs: mpsc::Sender<(u32, Vec<Texts>)>,
) -> Result<(&'static Scanner, Contents), ReadError> {
    let Named {
        import,
        name,
        scan_type,
    } = named;
    let report = Report::new(name, source).map_err(|e| ReadError::BrokeOff(e.to_string()))?;
    let scanner = match scan_type.as_deref() {
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
    let mut keeper = Keeper {
        import,
        common,
        packs,
        pack: 0,
        texts: Vec::new(),
        bytes: 0,
        contents: Contents {
            settings: levels.resolve(&scanner.dedupe, scanner.scan_type),
            ..Contents::default()
        },
        stopped: false,
    };
    let parsed = scanner.parse(report, &mut keeper);
    if keeper.stopped {
        return Err(ReadError::BrokeOff(
            "the text packs cannot be written".into(),
        ));
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
    packs: mpsc::Sender<(u32, Vec<Texts>)>,
    pack: u32,
    texts: Vec<Texts>,
    bytes: usize,
    contents: Contents,
    stopped: bool,
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
        let (mut stored, texts) = self.common.split(finding);
        stored.keys = vec![hashes.key];
        stored.hash_code = hashes.compatible;
        stored.import = Some(self.import);
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        stored.texts = Some(TextRef(pack_key(self.import, self.pack), place));
        self.bytes += size_of_texts(&texts);
        self.texts.push(texts);
        self.contents.findings.push(Box::new(stored));
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
