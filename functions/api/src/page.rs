//! Pages of lists: which part is asked for, its links, and the order.

use std::cmp::Ordering;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use serde::Serialize;

use crate::Api;
use crate::error::{ApiError, Result};
use crate::fields::Object;
use crate::query::Query;

/// How many results a page has where nobody says.
const DEFAULT_LIMIT: usize = 25;

/// Which part of a list is asked for, and from where.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The query string.
    pub query: Query,
    /// Where the page starts.
    pub offset: usize,
    /// How many results it has at most.
    pub limit: usize,
    /// The list's own absolute address, without its query.
    url: String,
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    count: usize,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<Object>,
}

impl<T> Page<T> {
    /// The page with what its results point to.
    #[must_use]
    pub fn with_prefetch(self, prefetch: Option<Object>) -> Self {
        Self { prefetch, ..self }
    }

    /// What is on it.
    pub fn results_mut(&mut self) -> &mut [T] {
        &mut self.results
    }
}

impl Listing {
    fn new(url: String, query: Query) -> Self {
        let number = |name: &str| query.get(name)?.trim().parse::<u32>().ok();
        Self {
            offset: number("offset").map_or(0, |n| n as usize),
            limit: match number("limit") {
                None | Some(0) => DEFAULT_LIMIT,
                Some(n) => n as usize,
            },
            url,
            query,
        }
    }

    /// Where the page ends in a list of `count`.
    pub fn end(&self, count: usize) -> usize {
        self.offset.saturating_add(self.limit).min(count)
    }

    /// The page of a list of `count` with these results.
    pub fn page<T>(&self, count: usize, results: Vec<T>) -> Page<T> {
        let end = self.offset.saturating_add(self.limit);
        Page {
            count,
            next: (end < count).then(|| self.link(end)),
            previous: (self.offset > 0).then(|| self.link(self.offset.saturating_sub(self.limit))),
            results,
            prefetch: None,
        }
    }

    /// The page out of a whole list.
    pub fn cut<T>(&self, all: Vec<T>) -> Page<T> {
        let count = all.len();
        let results = all.into_iter().skip(self.offset).take(self.limit).collect();
        self.page(count, results)
    }

    fn link(&self, offset: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self
            .query
            .pairs()
            .filter(|(name, _)| !matches!(*name, "limit" | "offset"));
        query.extend_pairs(kept);
        query.append_pair("limit", &self.limit.to_string());
        if offset > 0 {
            query.append_pair("offset", &offset.to_string());
        }
        format!("{}?{}", self.url, query.finish())
    }
}

/// The address by which the client reached us, such as `https://tatami.example`.
#[derive(Debug, Clone)]
pub struct Base(pub String);

impl FromRequestParts<Api> for Base {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        if let Some(url) = &api.services.settings.public_url {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let text = |name: &str| parts.headers.get(name)?.to_str().ok();
        let host = text(header::HOST.as_str())
            .or_else(|| parts.uri.host())
            .unwrap_or("localhost");
        let scheme = text("x-forwarded-proto")
            .and_then(|list| list.split(',').next())
            .or_else(|| parts.uri.scheme_str())
            .unwrap_or("http");
        Ok(Self(format!("{}://{host}", scheme.trim())))
    }
}

impl FromRequestParts<Api> for Listing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let Base(base) = Base::from_request_parts(parts, api).await?;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        Ok(Self::new(format!("{base}{}/", parts.uri.path()), query))
    }
}

/// The columns of `o=`, with whether each descends.
pub fn ordering<'q>(
    query: &'q Query,
    known: impl Fn(&str) -> bool,
) -> Result<Vec<(&'q str, bool)>> {
    let column = |text: &'q str| {
        let (name, down) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if known(name) {
            Ok((name, down))
        } else {
            Err(ApiError::field(
                "o",
                format!("\"{text}\" is not a column to order by"),
            ))
        }
    };
    query.all("o").into_iter().map(column).collect()
}

