//! Secrets: those a flow gives, sent or said where they do not belong, and those nobody gave. Whatever happens, no value is ever shown: that is
//! looked at for every attack and twin (`CANARY`).
//!
//! `:!//` keeps a URL out of the flow's source, which would name its host.

use crate::attack::{Attack, Twin, attack};

const BEARER: &str = "header authorization: Bearer {{ secret('API_KEY') }}";
const FORM: &str = "body key={{ secret('API_KEY') }}";
const HALVES: &str = "split-body key={{ secret('API_KEY') }}";
const BOUND: &str = "header authorization: Bearer {{ secret('BOUND_KEY') }}";
const PROXY: &str =
    "options {\"proxy\":{\"url\":\"http:!//{other}\",\"username\":\"me\",\"password\":\"{{ secret('BOUND_KEY') }}\"}}";
const MAY: &str = "network: [\"{open}\", \"{other}\"], secrets: [API_KEY, BOUND_KEY]";
const SECRET: &str = "secrets: [API_KEY]";
const DENIED: &str = "HttpRequestDenied";
const ELSEWHERE: &str =
    "secret `API_KEY` is not sent to `localhost`: neither the flow's source nor the plugin's manifest names it; hint: ";
const MASKED: &str = "it is ******";
/// Where the flow's source does not lead.
const ASTRAY: &str = "http:!//localhost:{port}/";
const NEAR: &str = "network: [\"{open}\", \"localhost:{port}\"], secrets: [API_KEY]";
const GIVEN: &str = "{{ secret('API_KEY') }}";

pub const TABLE: &[Attack] = &[
    attack("secret-header-astray", "Http", &["GET", ASTRAY, BEARER])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["GET", "http://{open}/", BEARER])),
    attack("secret-query-astray", "Http", &["GET", "http:!//localhost:{port}/?key={{ secret('API_KEY') }}"])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["GET", "http://{open}/?key={{ secret('API_KEY') }}"])),
    attack("secret-path-astray", "Http", &["GET", "http:!//localhost:{port}/{{ secret('API_KEY') }}"])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["GET", "http://{open}/{{ secret('API_KEY') }}"])),
    attack("secret-body-astray", "Http", &["POST", ASTRAY, FORM])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["POST", "http://{open}/", FORM])),
    attack("secret-split-body-astray", "Http", &["POST", ASTRAY, HALVES])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["POST", "http://{open}/", HALVES])),
    attack("secret-in-host", "Http", &["GET", "http:!//a.{{ secret('API_KEY') }}.test/"])
        .under("network: [\"*\"], secrets: [API_KEY]")
        .fails(DENIED, &["secret `API_KEY` stands in the host of a URL, where no secret is put; hint: "])
        .twin(Twin::With(&["GET", "http://{open}/", BEARER])),
    attack("secret-redirected", "Http", &["GET", "http://{open}/to?http:!//localhost:{port}/", BEARER, "follow"])
        .under(NEAR)
        .fails(DENIED, &[ELSEWHERE])
        .twin(Twin::With(&["GET", "http://{open}/to?http://{open}/", BEARER, "follow"])),
    attack("secret-bound-astray", "Http", &["GET", "http://{open}/", BOUND])
        .under(MAY)
        .fails(DENIED, &["secret `BOUND_KEY` is not sent to `127.0.0.1`: it is bound to `http://{other}`; hint: "])
        .twin(Twin::With(&["GET", "http://{other}/", BOUND])),
    attack("secret-proxy-astray", "Http", &["GET", "http://{open}/", PROXY])
        .under("network: [\"{open}\"], secrets: [BOUND_KEY]")
        .fails("NOT_GRANTED", &["the proxy `{other}` is not granted"])
        .twin(Twin::Line("proxies: [\"{other}\"]")),
    attack("secret-echoed", "Http", &["POST", "http://{open}/echo", BEARER, FORM])
        .under(NEAR)
        .cut(&["200 Bearer ****** key=******"])
        .twin(Twin::With(&["POST", "http://{open}/", BEARER, FORM])),
    attack("secret-log", "Secret", &["log", GIVEN]).under(SECRET).cut(&[MASKED]).twin(Twin::With(&["log", "plain"])),
    attack("secret-print", "Secret", &["print", GIVEN])
        .under(SECRET)
        .cut(&[MASKED])
        .twin(Twin::With(&["print", "plain"])),
    attack("secret-output", "Secret", &["output", GIVEN])
        .under(SECRET)
        .cut(&["\"value\":\"******\""])
        .twin(Twin::With(&["output", "plain"])),
    attack("secret-error", "Secret", &["error", GIVEN])
        .under(SECRET)
        .fails("TOLD", &["******"])
        .twin(Twin::With(&["output", "plain"])),
    attack("secret-code", "Secret", &["code", GIVEN])
        .under(SECRET)
        .fails("******", &["told in its code"])
        .twin(Twin::With(&["output", "plain"])),
    attack("secret-panic", "Secret", &["panic", GIVEN])
        .under(SECRET)
        .fails("PANIC", &["the plugin panicked: it is ******"])
        .twin(Twin::With(&["output", "plain"])),
    attack("secret-metric", "Secret", &["metric", GIVEN]).under(SECRET).cut(&[]).twin(Twin::With(&["metric", "plain"])),
    attack("secret-progress", "Secret", &["progress", GIVEN])
        .under(SECRET)
        .cut(&["1 % ******"])
        .twin(Twin::With(&["progress", "plain"])),
    attack("secret-given", "Secret", &["output", GIVEN])
        .under("secrets: [OTHER_KEY]")
        .fails("GRANT_MISSING", &["secret `API_KEY` is not granted"])
        .twin(Twin::Line("secrets: [\"API_KEY\"]")),
    attack("secret-handle", "Secret", &["handle", "API_KEY"])
        .under("secrets: [\"OTHER_*\"]")
        .fails("NOT_GRANTED", &["secret `API_KEY` is not granted"])
        .twin(Twin::Line("secrets: [\"API_KEY\"]")),
    attack("secret-unknown", "Secret", &["handle", "NO_KEY"])
        .under("secrets: true")
        .fails("NOT_FOUND", &["there is no secret `NO_KEY`"])
        .twin(Twin::With(&["handle", "API_KEY"])),
    attack("secret-reveal", "Secret", &["reveal", "API_KEY"])
        .under("secrets: true")
        .fails("NOT_GRANTED", &["secret `API_KEY` in the clear is not granted"])
        .twin(Twin::Line("reveal: [\"API_KEY\"]")),
    attack("secret-sign", "Secret", &["sign", "API_KEY", "hmac-sha256"])
        .under("secrets: [OTHER_KEY]")
        .fails("NOT_GRANTED", &["secret `API_KEY` is not granted"])
        .twin(Twin::Line("secrets: [\"API_KEY\"]")),
    attack("secret-field", "Secret", &["field", "API_KEY", "/client_email"])
        .under("secrets: [OTHER_KEY]")
        .fails("NOT_GRANTED", &["secret `API_KEY` is not granted"])
        .twin(Twin::Past("secrets: [\"API_KEY\"]", "BAD_ARGUMENT")),
    attack("secret-kept", "Kv", &["set-and-get", "", "k", "\"{{ secret('API_KEY') }}\""])
        .under("kv: [\"write k\"], secrets: [API_KEY]")
        .cut(&["******"])
        .twin(Twin::With(&["set-and-get", "", "k", "\"plain\""])),
];
