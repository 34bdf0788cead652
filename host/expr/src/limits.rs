//! How much one evaluation may cost, and the settings it runs under. All configurable; the defaults say why.
use jiff::tz::TimeZone;

/// Steps of evaluation: each node, loop turn, list item and 64 bytes of text made count one. About 50 ms of one core.
const FUEL: u64 = 1_000_000;
/// Nesting of expressions, tags, calls, renders and values: far above what people write, far below a 2 MiB stack.
const DEPTH: u32 = 64;
/// Bytes of one rendered text: larger things belong into files.
const OUTPUT_BYTES: usize = 1 << 20;
/// Bytes of one template.
const TEMPLATE_BYTES: usize = 1 << 20;
/// Rounds of recursive rendering before it counts as endless.
const RENDER_ROUNDS: u32 = 100;

/// Limits of one evaluation; hitting one is `Error::Limit` with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub fuel: u64,
    pub depth: u32,
    pub output_bytes: usize,
    pub template_bytes: usize,
    pub render_rounds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            fuel: FUEL,
            depth: DEPTH,
            output_bytes: OUTPUT_BYTES,
            template_bytes: TEMPLATE_BYTES,
            render_rounds: RENDER_ROUNDS,
        }
    }
}

/// What an evaluation runs under.
#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    /// Zone for dates that name none.
    pub zone: TimeZone,
    /// Renders results again until they hold no expression (Kestra's `recursive-rendering`).
    pub recursive: bool,
    /// Part of the identity of impure calls (`uuid()`, `randomInt()`): give every template evaluated with the same
    /// memo its own number, or equal calls get equal answers. `render_value` counts through a whole tree by itself.
    pub site: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { limits: Limits::default(), zone: TimeZone::UTC, recursive: false, site: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_what_the_documentation_says() {
        let Limits { fuel, depth, output_bytes, template_bytes, render_rounds } = Limits::default();
        assert_eq!((fuel, depth, render_rounds), (1_000_000, 64, 100));
        assert_eq!((output_bytes, template_bytes), (1_048_576, 1_048_576));
        let settings = Settings::default();
        assert_eq!(
            (settings.limits, settings.zone, settings.recursive, settings.site),
            (Limits::default(), TimeZone::UTC, false, 0)
        );
    }
}
