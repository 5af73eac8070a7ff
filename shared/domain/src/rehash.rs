use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    BlockId, DedupeScope, DedupeSettings, Finding, FindingId, Flags, RehashJobId, ResolvedDedupe,
    UserId,
};

/// How many examples and errors a job keeps.
pub const MAX_REHASH_NOTES: usize = 20;

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehashState {
    /// On the way to the new settings.
    #[default]
    Running,
    /// The new settings count, every finding has its new keys.
    Done,
    /// On the way back to the old settings.
    RollingBack,
    /// The old settings count, every finding is as it was.
    RolledBack,
    /// Stopped by an error: it goes on when it's resumed.
    Failed,
}

impl RehashState {
    /// Is it under way?
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::RollingBack)
    }
}

/// What a job does with each block. Both phases go over every block, in the order of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehashPhase {
    /// Findings get the keys that will count, beside those that do; then the settings change over, so
    /// that a re-import finds every finding before and after.
    #[default]
    Adding,
    /// The keys that counted go, and duplicates are decided anew.
    Settling,
}

/// What a job did, in numbers of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RehashCounts {
    /// Looked at.
    pub findings: u64,
    /// Whose keys or hash code changed.
    pub changed: u64,
    /// That became duplicates.
    pub new_duplicates: u64,
    /// That are duplicates no more.
    pub new_originals: u64,
    /// That are duplicates of another original now.
    pub moved_duplicates: u64,
    /// For which an original is proposed now.
    pub proposed: u64,
}

impl RehashCounts {
    /// Counts what became of one finding.
    pub fn add(&mut self, before: &RehashSaved, after: &Finding) {
        self.findings += 1;
        self.changed += u64::from(before.keys != after.keys || before.hash_code != after.hash_code);
        match (before.flags.duplicate, after.flags.duplicate) {
            (false, true) => self.new_duplicates += 1,
            (true, false) => self.new_originals += 1,
            (true, true) if before.duplicate_finding != after.duplicate_finding => {
                self.moved_duplicates += 1;
            }
            _ => {}
        }
        let proposed = after.proposed_duplicate;
        self.proposed += u64::from(proposed.is_some() && proposed != before.proposed_duplicate);
    }
}

impl std::ops::AddAssign for RehashCounts {
    fn add_assign(&mut self, other: Self) {
        self.findings += other.findings;
        self.changed += other.changed;
        self.new_duplicates += other.new_duplicates;
        self.new_originals += other.new_originals;
        self.moved_duplicates += other.moved_duplicates;
        self.proposed += other.proposed;
    }
}

/// What a job may change of a finding, as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "see `Finding`")]
pub struct RehashSaved {
    pub id: FindingId,
    pub keys: Vec<String>,
    pub hash_code: String,
    pub flags: Flags,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_finding: Option<FindingId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_duplicate: Option<FindingId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_by: Option<UserId>,
}

impl From<&Finding> for RehashSaved {
    fn from(f: &Finding) -> Self {
        Self {
            id: f.id,
            keys: f.keys.clone(),
            hash_code: f.hash_code.clone(),
            flags: f.flags,
            duplicate_finding: f.duplicate_finding,
            proposed_duplicate: f.proposed_duplicate,
            duplicate_by: f.duplicate_by,
        }
    }
}

/// A job that gives the findings of one level new keys after its settings changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RehashJob {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: RehashJobId,
    /// Counts the writes. Part of the item, not of the document.
    #[serde(skip)]
    pub version: u64,
    /// Whose settings changed.
    pub scope: DedupeScope,
    /// Name of the test type, where they are those of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_type: Option<String>,
    /// The level's settings before.
    pub old: DedupeSettings,
    /// The level's settings after.
    pub new: DedupeSettings,
    /// What counts for each scan type where no level says anything.
    pub scanners: BTreeMap<String, ResolvedDedupe>,
    /// How far it is.
    pub state: RehashState,
    /// What it does with each block now.
    pub phase: RehashPhase,
    /// Is it on the way back?
    pub back: bool,
    /// Counts the steps, so that a message that comes again is told.
    pub step: u64,
    /// Up to which block the phase is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<BlockId>,
    /// How often it has gone over the blocks again before the settings change over.
    pub rounds: u32,
    /// Did this round write anything?
    pub round_wrote: bool,
    /// Since when it waits for imports that were under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// How many blocks this phase has gone over, of how many when it began.
    pub blocks_done: u64,
    /// How many there were when the phase began.
    pub blocks: u64,
    /// What it did.
    pub counts: RehashCounts,
    /// What went wrong, the first few.
    pub errors: Vec<String>,
    /// Who changed the settings.
    pub by: Option<UserId>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last made progress.
    pub updated: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
}

impl RehashJob {
    /// Begins to go over the blocks.
    pub fn begin(&mut self, phase: RehashPhase, blocks: usize) {
        self.phase = phase;
        self.cursor = None;
        self.round_wrote = false;
        self.blocks_done = 0;
        self.blocks = blocks as u64;
    }

    /// Notes that the phase is done with a block, and with all before it.
    pub fn passed(&mut self, block: BlockId) {
        self.cursor = Some(block);
        self.blocks_done += 1;
        self.blocks = self.blocks.max(self.blocks_done);
    }

    /// The settings that it is on the way to, and those that it leaves.
    pub fn to_from(&self) -> (&DedupeSettings, &DedupeSettings) {
        if self.back {
            (&self.old, &self.new)
        } else {
            (&self.new, &self.old)
        }
    }
}
