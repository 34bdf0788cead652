//! What is around a guest and what it asks of the server: surroundings, clocks, sockets, values, documents, programs, models, templates.

use crate::attack::{Attack, Twin, attack};

const NO_SOCKETS: &str = "is not open to plugins, and no policy opens it; hint: send requests over `wasi:http`";
const BESIDE: &str =
    "namespace `victim` is neither this flow's nor named by the task; hint: name it in the property `namespace`";
const GIVEN: Twin = Twin::With(&["given", "as the flow says"]);
const REQUEST: Twin = Twin::Task("Http", &["GET", "http://{open}/"]);
const OPEN: &str = "network: [\"{open}\"]";
const SECOND: &str = "timeout: PT1S";

pub const TABLE: &[Attack] = &[
    attack("environment", "Around", &["environment"]).fails("NOTHING", &["there is nothing"]).twin(GIVEN),
    attack("arguments", "Around", &["arguments"]).fails("NOTHING", &["there is nothing"]).twin(GIVEN),
    attack("stdin", "Around", &["stdin"]).fails("NOTHING", &["there is nothing"]).twin(GIVEN),
    attack("terminal", "Around", &["terminal"]).fails("NOTHING", &["there is nothing"]).twin(GIVEN),
    attack("current-directory", "Around", &["directory"])
        .fails("NOTHING", &["there is nothing"])
        .twin(Twin::Policy("files: read")),
    attack("open-folders", "Around", &["folders"])
        .fails("NOTHING", &["there is nothing"])
        .twin(Twin::Policy("files: read")),
    attack("exit", "Around", &["exit"])
        .fails("EXIT", &["the plugin ended itself (exit status 1) in place of an answer"])
        .twin(Twin::With(&["flow"])),
    attack("panic", "Around", &["panic"])
        .fails("PANIC", &["the plugin panicked: no way out"])
        .twin(Twin::With(&["flow"])),
    attack("sleep", "Sleep", &["18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &["Timeout: the task ran longer than 1s"])
        .twin(Twin::With(&["1000"])),
    attack("sleep-until", "Sleep", &["until", "18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &["Timeout: the task ran longer than 1s"])
        .twin(Twin::With(&["until", "1"])),
    attack("sleep-busy", "Sleep", &["busy", "18446744073709551615"])
        .more(SECOND)
        .fails("timeout", &["Timeout: the task ran longer than 1s"])
        .twin(Twin::With(&["busy", "1000"])),
    attack("socket-tcp", "Socket", &["tcp", "80"])
        .under(OPEN)
        .fails("access-denied", &["a TCP socket", NO_SOCKETS])
        .twin(REQUEST),
    attack("socket-bind", "Socket", &["bind", "0"])
        .under(OPEN)
        .fails("access-denied", &["a TCP socket", NO_SOCKETS])
        .twin(REQUEST),
    attack("socket-udp", "Socket", &["udp", "0"])
        .under(OPEN)
        .fails("access-denied", &["a UDP socket", NO_SOCKETS])
        .twin(REQUEST),
    attack("socket-udp6", "Socket", &["udp6"])
        .under(OPEN)
        .fails("access-denied", &["a UDP socket", NO_SOCKETS])
        .twin(REQUEST),
    attack("lookup", "Socket", &["lookup"])
        .under(OPEN)
        .fails("access-denied", &["looking up names", NO_SOCKETS])
        .twin(REQUEST),
    attack("kv-read", "Kv", &["get", "", "other"])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["reading `other` from the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"read other\"]")),
    attack("kv-read-prefix", "Kv", &["get", "", "owner"])
        .under("kv: [\"read own\"]")
        .fails("NOT_GRANTED", &["reading `owner` from the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"read owner\"]")),
    attack("kv-write", "Kv", &["set", "", "own.a", "1"])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["writing `own.a` to the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"write own.a\"]")),
    attack("kv-delete", "Kv", &["delete", "", "own.a"])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["writing `own.a` to the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"write own.a\"]")),
    attack("kv-all-keys", "Kv", &["keys", "", ""])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["reading every key of the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"read *\"]")),
    attack("kv-find-all", "Kv", &["find", "", "{\"prefix\":\"o\"}"])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["reading `o` from the key-value store is not granted"])
        .twin(Twin::With(&["find", "", "{\"prefix\":\"own.\"}"])),
    attack("kv-foreign", "Kv", &["get", "victim", "token"])
        .under("kv: [\"read *\"]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("kv-foreign-write", "Kv", &["set", "victim", "mine", "1"])
        .under("kv: [\"write *\"]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("kv-above-write", "Kv", &["set", "hostile", "mine", "1"])
        .under("kv: [\"write *\"]")
        .fails("NOT_GRANTED", &["namespace `hostile` is neither this flow's nor named by the task"])
        .twin(Twin::With(&["set", "", "mine", "1"])),
    attack("kv-foreign-find", "Kv", &["find", "", "{\"namespaces\":[\"victim\"],\"prefix\":\"\"}"])
        .under("kv: [\"read *\"]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("kv-pattern-find", "Kv", &["find", "", "{\"namespacePattern\":\"vic*\",\"prefix\":\"\"}"])
        .under("kv: [\"read *\"]")
        .fails("BAD_ARGUMENT", &["the query for keys: unknown field `namespacePattern`"])
        .twin(Twin::With(&["find", "", "{\"prefix\":\"\"}"])),
    attack("kv-key", "Kv", &["set", "", "../victim/token", "1"])
        .under("kv: [\"write *\"]")
        .fails("BAD_ARGUMENT", &["`../victim/token` is no key"])
        .twin(Twin::With(&["set", "", "token", "1"])),
    attack("kv-large", "Kv", &["large", "", "big", "2000000"])
        .under("kv: [\"write *\"]")
        .fails("LIMIT", &["the value of `big` has 2000002 bytes, more than 1048576; hint: write a file"])
        .twin(Twin::With(&["large", "", "big", "1000"])),
    attack("kv-many", "Kv", &["many", "", "k", "20001"])
        .under("kv: [\"write *\"]")
        .fails("LIMIT", &["a run writes at most 20000 values and files; hint: "])
        .twin(Twin::With(&["many", "", "k", "100"])),
    attack("object-find", "Object", &["find", "{\"kind\":\"execution\"}"])
        .fails("NOT_GRANTED", &["reading documents of kind `execution` is not granted"])
        .twin(Twin::Line("objects: [\"execution\"]")),
    attack("object-find-other-kind", "Object", &["find", "{\"kind\":\"log\"}"])
        .under("objects: [flow]")
        .fails("NOT_GRANTED", &["reading documents of kind `log` is not granted"])
        .twin(Twin::Line("objects: [\"log\"]")),
    attack("object-find-foreign", "Object", &["find", "{\"kind\":\"flow\",\"namespace\":\"victim\"}"])
        .under("objects: [flow]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("object-read", "Object", &["read", "flow", "hostile.a.object-read", "tries"])
        .fails("NOT_GRANTED", &["reading documents of kind `flow` is not granted"])
        .twin(Twin::Past("objects: [\"flow\"]", "NOT_GRANTED")),
    attack("object-read-foreign", "Object", &["read", "execution", "victim", "{victim}"])
        .under("objects: [execution]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("object-delete", "Object", &["apply", DELETE_NONE])
        .under("objects: [execution, log]")
        .fails("NOT_GRANTED", &["deleting documents of kind `execution` is not granted"])
        .twin(Twin::Line("objects: [\"execution:delete\"]")),
    attack("object-delete-other-kind", "Object", &["apply", DELETE_LOGS])
        .under("objects: [\"execution:delete\"]")
        .fails("NOT_GRANTED", &["deleting documents of kind `log` is not granted"])
        .twin(Twin::Line("objects: [\"log:delete\"]")),
    attack("object-delete-foreign", "Object", &["apply", DELETE_FOREIGN])
        .under("objects: [\"execution:delete\"]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::With(&["apply", DELETE_NONE])),
    attack("object-delete-unasked", "Object", &["apply", DELETE_FLOW])
        .under("objects: [\"*\"]")
        .fails(
            "NOT_GRANTED",
            &[
                "deleting documents of kind `flow` is not granted",
                "plugin `hostile` 1.0.0 does not ask for it in its manifest",
            ],
        )
        .twin(Twin::With(&["apply", DELETE_NONE])),
    attack("object-save-unasked", "Object", &["apply", SAVE_FLOW])
        .under("objects: [\"*\"]")
        .fails(
            "NOT_GRANTED",
            &[
                "saving documents of kind `flow` is not granted",
                "plugin `hostile` 1.0.0 does not ask for it in its manifest",
            ],
        )
        .twin(Twin::With(&["apply", DELETE_NONE])),
    attack("object-save-foreign-file", "Object", &["apply", SAVE_FOREIGN])
        .under("objects: [file]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("object-write", "Object", &["apply", WRITE_FLOW])
        .under("objects: [\"*\"]")
        .fails("BAD_ARGUMENT", &["`put` is nothing a plan can do; hint: `delete`"])
        .twin(Twin::With(&["apply", DELETE_NONE])),
    attack("program", "Process", &["{\"program\":\"true\"}"])
        .under("files: write")
        .fails("NOT_GRANTED", &["program `true` is not granted"])
        .twin(Twin::Line("processes: [\"true\"]")),
    attack("program-other", "Process", &["{\"program\":\"true\"}"])
        .under("files: write, processes: [echo]")
        .fails("NOT_GRANTED", &["program `true` is not granted"])
        .twin(Twin::Line("processes: [\"true\"]")),
    attack("program-path", "Process", &["{\"program\":\"/bin/true\"}"])
        .under("files: write, processes: [\"*\"]")
        .fails("BAD_ARGUMENT", &["`/bin/true` is no program's name: it may not be empty or a path"])
        .twin(Twin::With(&["{\"program\":\"true\"}"])),
    attack("program-many", "Process", &["{\"program\":\"true\"}", "9"])
        .under("files: write, processes: [\"true\"]")
        .fails("LIMIT", &["at most 8 programs run at once; hint: "])
        .twin(Twin::With(&["{\"program\":\"true\"}", "2"])),
    attack("program-endless", "Process", &["{\"program\":\"sleep\",\"arguments\":[\"1000\"]}"])
        .under("files: write, processes: [sleep]")
        .more(SECOND)
        .fails("timeout", &["Timeout: the task ran longer than 1s"])
        .twin(Twin::With(&["{\"program\":\"sleep\",\"arguments\":[\"0\"]}"])),
    attack("model", "Model", &["com.example.Model"])
        .fails("NOT_GRANTED", &["model provider `com.example.Model` is not granted"])
        .twin(Twin::Past("models: [\"com.example.Model\"]", "NOT_FOUND")),
    // A template of the plugin's own is no way around a grant.
    attack("template-kv", "Template", &["(( kv('other', errorOnMissing=false) ))"])
        .under("kv: [\"read own.*\"]")
        .fails("NOT_GRANTED", &["reading `other` from the key-value store is not granted"])
        .twin(Twin::Line("kv: [\"read other\"]")),
    attack("template-kv-foreign", "Template", &["(( kv('token', 'victim') ))"])
        .under("kv: [\"read *\"]")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("template-file", "Template", &["(( read('note.txt', namespace='victim') ))"])
        .under("files: read")
        .fails("NOT_GRANTED", &[BESIDE])
        .twin(Twin::More("namespace: victim")),
    attack("template-file-url", "Template", &["(( read('hidden:victim/note.txt') ))"])
        .fails("NOT_GRANTED", &["reading the internal storage is not granted"])
        .twin(Twin::Past("files: read", "NOT_GRANTED")),
    attack("template-secret", "Template", &["(( secret('API_KEY') ))"])
        .under("secrets: [\"OTHER_*\"]")
        .fails("NOT_GRANTED", &["secret `API_KEY` is not granted"])
        .twin(Twin::Line("secrets: [\"API_KEY\"]")),
    attack("template-endless", "Template", &["(% for a in range(0, 1000000000) %)x(% endfor %)"])
        .fails("expression.limit.range", &["a range cannot produce more than 1000000 items"])
        .twin(Twin::With(&["(( n + 1 ))"])),
];

const DELETE_NONE: &str = "{\"sequence\":1,\"changes\":[{\"op\":\"delete\",\"kind\":\"execution\",\"id\":\"nosuch\"}]}";
const DELETE_LOGS: &str = "{\"sequence\":1,\"changes\":[{\"op\":\"delete\",\"kind\":\"log\"}]}";
const DELETE_FOREIGN: &str =
    "{\"sequence\":1,\"changes\":[{\"op\":\"delete\",\"kind\":\"execution\",\"id\":\"{victim}\"}]}";
const DELETE_FLOW: &str = "{\"sequence\":1,\"changes\":[{\"op\":\"delete\",\"kind\":\"flow\",\"id\":\"tries\"}]}";
const SAVE_FLOW: &str =
    r#"{"sequence":1,"changes":[{"op":"save","kind":"flow","namespace":"hostile","id":"x","source":"id: x"}]}"#;
const SAVE_FOREIGN: &str =
    r#"{"sequence":1,"changes":[{"op":"save","kind":"file","namespace":"victim","id":"x.txt","source":"x"}]}"#;
const WRITE_FLOW: &str = "{\"sequence\":1,\"changes\":[{\"op\":\"put\",\"kind\":\"execution\",\"id\":\"x\"}]}";