/// Compares values of which one may be missing; what is missing comes last.
pub fn missing_last<T: PartialOrd>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// The part of a list that a page needs, out of items that come one by one and in no order: no more of
/// them are held than that takes.
#[derive(Debug)]
pub struct Cut<'l, T, F> {
    listing: &'l Listing,
    compare: F,
    items: Vec<T>,
    count: usize,
}

impl<'l, T: Clone, F: FnMut(&T, &T) -> Ordering> Cut<'l, T, F> {
    /// So many items more than the page needs are held before some are let go.
    const SPARE: usize = 10_000;

    /// Of items in this order, which no two share a place in.
    pub fn new(listing: &'l Listing, compare: F) -> Self {
        let items = Vec::new();
        Self {
            listing,
            compare,
            items,
            count: 0,
        }
    }

    /// One more item.
    pub fn push(&mut self, item: &T) {
        self.count += 1;
        self.items.push(item.clone());
        let end = self.listing.end(usize::MAX);
        if end > 0 && self.items.len() >= end.saturating_add(end.max(Self::SPARE)) {
            (self.items).select_nth_unstable_by(end - 1, &mut self.compare);
            self.items.truncate(end);
        }
    }

    /// How many items there were, and those of the page in order.
    pub fn page(self) -> (usize, Vec<T>) {
        (
            self.count,
            cut_sorted(self.items, self.listing, self.compare),
        )
    }
}

/// Keeps the part of `items` that a page needs, in order: no more is sorted than is shown.
pub fn cut_sorted<T>(
    mut items: Vec<T>,
    listing: &Listing,
    mut compare: impl FnMut(&T, &T) -> Ordering,
) -> Vec<T> {
    let end = listing.end(items.len());
    if listing.offset >= end {
        return Vec::new();
    }
    if end < items.len() {
        items.select_nth_unstable_by(end - 1, &mut compare);
        items.truncate(end);
    }
    if listing.offset > 0 {
        items.select_nth_unstable_by(listing.offset, &mut compare);
        items.drain(..listing.offset);
    }
    items.sort_unstable_by(compare);
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &str) -> Listing {
        Listing::new(
            "https://t.example/api/v2/findings/".into(),
            Query::parse(query),
        )
    }

    #[test]
    fn links_keep_the_filters_and_end_with_null() {
        let page = listing("limit=2&severity=High&offset=2").page(5, vec![3, 4]);
        assert_eq!(
            page.next.as_deref(),
            Some("https://t.example/api/v2/findings/?severity=High&limit=2&offset=4")
        );
        assert_eq!(
            page.previous.as_deref(),
            Some("https://t.example/api/v2/findings/?severity=High&limit=2")
        );
        assert_eq!(listing("limit=5").page(5, vec![0; 5]).next, None);
        assert_eq!(listing("").cut((0..30).collect()).results.len(), 25);
    }

    #[test]
    fn an_offset_past_the_end_gives_an_empty_page_with_the_true_count() {
        let page = listing("offset=100").cut(vec![1, 2, 3]);
        assert_eq!((page.count, page.results.len(), page.next), (3, 0, None));
        assert_eq!(listing("limit=4294967295").cut(vec![1, 2]).results, [1, 2]);
    }

    #[test]
    fn only_what_a_page_shows_is_sorted_and_it_is_the_same_part() {
        let items: Vec<u64> = (0..500).map(|n| (n * 7919) % 499).collect();
        let mut sorted = items.clone();
        sorted.sort_unstable();
        for (limit, offset) in [(25, 0), (25, 480), (1000, 0), (10, 499), (3, 500), (7, 123)] {
            let listing = listing(&format!("limit={limit}&offset={offset}"));
            let page = cut_sorted(items.clone(), &listing, Ord::cmp);
            let end = (offset + limit).min(500);
            assert_eq!(page, sorted[offset.min(500)..end], "{limit} {offset}");
        }
    }

    #[test]
    fn only_known_columns_order() {
        let query = Query::parse("o=-severity,id");
        let known = |name: &str| ["severity", "id"].contains(&name);
        assert_eq!(
            ordering(&query, known).unwrap(),
            [("severity", true), ("id", false)]
        );
        assert!(ordering(&Query::parse("o=nonsense"), known).is_err());
    }
}
