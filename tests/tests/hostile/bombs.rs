//! Too much of everything.

use crate::attack::{Attack, Twin, attack};

const SECOND: &str = "timeout: PT1S";
const LATE: &str = "Timeout: the task ran longer than 1s";

pub const TABLE: &[Attack] = &[
    attack("memory", "Bomb", &["memory", "400"])
        .fails("MEMORY_LIMIT", &["of memory, its limit is 256 MiB", "hint: raise the memory limit of the task"])
        .twin(Twin::With(&["memory", "20"])),
    attack("stack", "Bomb", &["stack", "100000000"])
        .fails("TRAP", &["out of bounds memory access", "hint: look for a recursion without end"])
        .twin(Twin::With(&["stack", "100"])),
    attack("log-lines", "Bomb", &["log-lines", "30000"])
        .cut(&["10000 more lines were dropped: the run is over its log quota"])
        .twin(Twin::With(&["log-lines", "10"])),
    attack("log-bytes", "Bomb", &["log-bytes", "20000"])
        .cut(&["more lines were dropped: the run is over its log quota"])
        .twin(Twin::With(&["log-bytes", "10"])),
    attack("stdout", "Bomb", &["stdout", "30000"])
        .cut(&["more lines were dropped: the run is over its log quota"])
        .twin(Twin::With(&["stdout", "10"])),
    attack("output", "Bomb", &["output", "2000000"])
        .fails("OUTPUT_LIMIT", &["the outputs have 2000012 bytes, more than the limit of 1048576", "hint: "])
        .twin(Twin::With(&["output", "1000"])),
    attack("error", "Bomb", &["error", "1000000"]).fails("LONG", &["eeee…"]).twin(Twin::With(&["output", "1000"])),
    attack("random", "Bomb", &["random", "2000000"])
        .fails("RANDOM_LIMIT", &["asked for more than 1048576 random bytes at once"])
        .twin(Twin::With(&["random", "1000"])),
    attack("insecure-random", "Bomb", &["insecure-random", "18446744073709551615"])
        .fails("RANDOM_LIMIT", &["asked for more than 1048576 random bytes at once"])
        .twin(Twin::With(&["insecure-random", "1000"])),
    attack("handles", "Bomb", &["handles", "5000"])
        .fails("HANDLE_LIMIT", &["holds more than 4096 handles", "hint: the plugin must drop"])
        .twin(Twin::With(&["handles", "100"])),
    attack("call", "Bomb", &["call", "40000000"])
        .fails("CALL_LIMIT", &["one call between plugin and host carried more than 33554432 bytes", "hint: "])
        .twin(Twin::With(&["call", "1000"])),
    attack("loop", "Bomb", &["loop", "18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &[LATE])
        .twin(Twin::With(&["loop", "1000"])),
    attack("calls", "Bomb", &["calls", "18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &[LATE])
        .twin(Twin::With(&["calls", "1000"])),
    attack("polls", "Bomb", &["polls", "18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &[LATE])
        .twin(Twin::With(&["polls", "100"])),
];
