//! Sessions of browsers, which are kept as tokens of their users.

use tatami_domain::{Token, User, UserId};

use crate::{Entity as _, Result, Store};

impl Store {
    /// Ends every session of a user.
    pub async fn end_sessions(&self, user: UserId) -> Result<()> {
        let tokens: Vec<Token> = self.children(User::KIND, user.0).await?;
        for session in tokens.into_iter().filter(|token| token.session) {
            match self.delete::<Token>(session.id).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
