#!/usr/bin/env bash
# Rebuilds the prebuilt guest and its hash. Needs wasm32-wasip2 (`cargo xtask wasm-target`).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${TARGET_DIR:-$here/target}
export RUSTFLAGS="-C link-arg=-zstack-size=65536 --remap-path-prefix=$here/probe=probe --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
(cd "$here/probe" && cargo build --release --target wasm32-wasip2 --target-dir "$target")
cp "$target/wasm32-wasip2/release/probe.wasm" "$here/probe.wasm"
cat "$here"/probe/{Cargo.toml,Cargo.lock,src/lib.rs,src/with_secrets.rs} | sha256sum | cut -d' ' -f1 > "$here/probe.sha256"
