//! WASI as every language's standard library wants it, with nothing behind it: no arguments, no environment, no network, no files but
//! a granted working directory. Clocks and random come from here, so that a tape can replay them.

use crate::calls::Shared;
use crate::capture::{Capture, Stream};
use crate::grants::Access;
use crate::tape::Call;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtx};

/// The context of one run.
pub(crate) fn context(shared: &Arc<Shared>) -> Result<WasiCtx, crate::Failure> {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(Capture::new(Stream::Out, shared.clone()))
        .stderr(Capture::new(Stream::Error, shared.clone()))
        .wall_clock(Clock::new(shared.clone()))
        .monotonic_clock(Clock::new(shared.clone()))
        .max_random_size(shared.limits.random_bytes)
        // Sockets always refuse: a request leaves through `wasi:http`, where the grants are asked.
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    let permissions = match shared.grants.working_dir {
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
