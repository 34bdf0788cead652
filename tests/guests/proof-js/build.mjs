// Builds target/guests/proof-js.wasm. componentize-js is not part of this repository: install it anywhere with
// `npm install --prefix FOLDER @bytecodealliance/componentize-js@0.23`, then `node build.mjs FOLDER`.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../../..');
const installed = resolve(process.argv[2] ?? '.');
const out = join(root, 'target/guests');

// One folder of WIT: ours, and WASI's as the host's own wasmtime carries it.
function assembleWit() {
  const wit = join(out, 'proof-js-wit');
  rmSync(wit, { recursive: true, force: true });
  const deps = join(wit, 'deps');
  mkdirSync(deps, { recursive: true });
  for (const name of readdirSync(join(root, 'wit'))) {
    if (name.includes('@')) cpSync(join(root, 'wit', name), join(deps, name.replace('@', '-')), { recursive: true });
  }
  const metadata = execFileSync('cargo', ['metadata', '--format-version', '1'], { cwd: root, maxBuffer: 1 << 28 });
  const host = JSON.parse(metadata).packages.find(({ name }) => name === 'wasmtime-wasi-http');
  const wasi = join(dirname(host.manifest_path), 'wit/deps');
  for (const name of readdirSync(wasi)) cpSync(join(wasi, name), join(deps, name), { recursive: true });
  writeFileSync(join(wit, 'world.wit'), 'package proof:js;\n\nworld plugin {\n  include sluice:plugin/plain-task@1.0.0;\n}\n');
  return wit;
}

const tool = join(installed, 'node_modules/@bytecodealliance/componentize-js/src/componentize.js');
const { componentize } = await import(pathToFileURL(tool).href);
const started = Date.now();
const { component, imports } = await componentize({
  sourcePath: join(here, 'guest.js'),
  witPath: assembleWit(),
  worldName: 'plugin',
});
const file = join(out, 'proof-js.wasm');
writeFileSync(file, component);
const used = [...new Set(imports.map(([name]) => name))];
console.log(`${file}: ${component.length} bytes in ${Date.now() - started} ms, calls ${used.join(', ')}`);
