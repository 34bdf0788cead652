//! The `#[task]` attribute of `sluice-sdk`.
