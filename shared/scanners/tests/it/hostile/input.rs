//! Reports that are too large to lie in memory.

use std::io::{self, Read};
use std::sync::Arc;

/// A report put together of pieces, some of which are repeated.
#[derive(Clone, Default)]
pub struct Input {
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    block: Arc<[u8]>,
    size: u64,
}

impl Input {
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::default().then(bytes)
    }

    pub fn then(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let block: Arc<[u8]> = bytes.as_ref().into();
        let size = block.len() as u64;
        self.parts.push(Part { block, size });
        self
    }

    /// As often as it takes to fill about so many bytes.
    pub fn fill(self, piece: impl AsRef<[u8]>, bytes: usize) -> Self {
        let times = bytes.div_ceil(piece.as_ref().len());
        self.times(piece, times)
    }

    pub fn times(mut self, piece: impl AsRef<[u8]>, times: usize) -> Self {
        let piece = piece.as_ref();
        let in_block = times.min((64 * 1024_usize).div_ceil(piece.len()));
        self.parts.push(Part {
            block: piece.repeat(in_block).into(),
            size: (piece.len() * times) as u64,
        });
        self
    }

    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    pub fn reader(&self) -> impl Read + use<> {
        let parts = self.parts.clone();
        parts.into_iter().fold(
            Box::new(io::empty()) as Box<dyn Read + Send>,
            |before, part| {
                let (at, left) = (0, part.size);
                let part = Reader { part, at, left };
                Box::new(before.chain(part))
            },
        )
    }
}

struct Reader {
    part: Part,
    at: usize,
    left: u64,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.part.block[self.at..];
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let n = rest.len().min(buf.len()).min(left);
        buf[..n].copy_from_slice(&rest[..n]);
        self.at = (self.at + n) % self.part.block.len().max(1);
        self.left -= n as u64;
        Ok(n)
    }
}

#[test]
fn pieces_follow_each_other() {
    let input = Input::of("a").times("bc", 40_000).then("").fill("d", 3);
    let mut bytes = Vec::new();
    input.reader().read_to_end(&mut bytes).unwrap();
    let wanted = format!("a{}ddd", "bc".repeat(40_000));
    assert!(bytes == wanted.as_bytes());
}
