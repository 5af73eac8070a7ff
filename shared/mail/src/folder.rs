//! Mails as files, for a stack on one machine that has no mail server.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::{Mail, MailError, Mailbox};

/// A folder that takes each mail as `<message id>.eml`.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) from: Mailbox,
}

impl Folder {
    /// Writes a mail; answers with the path of its file. A second copy of it takes the place of the first.
    pub(crate) async fn send(&self, mail: &Mail, mime: &[u8]) -> Result<String, MailError> {
        // to_mime has seen that the id is fit for the name of a file
        let file = self.path.join(format!("{}.eml", mail.message_id));
        let written = self.write(&file, mime).await;
        written.map_err(|error| self.fault(&error))?;
        tracing::info!(to = mail.to.address(), file = %file.display(), "a mail was written");
        Ok(file.display().to_string())
    }

    /// Makes the folder where it is missing.
    pub(crate) async fn test(&self) -> Result<(), MailError> {
        let made = fs::create_dir_all(&self.path).await;
        made.map_err(|error| self.fault(&error))
    }

    async fn write(&self, file: &Path, mime: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.path).await?;
        let unfinished = file.with_extension("eml.part");
        fs::write(&unfinished, mime).await?;
        fs::rename(&unfinished, file).await
    }

    fn fault(&self, error: &io::Error) -> MailError {
        MailError::setup(&format!("the folder {}: {error}", self.path.display()))
    }
}
