//! Files in, one after the other, with the next ones read and parsed ahead.

use super::{Ingest, Report};
use crate::{
    ClinicalError,
    source::{InputFile, Limits, Submission, read},
};
use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Files that are read ahead. Each may have one submission waiting and one in the making.
const FILES_AHEAD: usize = 3;

/// How far ingest is, after each file.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is done.
    pub file: &'a InputFile,
    /// Files that are done.
    pub files_done: usize,
    /// All files.
    pub files: usize,
    /// What has become of everything so far.
    pub report: &'a Report,
}

/// What became of files.
#[derive(Debug, Default)]
pub struct FilesReport {
    /// What became of their resources.
    pub report: Report,
    /// Files that could not be read to their end, each with its reason. Submissions before the damage were taken.
    pub errors: Vec<ClinicalError>,
}

impl Ingest {
    /// Takes files in, in their order. A damaged file does not hold up the others.
    ///
    /// # Errors
    /// Only where the node itself fails: then the files from there on are not taken.
    pub fn ingest_files(
        &self,
        files: &[InputFile],
        limits: &Limits,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<FilesReport, ClinicalError> {
        thread::scope(|scope| {
            let mut done = FilesReport::default();
            let mut unread = files.iter();
            let mut ahead: VecDeque<(&InputFile, Receiver<_>)> = VecDeque::new();
            for files_done in 1..=files.len() {
                for file in unread.by_ref().take(FILES_AHEAD - ahead.len()) {
                    let (sender, receiver) = sync_channel(1);
                    scope.spawn(move || produce(file, limits, &sender));
                    ahead.push_back((file, receiver));
                }
                let Some((file, submissions)) = ahead.pop_front() else { break };
                for submission in submissions {
                    match submission {
                        Ok(submission) => done.report.merge(self.ingest_submission(&submission)?),
                        Err(error) => done.errors.push(error),
                    }
                }
                progress(Progress { file, files_done, files: files.len(), report: &done.report });
            }
            Ok(done)
        })
    }
}

/// Reads one file; stops when no one listens any more.
fn produce(file: &InputFile, limits: &Limits, to: &SyncSender<Result<Submission, ClinicalError>>) {
    match read(file, limits) {
        Ok(submissions) => {
            for submission in submissions {
                if to.send(submission).is_err() {
                    return;
                }
            }
        }
        // Who no longer listens does not miss it.
        Err(error) => drop(to.send(Err(error))),
    }
}
