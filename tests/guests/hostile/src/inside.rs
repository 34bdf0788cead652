//! What is around a guest, and what it asks of the server: surroundings, clocks, sockets, values, documents, programs, models, secrets,
//! templates.

use crate::answers::{Answer, failed, number, refused, variant};
use crate::sluice::host::{context, kv as values, log, objects, process as programs, report, reveal, secrets, template as templates};
use crate::sluice::llm::broker;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

pub fn around(with: &[&str]) -> Answer {
    let found = match with.first().copied().unwrap_or_default() {
        "environment" => wasip2::cli::environment::get_environment().into_iter().map(|(name, value)| name + "=" + &value).collect(),
        "arguments" => wasip2::cli::environment::get_arguments(),
        "directory" => wasip2::cli::environment::initial_cwd().into_iter().collect(),
        "folders" => wasip2::filesystem::preopens::get_directories().into_iter().map(|(_, name)| name).collect(),
        "stdin" => {
            let bytes = wasip2::cli::stdin::get_stdin().blocking_read(16).unwrap_or_default();
            Vec::from_iter((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned()))
        }
        "terminal" => Vec::from_iter(wasip2::cli::terminal_stdout::get_terminal_stdout().map(|_| String::from("a terminal"))),
        "exit" => std::process::exit(3),
        "panic" => panic!("no way out"),
        "flow" => context::get("flow.id").into_iter().collect(),
        // What the property says is what a plugin may know.
        "given" => with.get(1).map(|text| (*text).to_owned()).into_iter().collect(),
        other => return Err(failed("NO_OPERATION", other)),
    };
    let found: Vec<String> = found;
    if found.is_empty() { Err(failed("NOTHING", "there is nothing")) } else { Ok(found.join(" ")) }
}

/// `NANOSECONDS` or `until NANOSECONDS`.
pub fn sleep(with: &[&str]) -> Answer {
    use wasip2::clocks::monotonic_clock::{now, subscribe_duration, subscribe_instant};
    match with.first() {
        Some(&"until") => subscribe_instant(number(with.get(1))).block(),
        Some(&"busy") => {
            let end = now().saturating_add(number(with.get(1)));
            while now() < end {}
        }
        length => subscribe_duration(number(length)).block(),
    }
    Ok(String::new())
}

pub fn socket(with: &[&str]) -> Answer {
    let network = instance_network::instance_network();
    let here = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: number(with.get(1)) as u16, address: (127, 0, 0, 1) });
    match with.first().copied().unwrap_or_default() {
        "tcp" => {
            let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map_err(variant)?;
            socket.start_connect(&network, here).map_err(variant)?;
            socket.subscribe().block();
            socket.finish_connect().map_err(variant)?;
        }
        "bind" => {
            let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map_err(variant)?;
            socket.start_bind(&network, here).map_err(variant)?;
            socket.finish_bind().map_err(variant)?;
            socket.start_listen().map_err(variant)?;
        }
        "udp" => {
            let socket = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4).map_err(variant)?;
            socket.start_bind(&network, here).map_err(variant)?;
            socket.finish_bind().map_err(variant)?;
        }
        "udp6" => drop(udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6).map_err(variant)?),
        "lookup" => {
            let found = ip_name_lookup::resolve_addresses(&network, "localhost").map_err(variant)?;
            found.subscribe().block();
            found.resolve_next_address().map_err(variant)?;
        }
        other => return Err(failed("NO_OPERATION", other)),
    }
    Ok(String::new())
}

