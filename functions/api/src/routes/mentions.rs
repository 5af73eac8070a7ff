//! Who is named in a note, and is told of it.

use tatami_auth::{Permission, Place, Rights};
use tatami_domain::{Product, User, UserId};
use tatami_store::Store;

use crate::auth::rights;
use crate::error::Result;

/// A text names so many users at most; more are not told.
const MAX_NAMED: usize = 50;

/// May a user see a place?
pub async fn may_see(store: &Store, user: &User, place: Place) -> Result<bool> {
    if !user.is_active {
        return Ok(false);
    }
    let rights = rights(store, user, None).await?;
    let product_type = match place.product().filter(|_| rights.ask_for_types()) {
        Some(product) => Some(store.get::<Product>(product).await?.prod_type),
        None => None,
    };
    Ok(Rights::at(&rights, place, product_type).contains(Permission::ViewProducts))
}

/// The users whom a text names by `@username` and who may see the place that it's about, its author left out.
pub async fn mentioned(
    store: &Store,
    author: UserId,
    place: Place,
    text: &str,
) -> Result<Vec<UserId>> {
    let mut users = Vec::new();
    for name in names(text) {
        let Some(user) = by_name(store, name).await? else {
            continue;
        };
        let new = user.id != author && !users.contains(&user.id);
        if new && may_see(store, &user, place).await? {
            users.push(user.id);
        }
    }
    Ok(users)
}

/// The user of a name; what ends a sentence may be part of it or not.
async fn by_name(store: &Store, name: &str) -> Result<Option<User>> {
    let mut name = name;
    loop {
        if let Some(user) = store.find::<User>(name).await? {
            return Ok(Some(user));
        }
        match name.strip_suffix(['.', '-', '+', '_']) {
            Some(shorter) if !shorter.is_empty() => name = shorter,
            _ => return Ok(None),
        }
    }
}

/// What stands behind each `@` that isn't inside a word.
fn names(text: &str) -> Vec<&str> {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let mut names = Vec::new();
    for (at, _) in text.match_indices('@') {
        let before = text[..at].chars().next_back();
        if before.is_some_and(in_name) {
            continue; // an address
        }
        let rest = &text[at + 1..];
        let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        if !name.is_empty() && !names.contains(&name) && names.len() < MAX_NAMED {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_stand_behind_an_at_sign_that_begins_a_word() {
        for (text, wanted) in [
            ("@ada, see this; cc @bob.", &["ada", "bob."][..]),
            ("(@ada)\n@ada @grace-h", &["ada", "grace-h"]),
            ("mail ada@example.com or @", &[]),
            ("@@ada @Zoë!", &["ada", "Zoë"]),
        ] {
            assert_eq!(names(text), wanted, "{text}");
        }
        let many: Vec<String> = (0..60).map(|n| format!("@u{n}")).collect();
        assert_eq!(names(&many.join(" ")).len(), 50);
    }
}
