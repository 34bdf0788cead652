//! The plugin `git` against real git: repositories that git has made, served by git's own program over HTTP from loopback, and what the plugin makes of
//! them read back by git. Whoever has no git skips.

mod bad_input;
mod clone;
mod documents;
mod guest;
mod histories;
mod hostile;
mod kills;
mod pushes;
mod races;
mod sets;
mod submodules;
mod syncs;
mod world;
