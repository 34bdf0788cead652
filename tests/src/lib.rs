//! Helpers the test binaries share.
