//! One SQLite connection on a thread of its own, with group commit.
//!
//! Everything that waits while a transaction commits goes into the next one together, so that many
//! small requests cost few commits. Each piece of work runs in a savepoint: one that fails takes
//! nothing of the others with it. The caller hears back only after the commit, so whatever was
//! answered survives `kill -9`.

use std::path::Path;
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::oneshot;

/// Most pieces of work that share one transaction.
const MAX_GROUP: usize = 256;
/// Prepared statements that are kept.
const STATEMENTS: usize = 64;

/// A failure of the database itself.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// SQLite refused a statement.
    #[error("database error: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction could not be committed.
    #[error("database commit failed: {0}")]
    Commit(String),
    /// The database thread has ended.
    #[error("database is closed")]
    Closed,
}

/// Called once with the outcome of the commit.
type Answer = Box<dyn FnOnce(Option<&str>) + Send>;
type Work = Box<dyn FnOnce(&Connection) -> Answer + Send>;

/// A handle on the database thread; the thread ends with the last handle.
#[derive(Debug, Clone)]
pub struct Db {
    work: mpsc::Sender<Work>,
}

impl Db {
    /// Opens or creates the database and applies `schema`, which must be idempotent.
    pub fn open(path: &Path, schema: &str) -> Result<Self, DbError> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA busy_timeout = 5000;
             PRAGMA cache_size = -2000;
             PRAGMA journal_size_limit = 8388608;",
        )?;
        connection.execute_batch(schema)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let (work, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name("local-aws-db".into())
            .spawn(move || serve(&connection, &queue))
            .map_err(|_| DbError::Closed)?;
        Ok(Self { work })
    }

    /// Runs `work` on the database thread and answers once its effects are committed.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            if reply.is_closed() {
                // The caller has given up: a cancelled receive must not take messages.
                return Box::new(|_| ());
            }
            let result = in_savepoint(connection, work);
            Box::new(move |failure| {
                let result = match failure {
                    Some(message) => Err(DbError::Commit(message.to_owned()).into()),
                    None => result,
                };
                // The caller may have gone away; its work is done all the same.
                let _ = reply.send(result);
            })
        });
        self.work.send(work).map_err(|_| DbError::Closed)?;
        answer.await.map_err(|_| DbError::Closed)?
    }
}

fn in_savepoint<T, E: From<DbError>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let execute = |sql| {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map_err(DbError::from)
    };
    execute("SAVEPOINT work")?;
    let result = work(connection);
    if result.is_err() {
        execute("ROLLBACK TO work")?;
    }
    execute("RELEASE work")?;
    result
}

fn serve(connection: &Connection, queue: &mpsc::Receiver<Work>) {
    let mut answers: Vec<Answer> = Vec::new();
    while let Ok(first) = queue.recv() {
        let mut failure = connection.execute_batch("BEGIN IMMEDIATE").err();
        if failure.is_some() {
            tracing::error!(error = ?failure, "local database is not writable");
        }
        answers.push(first(connection));
        while answers.len() < MAX_GROUP
            && let Ok(next) = queue.try_recv()
        {
            answers.push(next(connection));
        }
        if failure.is_none()
            && let Err(error) = connection.execute_batch("COMMIT")
        {
            tracing::error!(%error, "local database could not commit");
            let _ = connection.execute_batch("ROLLBACK");
            failure = Some(error);
        }
        let failure = failure.map(|error| error.to_string());
        for answer in answers.drain(..) {
            answer(failure.as_deref());
        }
    }
}