/// `OPERATION NAMESPACE KEY [VALUE]`; an empty namespace is none.
pub fn kv(with: &[&str]) -> Answer {
    let text = |at: usize| with.get(at).copied().unwrap_or_default();
    let namespace = Some(text(1)).filter(|name| !name.is_empty());
    match text(0) {
        "get" => values::get(namespace, text(2)).map(Option::unwrap_or_default).map_err(refused),
        "set" => values::set(namespace, text(2), text(3), "{}").map(|()| String::new()).map_err(refused),
        "set-and-get" => {
            values::set(namespace, text(2), text(3), "{}").map_err(refused)?;
            values::get(namespace, text(2)).map(Option::unwrap_or_default).map_err(refused)
        }
        "large" => {
            let value = format!("\"{}\"", "v".repeat(number(with.get(3)) as usize));
            values::set(namespace, text(2), &value, "{}").map(|()| String::new()).map_err(refused)
        }
        "many" => {
            for number in 0..number(with.get(3)) {
                values::set(namespace, &format!("{}{number}", text(2)), "1", "{}").map_err(refused)?;
            }
            Ok(String::new())
        }
        "delete" => values::delete(namespace, text(2)).map(|was| was.to_string()).map_err(refused),
        "keys" => values::keys(namespace, text(2), None).map(|keys| keys.join(" ")).map_err(refused),
        "find" => values::find(text(2)).map_err(refused),
        other => Err(failed("NO_OPERATION", other)),
    }
}

pub fn object(with: &[&str]) -> Answer {
    let text = |at: usize| with.get(at).copied().unwrap_or_default();
    match text(0) {
        "find" => objects::find(text(1)).map_err(refused),
        "read" => objects::read(text(1), text(2), text(3)).map(Option::unwrap_or_default).map_err(refused),
        "apply" => objects::apply(text(1)).map_err(refused),
        other => Err(failed("NO_OPERATION", other)),
    }
}

/// `SPEC [at-once]`: started, and waited for.
pub fn process(with: &[&str]) -> Answer {
    let spec = with.first().copied().unwrap_or_default();
    let count = with.get(1).map_or(1, |count| number(Some(count)));
    let all: Result<Vec<_>, _> = (0..count).map(|_| programs::start(spec).map_err(refused)).collect();
    let mut said = Vec::new();
    for child in all? {
        child.close_input();
        while let Some((_, bytes)) = child.read().map_err(refused)? {
            said.extend(bytes);
        }
        child.wait().map_err(refused)?;
    }
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

pub fn model(with: &[&str]) -> Answer {
    let provider = with.first().copied().unwrap_or_default();
    let failed = |failure: broker::Failure| failed(&failure.code, failure.message);
    broker::chat(provider, "{}", "{}").and_then(|answer| answer.finish()).map_err(failed)
}

/// `OPERATION NAME [MORE]`.
pub fn secret(with: &[&str]) -> Answer {
    let text = |at: usize| with.get(at).copied().unwrap_or_default();
    match text(0) {
        "handle" => secrets::handle(text(1)).map_err(refused),
        "reveal" => reveal::reveal(text(1)).map(|bytes| bytes.len().to_string()).map_err(refused),
        "sign" => secrets::sign(text(1), text(2), "{}", b"data").map(|bytes| bytes.len().to_string()).map_err(refused),
        "field" => secrets::field(text(1), text(2)).map_err(refused),
        // What the flow gave is said where it does not belong.
        "log" => {
            log::log(log::Level::Info, &format!("it is {}", text(1)), &[("field".to_owned(), text(1).to_owned())]);
            Ok(String::new())
        }
        "print" => {
            println!("it is {}", text(1));
            eprintln!("it is {}", text(1));
            Ok(String::new())
        }
        "metric" => {
            report::metric("counter", text(1), 1.0, &[("tag".to_owned(), text(1).to_owned())]);
            Ok(String::new())
        }
        "progress" => {
            report::progress(Some(1), text(1));
            Ok(String::new())
        }
        "output" => Ok(text(1).to_owned()),
        "error" => Err(failed("TOLD", text(1))),
        "code" => Err(failed(text(1), "told in its code")),
        "panic" => panic!("it is {}", text(1)),
        other => Err(failed("NO_OPERATION", other)),
    }
}

/// `TEMPLATE`, with `((` for what an expression begins with.
pub fn template(with: &[&str]) -> Answer {
    templates::render(with.first().copied().unwrap_or_default(), "{\"n\": 1}").map_err(refused)
}
