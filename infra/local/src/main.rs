//! The command `tatami`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use mimalloc::MiMalloc;

mod client;
mod commands;
mod demo;
mod serve;
mod table;

/// Findings are many small pieces of memory that live long; this keeps them close together.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Exit code of `parse` for a report that isn't read.
const REFUSED: u8 = 2;

/// Vulnerability management: scanners' reports in, deduplicated findings out.
///
/// Without a command it serves, as `tatami serve` does.
#[derive(Parser)]
#[command(name = "tatami", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Run all of Tatami on this machine
    Serve(ServeArgs),
    /// Run all of Tatami on this machine and import sample reports
    Demo(DemoArgs),
    /// Send reports to a Tatami and show what became of them
    Import(Box<commands::import::ImportArgs>),
    /// List the imports of a Tatami, or show one of them
    Imports(commands::imports::ImportsArgs),
    /// Read a report and print its findings as JSON; needs no server
    Parse(commands::parse::ParseArgs),
    /// List the scan types
    Scanners(commands::scanners::ScannersArgs),
    /// List the findings of a Tatami
    Findings(commands::findings::FindingsArgs),
    /// Count the findings of a Tatami, and how fast they are fixed
    Metrics(commands::metrics::MetricsArgs),
    /// List the findings of a Tatami that are past their due day
    Sla(commands::sla::SlaArgs),
    /// Accept the risk of findings
    Accept(commands::acceptances::AcceptArgs),
    /// List the risk acceptances of a Tatami
    Acceptances(commands::acceptances::AcceptancesArgs),
    /// Send test messages, and see to those that were not delivered
    Notify(commands::notify::NotifyArgs),
    /// Bring findings into JIRA, and see how it stands with it
    Jira(commands::jira::JiraArgs),
    /// Verify or export the audit log of a Tatami
    Audit(commands::audit::AuditArgs),
    /// What an operator does without signing in
    Admin(commands::admin::AdminArgs),
}

#[derive(Args)]
struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder that everything is kept in
    #[arg(long, value_name = "DIR", default_value = ".tatami")]
    data: PathBuf,
}

#[derive(Args)]
struct DemoArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Stop when the findings are shown
    #[arg(long)]
    once: bool,
}

impl From<ServeArgs> for serve::Options {
    fn from(args: ServeArgs) -> Self {
        Self {
            listen: args.listen,
            data: args.data,
        }
    }
}

fn main() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    let done = ExitCode::SUCCESS;
    let command = command.unwrap_or(Command::Serve(serve));
    if matches!(command, Command::Serve(_) | Command::Demo(_)) {
        serve::share_memory();
    }
    let (result, failed) = match command {
        Command::Serve(args) => (block_on(serve::run(args.into())), ExitCode::FAILURE),
        Command::Demo(DemoArgs { serve, once }) => {
            (block_on(demo::run(serve.into(), once)), ExitCode::FAILURE)
        }
        Command::Import(args) => match commands::import::run(&args) {
            // each failure has been told already
            Ok(false) => return ExitCode::FAILURE,
            other => (other.map(drop), ExitCode::FAILURE),
        },
        Command::Parse(args) => (commands::parse::run(&args), ExitCode::from(REFUSED)),
        Command::Scanners(args) => (commands::scanners::run(&args), ExitCode::FAILURE),
        Command::Imports(args) => (commands::imports::run(&args), ExitCode::FAILURE),
        Command::Findings(args) => (commands::findings::run(&args), ExitCode::FAILURE),
        Command::Metrics(args) => (commands::metrics::run(&args), ExitCode::FAILURE),
        Command::Sla(args) => (commands::sla::run(&args), ExitCode::FAILURE),
        Command::Accept(args) => (commands::acceptances::accept(&args), ExitCode::FAILURE),
        Command::Acceptances(args) => (commands::acceptances::list(&args), ExitCode::FAILURE),
        Command::Notify(args) => (commands::notify::run(&args), ExitCode::FAILURE),
        Command::Jira(args) => (commands::jira::run(&args), ExitCode::FAILURE),
        Command::Audit(args) => (commands::audit::run(&args), ExitCode::FAILURE),
        Command::Admin(args) => (
            block_on(async move { commands::admin::run(&args).await }),
            ExitCode::FAILURE,
        ),
    };
    match result {
        Ok(()) => done,
        Err(error) if table::is_broken_pipe(&error) => done,
        Err(error) => {
            eprintln!("error: {error:#}");
            failed
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(work)
}
