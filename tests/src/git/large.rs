//! A history that is large in numbers and not in bytes: many files, many commits. The same every time.

use super::repository::Repository;
use super::stream::Stream;
use crate::simulation::dice::Dice;

/// How many files a folder has.
const FOLDER_FILES: usize = 100;
/// How many files a commit changes.
const CHANGED: usize = 2;

/// A history of so many files and commits on `main`, in one pack.
pub fn history_large(files: usize, commits: usize) -> Repository {
    let (repository, dice) = (Repository::new(), Dice::new(0, 0x6c61_7267));
    let mut stream = Stream::default();
    stream.commit("refs/heads/main", 1, 0, b"all files\n");
    for at in 0..files {
        stream.inline("100644", path(at).as_bytes(), format!("file {at}\n").as_bytes());
    }
    for commit in 1..commits {
        let number = commit as u64;
        stream.commit("refs/heads/main", number + 1, number, format!("commit {commit}\n").as_bytes());
        for _ in 0..CHANGED {
            let at = dice.below(files as u64) as usize;
            stream.inline("100644", path(at).as_bytes(), format!("file {at}\ncommit {commit}\n").as_bytes());
        }
    }
    repository.import(&stream, &["-c", "fastimport.unpackLimit=1"]);
    repository
}

fn path(at: usize) -> String {
    format!("folder-{:03}/file-{at:05}.txt", at / FOLDER_FILES)
}
