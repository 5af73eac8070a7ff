//! `tatami admin`: what an operator does who has access to the tables, and to nothing else.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tatami_local::tables;
use tatami_runtime::reset_password;

use crate::client::DEFAULT_URL;

#[derive(Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// Give a user a new password, which has to be changed at the first sign-in, and end their sessions
    ResetPassword(ResetArgs),
}

#[derive(Args)]
struct ResetArgs {
    /// Whose
    #[arg(value_name = "USERNAME", default_value = "admin")]
    username: String,
    /// The folder that everything is kept in, of a Tatami on this machine
    #[arg(long, value_name = "DIR", default_value = ".tatami")]
    data: PathBuf,
    /// Where it listens, if it runs
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// The catalog's table in AWS instead, with the credentials and region that the AWS command uses
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data", "url"])]
    table: Option<String>,
}

/// Does it.
pub async fn run(args: &AdminArgs) -> anyhow::Result<()> {
    let AdminCommand::ResetPassword(args) = &args.command;
    let tables = match &args.table {
        Some(table) => tables::in_aws(table).await,
        None => tables::here(&args.data, &args.url).await?,
    };
    let password = reset_password(&tables.store, &args.username).await?;
    let said = format!(
        "{} has the password {password} now (shown only now), and changes it at the first sign-in:\n  \
           POST /api/v2/change-password/ with username, password and new_password\n",
        args.username
    );
    std::io::stdout().write_all(said.as_bytes())?;
    tables.close().await.context("cannot close the folder")
}
