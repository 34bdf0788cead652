//! Requests: where they may go, what may be in them, how much of them there may be, and servers that are hostile themselves.

use crate::attack::{Attack, Twin, attack};

const OPEN: &str = "network: [\"{open}\"]";
const DENIED: &str = "HttpRequestDenied";
const PLAIN: Twin = Twin::With(&["GET", "http://{open}/"]);
const SECOND: &str = "timeout: PT1S";
const LATE: &str = "Timeout: the task ran longer than 1s";

pub const TABLE: &[Attack] = &[
    attack("http", "Http", &["GET", "http://{open}/"])
        .fails(DENIED, &["a GET request to `http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-named-by-flow", "Http", &["GET", "http://{open}/"])
        .under("network: [flow, plugin]")
        .more("uri: 'http://{open}/'")
        .fails(DENIED, &["a GET request to `http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-short", "Http", &["GET", "http://127.1:{port}/"])
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-decimal", "Http", &["GET", "http://2130706433:{port}/"])
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-hex", "Http", &["GET", "http://0x7f000001:{port}/"])
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-octal", "Http", &["GET", "http://0177.0.0.01:{port}/"])
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-mapped", "Http", &["GET", "http://[::ffff:127.0.0.1]:{port}/"])
        .fails(DENIED, &["`http://[::ffff:7f00:1]:{port}` is not granted"])
        .twin(Twin::Line("network: [\"[::ffff:7f00:1]:{port}\"]")),
    attack("http-metadata", "Http", &["GET", "http://169.254.169.254/latest/"])
        .under("network: [\"*\"]")
        .fails(
            "DestinationIpProhibited",
            &["`169.254.169.254` is at 169.254.169.254, a metadata service", "hint: grant its address itself"],
        )
        .twin(PLAIN),
    attack("http-unspecified", "Http", &["GET", "http://0.0.0.0:{port}/"])
        .under("network: [\"*\"]")
        .fails("DestinationIpProhibited", &["`0.0.0.0` is at 0.0.0.0, no destination"])
        .twin(PLAIN),
    attack("http-name-of-metadata", "Http", &["GET", "http://metadata.test/"])
        .under("network: [metadata.test, open.test]")
        .fails("DestinationIpProhibited", &["`metadata.test` is at 169.254.169.254, a metadata service"])
        .twin(Twin::With(&["GET", "http://open.test:{port}/"])),
    attack("http-userinfo", "Http", &["GET", "http://open.test@127.0.0.1:{port}/"])
        .under("network: [open.test]")
        .fails("HttpRequestUriInvalid", &["a URL may not carry credentials; hint: "])
        .twin(Twin::With(&["GET", "http://open.test:{port}/"])),
    attack("http-host-header", "Http", &["GET", "http://{open}/", "header host: internal.test"])
        .under(OPEN)
        .fails("Forbidden", &["Forbidden"])
        .twin(Twin::With(&["GET", "http://{open}/", "header x-host: internal.test"])),
    attack("http-method", "Http", &["POST", "http://{open}/"])
        .under("network: [\"GET {open}\"]")
        .fails(DENIED, &["a POST request to `http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-port", "Http", &["GET", "http://{open}/"])
        .under("network: [\"127.0.0.1:1\"]")
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-scheme", "Http", &["GET", "http://{open}/"])
        .under("network: [\"https://{open}\"]")
        .fails(DENIED, &["`http://{open}` is not granted"])
        .twin(Twin::Line("network: [\"{open}\"]")),
    attack("http-other-scheme", "Http", &["GET", "ftp://{open}/"])
        .under(OPEN)
        .fails("HttpProtocolError", &["HttpProtocolError"])
        .twin(PLAIN),
    attack("http-below", "Http", &["GET", "http://openXtest:{port}/"])
        .under("network: [\"*.test\"]")
        .fails(DENIED, &["`http://openxtest:{port}` is not granted"])
        .twin(Twin::With(&["GET", "http://open.test:{port}/"])),
    attack("http-redirect", "Http", &["GET", "http://{open}/to?http://169.254.169.254/", "follow"])
        .under(OPEN)
        .fails(DENIED, &["a GET request to `http://169.254.169.254:80` is not granted"])
        .twin(Twin::With(&["GET", "http://{open}/to?http://{open}/", "follow"])),
    attack("http-redirect-twice", "Http", &["GET", "http://{open}/to?http://{open}/to?http://{other}/", "follow"])
        .under(OPEN)
        .fails(DENIED, &["a GET request to `http://{other}` is not granted"])
        .twin(Twin::Line("network: [\"{other}\"]")),
    attack("http-rebinding", "Http", &["GET", "http://turning.test:{port}/close", "times 2"])
        .under("network: [turning.test, open.test]")
        .fails("DestinationIpProhibited", &["`turning.test` is at 169.254.169.254, a metadata service"])
        .twin(Twin::With(&["GET", "http://open.test:{port}/close", "times 2"])),
    attack("http-proxy", "Http", &["GET", "http://open.test/", PROXY])
        .under("network: [open.test]")
        .fails("NOT_GRANTED", &["the proxy `{open}` is not granted"])
        .twin(Twin::Line("proxies: [\"{open}\"]")),
    attack("http-insecure", "Http", &["GET", "http://{open}/", "options {\"insecure\":true}"])
        .under(OPEN)
        .fails("NOT_GRANTED", &["TLS without checking certificates is not granted"])
        .twin(Twin::Line("insecureTls: true")),
    attack("http-foreign-options", "Http", &["GET", "http://{open}/", "header sluice-egress: options-1"])
        .under(OPEN)
        .fails(DENIED, &["options-1"])
        .twin(PLAIN),
    attack("http-connect", "Http", &["CONNECT", "http://{open}/"])
        .under(OPEN)
        .fails("HttpRequestUriInvalid", &["CONNECT requests are not possible from a plugin"])
        .twin(PLAIN),
    attack("http-trace", "Http", &["TRACE", "http://{open}/"])
        .under(OPEN)
        .fails("HttpRequestUriInvalid", &["TRACE requests are not possible from a plugin"])
        .twin(PLAIN),
    attack("http-crlf-header", "Http", &["GET", "http://{open}/", "header x-a: b\r\nx-evil: c"])
        .under(OPEN)
        .fails("InvalidSyntax", &["InvalidSyntax"])
        .twin(Twin::With(&["GET", "http://{open}/", "header x-a: b"])),
    attack("http-crlf-path", "Http", &["GET", "http://{open}/a\r\nx-evil: c"])
        .under(OPEN)
        .fails("PATH", &["the interface does not take it"])
        .twin(PLAIN),
    attack("http-crlf-method", "Http", &["GET / HTTP/1.1\r\nx-evil: c\r\n\r\nGET", "http://{open}/"])
        .under(OPEN)
        .fails("METHOD", &["the interface does not take it"])
        .twin(PLAIN),
    attack("http-smuggled", "Http", &["POST", "http://{open}/", "header transfer-encoding: chunked", "body 0"])
        .under(OPEN)
        .fails("Forbidden", &["Forbidden"])
        .twin(Twin::With(&["POST", "http://{open}/", "body 0"])),
    attack("http-headers", "Http", &["GET", "http://{open}/", "headers 1000"])
        .under(OPEN)
        .fails("HEADER_LIMIT", &["the headers of one request have more than 131072 bytes", "hint: "])
        .twin(Twin::With(&["GET", "http://{open}/", "headers 10"])),
    attack("http-body", "Http", &["POST", "http://{open}/", "body-bytes 2000000"])
        .under(OPEN)
        .fails("HttpRequestBodySize", &["a request body is over the limit of 1048576 bytes"])
        .twin(Twin::With(&["POST", "http://{open}/", "body-bytes 1000"])),
    attack("http-at-once", "Http", &["GET", "http://{open}/", "at-once 9"])
        .under(OPEN)
        .fails(
            "ConnectionLimitReached",
            &["the run has 8 requests open, its limit; hint: read and drop responses first"],
        )
        .twin(Twin::With(&["GET", "http://{open}/", "at-once 8"])),
    attack("http-in-all", "Http", &["GET", "http://{open}/", "times 60"])
        .under(OPEN)
        .fails("ConnectionLimitReached", &["the run has made 50 requests, its limit"])
        .twin(Twin::With(&["GET", "http://{open}/", "times 40"])),
    attack("http-silent", "Http", &["GET", "http://{open}/silent"])
        .under(OPEN)
        .more(SECOND)
        .fails("timeout", &[LATE])
        .twin(PLAIN),
    attack("http-drip", "Http", &["GET", "http://{open}/drip"])
        .under(OPEN)
        .more(SECOND)
        .fails("timeout", &[LATE])
        .twin(PLAIN),
    attack("http-endless", "Http", &["GET", "http://{open}/endless"])
        .under(OPEN)
        .fails("READ", &["a response body is over the limit of 1048576 bytes"])
        .twin(PLAIN),
    attack("http-giant-header", "Http", &["GET", "http://{open}/giant-header"])
        .under(OPEN)
        .fails("HttpResponseHeaderSectionSize", &["HttpResponseHeaderSectionSize"])
        .twin(PLAIN),
];

const PROXY: &str = "options {\"proxy\":{\"url\":\"http://{open}\"}}";
