//! WASI as every language's standard library wants it, with nothing behind it: no arguments, no environment, no network, no files but
//! a granted working directory. Clocks and random come from here, so that a tape can replay them.

use crate::calls::Shared;
use crate::capture::{Capture, Stream};
use crate::grants::Access;
use crate::state::State;
use crate::tape::Call;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wasmtime::StoreContextMut;
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::p2::bindings;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtx};

/// The context of one run.
pub(crate) fn context(shared: &Arc<Shared>) -> Result<WasiCtx, crate::Failure> {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(Capture::new(Stream::Out, shared.clone()))
        .stderr(Capture::new(Stream::Error, shared.clone()))
        .wall_clock(Clock::new(shared.clone()))
        .monotonic_clock(Clock::new(shared.clone()))
        // Sockets always refuse: a request leaves through `wasi:http`, where the grants are asked.
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    let permissions = match shared.grants.working_dir() {
        Access::None => None,
        Access::Read => Some(FsPerms::ReadOnly),
        Access::Write => Some(FsPerms::ReadWrite),
    };
    if let (Some(permissions), Some(directory)) = (permissions, &shared.working_dir) {
        builder.preopened_dir(directory, ".", permissions).map_err(|cause| {
            crate::Failure::host(format!("the working directory `{}` cannot be opened: {cause:#}", directory.display()))
        })?;
        builder.initial_cwd(".");
    }
    Ok(builder.build())
}

/// Both clocks, asked through the recorder.
struct Clock {
    shared: Arc<Shared>,
    start: Instant,
}

impl Clock {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, start: Instant::now() }
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        const NOW: Call = Call::new("wasi:clocks/wall-clock", "now");
        let nanos = self.shared.note(NOW, &[], || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        });
        Duration::from_nanos(nanos)
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        const NOW: Call = Call::new("wasi:clocks/monotonic-clock", "now");
        self.shared.note(NOW, &[], || u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Random bytes and numbers. Our own host functions in place of the library's, which would draw byte by byte and so fill the tape.
mod random {
    use crate::calls::Recorded;
    use crate::state::State;
    use crate::tape::Call;
    use wasmtime_wasi::Rng;
    use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

    /// One draw, recorded. Each run has a generator of its own, seeded by the operating system when first asked.
    fn draw<T: Recorded>(state: &mut State, call: Call, from: impl FnOnce(&mut (dyn Rng + Send)) -> T) -> T {
        let State { shared, random, .. } = state;
        shared.note(call, &[], || from(&mut **random.get_or_insert_with(wasmtime_wasi::thread_rng)))
    }

    fn draw_bytes(state: &mut State, call: Call, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > state.shared.limits.random_bytes {
            return Err(wasmtime::Error::new(super::TooMuchRandom));
        }
        let length = usize::try_from(length)?;
        Ok(draw(state, call, |source| {
            let mut bytes = vec![0; length];
            source.fill_bytes(&mut bytes);
            bytes
        }))
    }

    impl random::Host for State {
        fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
            draw_bytes(self, Call::new("wasi:random/random", "get-random-bytes"), length)
        }
        fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
            Ok(draw(self, Call::new("wasi:random/random", "get-random-u64"), |source| source.next_u64()))
        }
    }

    impl insecure::Host for State {
        fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
            draw_bytes(self, Call::new("wasi:random/insecure", "get-insecure-random-bytes"), length)
        }
        fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
            Ok(draw(self, Call::new("wasi:random/insecure", "get-insecure-random-u64"), |source| source.next_u64()))
        }
    }

    impl insecure_seed::Host for State {
        fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
            let mut seed =
                || draw(self, Call::new("wasi:random/insecure-seed", "insecure-seed"), |source| source.next_u64());
            Ok((seed(), seed()))
        }
    }
}

/// Sockets and names are refused where they begin, in words: a guest only sees that access is denied.
fn no_sockets(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Refused<T> = Result<Resource<T>, ErrorCode>;
    fn refused<T: 'static>(store: &StoreContextMut<'_, State>, what: &str) -> wasmtime::Result<(Refused<T>,)> {
        store.data().shared.denied(&format!(
            "{what} is not open to plugins, and no policy opens it; hint: send requests over `wasi:http`, to hosts that `network` grants"
        ));
        Ok((Err(ErrorCode::AccessDenied),))
    }
    linker
        .instance("wasi:sockets/tcp-create-socket@0.2.12")?
        .func_wrap("create-tcp-socket", |store, (_,): (IpAddressFamily,)| {
            refused::<TcpSocket>(&store, "a TCP socket")
        })?;
    linker
        .instance("wasi:sockets/udp-create-socket@0.2.12")?
        .func_wrap("create-udp-socket", |store, (_,): (IpAddressFamily,)| {
            refused::<UdpSocket>(&store, "a UDP socket")
        })?;
    linker
        .instance("wasi:sockets/ip-name-lookup@0.2.12")?
        .func_wrap("resolve-addresses", |store, (_, _): (Resource<Network>, String)| {
            refused::<ResolveAddressStream>(&store, "looking up names")
        })
}

/// A guest asked for more random bytes at once than its limit.
#[derive(Debug, thiserror::Error)]
#[error("too many random bytes at once")]
pub(crate) struct TooMuchRandom;

/// WASI 0.2 as a whole, with our own in place of what the library does otherwise.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    bindings::random::random::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::random::insecure::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::random::insecure_seed::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    crate::directory::link(linker)?;
    no_sockets(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}
