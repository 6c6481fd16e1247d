//! What a sync reads, and when: to look, for the hashes of a part of the manifest, and what the worker lacks.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{BATCH_BYTES, BATCH_FILES, BATCHES_AT_ONCE, PART_BYTES, Stage, Sync};
use crate::coordinator::desired::Wanted;
use crate::coordinator::request::{Loaded, Loading};
use crate::coordinator::{FileRead, Planned, ReadPlan, Volume};

/// What is read for a sync, by the numbers of entries.
#[derive(Debug)]
pub struct Reading {
    purpose: Purpose,
    entries: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Part,
    Batch,
}

impl Sync {
    /// Begins to look at the files, if that is to be done now. It brings no text, so it waits for no room.
    pub fn look(&mut self, wanted: &Wanted) -> Option<(Reading, ReadPlan)> {
        let Stage::Looking(known) = &mut self.stage else { return None };
        let entries = known.take()?;
        Some(self.plan(Reading { purpose: Purpose::Look, entries }, wanted, u64::MAX))
    }

    /// How many bytes the next read brings at most, but for the last file that it reads; nothing if there is nothing to read
    /// now.
    pub fn next_read(&mut self, wanted: &Wanted) -> Option<u64> {
        if let Some(part) = self.part.as_ref().filter(|part| !part.reading && !part.unread.is_empty()) {
            return Some(self.run(wanted, &part.unread, PART_BYTES, usize::MAX).1);
        }
        self.send_overlays(wanted);
        if self.to_read.is_empty() || self.loading >= BATCHES_AT_ONCE || !self.to_send.is_empty() {
            return None;
        }
        Some(self.run(wanted, &self.to_read, BATCH_BYTES, BATCH_FILES).1)
    }

    /// Begins the read that [`next_read`](Self::next_read) told of.
    pub fn start_read(&mut self, wanted: &Wanted) -> Option<(Reading, ReadPlan)> {
        if let Some(part) = self.part.as_ref().filter(|part| !part.reading && !part.unread.is_empty()) {
            let (count, bytes) = self.run(wanted, &part.unread, PART_BYTES, usize::MAX);
            let part = self.part.as_mut()?;
            part.reading = true;
            let reading = Reading { purpose: Purpose::Part, entries: part.unread.drain(..count).collect() };
            return Some(self.plan(reading, wanted, bytes));
        }
        let (count, bytes) = self.run(wanted, &self.to_read, BATCH_BYTES, BATCH_FILES);
        if count == 0 {
            return None;
        }
        self.loading += 1;
        let reading = Reading { purpose: Purpose::Batch, entries: self.to_read.drain(..count).collect() };
        Some(self.plan(reading, wanted, bytes))
    }

    fn plan(&self, reading: Reading, wanted: &Wanted, enough: u64) -> (Reading, ReadPlan) {
        let look = reading.purpose == Purpose::Look;
        let file = |&entry: &u32| {
            let path = &self.manifest[entry as usize];
            let known = wanted.file(path).and_then(|file| file.known).filter(|_| look);
            Planned { path: Arc::clone(path), known: known.map(|(mark, _)| mark), new: false }
        };
        let files = reading.entries.iter().map(file).collect();
        // Of files that are said to be empty, the first one that is not is enough.
        (reading, ReadPlan { root: self.root, files, enough: enough.max(1), look })
    }

    /// How many of some entries go together, and their bytes: as many as `bytes` and `files` allow, but one at least.
    fn run(&self, wanted: &Wanted, entries: &VecDeque<u32>, bytes: u64, files: usize) -> (usize, u64) {
        let (mut count, mut sum) = (0, 0);
        let bytes = bytes.min(self.room);
        for &entry in entries {
            let size = self.size(wanted, entry);
            if count > 0 && (sum + size > bytes || count == files) {
                break;
            }
            count += 1;
            sum += size;
        }
        (count, sum)
    }

    /// About how long an entry's text is.
    pub(super) fn size(&self, wanted: &Wanted, entry: u32) -> u64 {
        let path = &*self.manifest[entry as usize];
        match wanted.overlay(path) {
            Some(overlay) => overlay.text.bytes(),
            None => wanted.file(path).map_or(0, |file| u64::from(file.size)),
        }
    }

    /// Of the entries that are to be read, those with unsaved texts need not be.
    fn send_overlays(&mut self, wanted: &Wanted) {
        let mut sent = Vec::new();
        self.to_read.retain(|&entry| match wanted.overlay(&self.manifest[entry as usize]) {
            Some(overlay) => {
                let content = Loading::Text(Arc::clone(&overlay.text.text));
                sent.push(Loaded { entry, rev: overlay.rev.max(self.number), content });
                false
            }
            None => true,
        });
        for file in sent {
            self.held += file.content.bytes();
            self.send(file);
        }
    }

    /// The path that an entry of a read stands for.
    #[must_use]
    pub fn path(&self, reading: &Reading, index: usize) -> Option<&Arc<str>> {
        reading.entries.get(index).map(|&entry| &self.manifest[entry as usize])
    }

    /// Takes what came of the first files of a read: something, of what was to be read. Files can be longer than was known, so
    /// the read may have ended before its last one: a part ends there then, as what was read of it is kept until the worker
    /// has said what of it it lacks.
    pub fn on_read(&mut self, reading: Reading, files: Vec<FileRead>, wanted: &Wanted) {
        let Reading { purpose, entries } = reading;
        let rest = &entries[files.len().min(entries.len())..];
        match purpose {
            Purpose::Look => self.stage = Stage::Ready,
            Purpose::Part => {
                if let Some(part) = &mut self.part {
                    part.reading = false;
                    if let Some(&end) = rest.iter().chain(&part.unread).next() {
                        part.unread.clear();
                        part.range.end = end;
                        self.next = end;
                    }
                }
            }
            Purpose::Batch => {
                self.loading -= 1;
                rest.iter().rev().for_each(|&entry| self.to_read.push_front(entry));
            }
        }
        for (&entry, file) in entries.iter().zip(files) {
            self.take_file(purpose, entry, file, wanted);
        }
    }

    fn take_file(&mut self, purpose: Purpose, entry: u32, file: FileRead, wanted: &Wanted) {
        let content = match file {
            FileRead::Unchanged => {
                let known = wanted.file(&self.manifest[entry as usize]).and_then(|file| file.known);
                self.hashes[entry as usize] = known.map(|(_, hash)| hash);
                return;
            }
            FileRead::Changed => return,
            // Whatever it is, it is looked at again when its turn comes.
            _ if purpose == Purpose::Look => return,
            FileRead::Text { text, .. } => {
                self.hashes[entry as usize] = Some(text.hash);
                Loading::Text(text.text)
            }
            // It went on purpose: then it is named nowhere.
            FileRead::LeftOut => Loading::Gone,
            FileRead::Skipped(_) if !wanted.contains(&self.manifest[entry as usize]) => Loading::Gone,
            FileRead::Skipped(reason) => Loading::Skipped(reason.to_string()),
        };
        let bytes = content.bytes();
        self.read = self.read + Volume::file(bytes);
        self.held += bytes;
        let file = Loaded { entry, rev: self.number, content };
        match &mut self.part {
            Some(part) if purpose == Purpose::Part => {
                part.held.insert(entry, file);
            }
            _ => self.send(file),
        }
    }
}
