//! Files: the working directory of the run, the internal storage.

use crate::attack::{Attack, Twin, attack};

const WRITE: &str = "files: write";
const OUT: &str = "leads out of the working directory: refused; hint: only what is in it can be reached";
const DENIED: &str = "not-permitted";

pub const TABLE: &[Attack] = &[
    attack("file-absolute", "File", &["read", "/proc/self/environ"])
        .under(WRITE)
        .fails(DENIED, &["`/proc/self/environ`", OUT])
        .twin(Twin::With(&["make-and-read", "own"])),
    attack("file-parent", "File", &["read", "../secret.txt"])
        .under(WRITE)
        .fails(DENIED, &["`../secret.txt`", OUT])
        .twin(Twin::With(&["make-and-read", "own.txt"])),
    attack("file-parent-inside", "File", &["read", "./../secret.txt"])
        .under(WRITE)
        .fails(DENIED, &["`./../secret.txt`", OUT])
        .twin(Twin::With(&["make-and-read", "./own.txt"])),
    attack("file-other-run", "File", &["read", "../neighbour/given.txt"])
        .under(WRITE)
        .fails(DENIED, &["`../neighbour/given.txt`", OUT])
        .twin(Twin::With(&["make-and-read", "given.txt"])),
    attack("file-write-outside", "File", &["write", "../neighbour/given.txt"])
        .under(WRITE)
        .fails(DENIED, &[OUT])
        .twin(Twin::With(&["write", "given.txt"])),
    attack("file-truncate-outside", "File", &["truncate", "../secret.txt", "own"])
        .under(WRITE)
        .fails(DENIED, &["`../secret.txt`", OUT])
        .twin(Twin::With(&["truncate", "own", "own"])),
    attack("file-stat-outside", "File", &["stat", "../secret.txt"])
        .under(WRITE)
        .fails(DENIED, &[OUT])
        .twin(Twin::With(&["stat", "."])),
    attack("file-times-outside", "File", &["set-times", "../secret.txt", "own"])
        .under(WRITE)
        .fails(DENIED, &["EPERM"])
        .twin(Twin::With(&["set-times", "own", "own"])),
    attack("file-folder-outside", "File", &["folder", "../made"])
        .under(WRITE)
        .fails(DENIED, &["`../made`", OUT])
        .twin(Twin::With(&["folder", "made"])),
    attack("file-remove-folder-outside", "File", &["remove-folder", "../neighbour", "own"])
        .under(WRITE)
        .fails(DENIED, &["`../neighbour`", OUT])
        .twin(Twin::With(&["remove-folder", "own", "own"])),
    attack("file-unlink-outside", "File", &["unlink", "../secret.txt", "own"])
        .under(WRITE)
        .fails(DENIED, &["`../secret.txt`", OUT])
        .twin(Twin::With(&["unlink", "own", "own"])),
    attack("file-rename-outside", "File", &["rename", "own", "../stolen"])
        .under(WRITE)
        .fails(DENIED, &["`own` or `../stolen`", OUT])
        .twin(Twin::With(&["rename", "own", "renamed"])),
    attack("file-rename-in", "File", &["rename-in", "../secret.txt", "mine"])
        .under(WRITE)
        .fails(DENIED, &["`../secret.txt` or `mine`", OUT])
        .twin(Twin::With(&["rename-in", "own", "mine"])),
    attack("file-hard-link", "File", &["hard-link", "../secret.txt", "mine"])
        .under(WRITE)
        .fails(DENIED, &["`../secret.txt` or `mine`", OUT])
        .twin(Twin::With(&["hard-link", "own", "mine"])),
    attack("file-hard-link-outside", "File", &["hard-link", "own", "../mine"])
        .under(WRITE)
        .fails(DENIED, &["`own` or `../mine`", OUT])
        .twin(Twin::With(&["hard-link", "own", "mine"])),
    attack("file-link-followed", "File", &["link-and-read", "../secret.txt", "way"])
        .under(WRITE)
        .fails(DENIED, &["`way`", OUT])
        .twin(Twin::With(&["link-and-read", "own", "way"])),
    attack("file-link-folder-followed", "File", &["link-and-read", "..", "way/secret.txt"])
        .under(WRITE)
        .fails(DENIED, &["`way/secret.txt`", OUT])
        .twin(Twin::With(&["link-and-read", ".", "way/own"])),
    attack("file-link-written", "File", &["link-and-write", "../secret.txt", "way"])
        .under(WRITE)
        .fails(DENIED, &["`way`", OUT])
        .twin(Twin::With(&["link-and-write", "own", "way"])),
    attack("file-link-absolute", "File", &["link-and-read", "/etc/hostname", "way"])
        .under(WRITE)
        .fails(DENIED, &["`/etc/hostname` or `way`", OUT])
        .twin(Twin::With(&["link-and-read", "own", "way"])),
    attack("file-link-loop", "File", &["link-and-read", "way", "way"])
        .under(WRITE)
        .fails("loop", &["ELOOP"])
        .twin(Twin::With(&["link-and-read", "own", "way"])),
    attack("file-write-read-only", "File", &["write", "own"])
        .under("files: read")
        .fails(DENIED, &["writing to the working directory is not granted"])
        .twin(Twin::Line(WRITE)),
    attack("file-folder-read-only", "File", &["folder", "own"])
        .under("files: read")
        .fails(DENIED, &["writing to the working directory is not granted"])
        .twin(Twin::Line(WRITE)),
    attack("file-link-read-only", "File", &["link", "a", "b"])
        .under("files: read")
        .fails(DENIED, &["writing to the working directory is not granted"])
        .twin(Twin::Line(WRITE)),
    attack("file-no-directory", "File", &["write", "own"])
        .fails("NoDirectory", &["there is no directory"])
        .twin(Twin::Policy(WRITE)),
    attack("file-many", "File", &["many", "600"])
        .under(WRITE)
        .fails("quota", &["makes at most 500 files, folders and links in its working directory; hint: "])
        .twin(Twin::With(&["many", "400"])),
    attack("file-folders", "File", &["folders", "600"])
        .under(WRITE)
        .fails("quota", &["makes at most 500 files, folders and links"])
        .twin(Twin::With(&["folders", "400"])),
    attack("file-large", "File", &["large", "9000000"])
        .under(WRITE)
        .fails("quota", &["writes at most 8388608 bytes to its working directory, and no file beyond them; hint: "])
        .twin(Twin::With(&["large", "7000000"])),
    attack("file-stream", "File", &["stream", "9000000"])
        .under(WRITE)
        .fails("Stream", &["writes at most 8388608 bytes to its working directory"])
        .twin(Twin::With(&["stream", "7000000"])),
    attack("file-far", "File", &["far", "1000000000000"])
        .under(WRITE)
        .fails("quota", &["no file beyond them"])
        .twin(Twin::With(&["far", "1000000"])),
    attack("file-size", "File", &["size", "1000000000000"])
        .under(WRITE)
        .fails("quota", &["no file beyond them"])
        .twin(Twin::With(&["size", "1000000"])),
    attack("storage-read", "Storage", &["read", "{victim-file}"])
        .fails("NOT_GRANTED", &["reading the internal storage is not granted"])
        .twin(Twin::Past("files: read", "NOT_GRANTED")),
    attack("storage-foreign", "Storage", &["read", "{victim-file}"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not a file of this execution"])
        .twin(Twin::With(&["write-and-read"])),
    attack("storage-up", "Storage", &["read", "kestra:///hostile/../victim/_files/note.txt"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not a file of this execution"])
        .twin(Twin::With(&["write-and-read"])),
    attack("storage-file-url", "Storage", &["read", "file:///etc/hostname"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not a file of this execution"])
        .twin(Twin::With(&["write-and-read"])),
    attack("storage-copy-foreign", "Storage", &["copy", "{victim-file}", "mine"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not a file of this execution"])
        .twin(Twin::With(&["copy-own", "mine"])),
    attack("storage-delete-foreign", "Storage", &["delete", "{victim-file}"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not a file of this execution: only those are deleted"])
        .twin(Twin::With(&["delete-own"])),
    attack("storage-find-foreign", "Storage", &["find", "kestra:///victim/"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["is not in this execution; hint: leave the prefix empty"])
        .twin(Twin::With(&["find", ""])),
    attack("storage-write", "Storage", &["write", "own"])
        .under("files: read")
        .fails("NOT_GRANTED", &["writing to the internal storage is not granted"])
        .twin(Twin::Line(WRITE)),
    attack("storage-name", "Storage", &["write", "../../other"])
        .under(WRITE)
        .fails("BAD_ARGUMENT", &["`../../other` is no file name"])
        .twin(Twin::With(&["write", "other"])),
    attack("storage-many", "Storage", &["many", "60"])
        .under(WRITE)
        .fails("LIMIT", &["makes at most 50 files in the internal storage; hint: "])
        .twin(Twin::With(&["many", "40"])),
    attack("storage-large", "Storage", &["large", "9000000"])
        .under(WRITE)
        .fails("LIMIT", &["writes at most 8388608 bytes to the internal storage; hint: "])
        .twin(Twin::With(&["large", "7000000"])),
    attack("namespace-file", "Storage", &["read", "hidden:victim/note.txt"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["namespace `victim` is neither this flow's nor named by the task; hint: name it"])
        .twin(Twin::More("namespace: victim")),
    attack("namespace-file-up", "Storage", &["read", "hidden:/../../victim/_files/note.txt"])
        .under(WRITE)
        .more("namespace: victim")
        .fails("NOT_GRANTED", &["is not a file of this execution"])
        .twin(Twin::With(&["read", "hidden:victim/note.txt"])),
    attack("namespace-file-write", "Storage", &["write", "hidden:/own.txt"])
        .under(WRITE)
        .fails("NOT_GRANTED", &["changing files of namespaces is not granted"])
        .twin(Twin::Line("objects: [\"file\"]")),
    attack("namespace-file-delete", "Storage", &["delete", "hidden:victim/note.txt"])
        .under("files: write, objects: [file]")
        .fails("NOT_GRANTED", &["namespace `victim` is neither this flow's nor named by the task"])
        .twin(Twin::With(&["delete", "hidden:/none.txt"])),
];
