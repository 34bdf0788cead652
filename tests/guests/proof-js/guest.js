// Proof for `wit/`: a plugin in JavaScript. Its tasks greet, read a streamed answer, and end in the ways a run can end badly.
// It uses the standard `fetch`; the host's own interfaces are ordinary modules.

import { get, attempt, remainingMs } from 'sluice:host/context@1.0.0';
import { log } from 'sluice:host/log@1.0.0';

const manifest = {
  name: 'proof-js',
  version: '1.0.0',
  title: 'Proof: JavaScript',
  tasks: ['Greet', 'Stream', 'Fail', 'Throw', 'Spin', 'Eat'].map((name) => ({ type: `proof.js.${name}` })),
};

const tasks = {
  'proof.js.Greet': async ({ name }) => {
    log('info', `hello ${name}`, [['flow', get('flow.id') ?? 'none'], ['attempt', String(attempt())]]);
    console.log('standard output is logged too');
    // A u64 is a BigInt, which JSON does not know.
    const left = remainingMs();
    return { value: `Hello, ${name}!`, bounded: left !== undefined && left > 0n };
  },

  'proof.js.Stream': async ({ url }) => {
    const response = await fetch(url);
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let [pieces, text] = [0, ''];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { status: response.status, pieces, text };
      const piece = decoder.decode(value, { stream: true });
      log('info', `piece ${piece}`, []);
      pieces += 1;
      text += piece;
    }
  },

  'proof.js.Fail': async () => {
    // A thrown value is the error of the export if it has the record's fields.
    throw { code: 'PROOF', message: 'this run was to fail', retryable: true, details: '{"why":"asked"}' };
  },

  'proof.js.Throw': async () => {
    throw new TypeError('thrown without being asked');
  },

  'proof.js.Spin': async () => {
    for (;;);
  },

  'proof.js.Eat': async () => {
    const taken = [];
    for (;;) taken.push(new Uint8Array(1 << 20).fill(1));
  },
};

// What is thrown without a code is a fault of the plugin: said in its words, never as a trap.
function failure(error) {
  if (error !== null && typeof error === 'object' && typeof error.code === 'string') return error;
  return { code: 'THROWN', message: String(error), retryable: undefined, details: undefined };
}

export const run = {
  async run(task, input) {
    const found = tasks[task];
    if (!found) throw { code: 'UNKNOWN_TASK', message: `this plugin has no task type \`${task}\``, retryable: false };
    try {
      return JSON.stringify(await found(JSON.parse(input)));
    } catch (error) {
      throw failure(error);
    }
  },
};

export const describe = {
  describe() {
    return JSON.stringify(manifest);
  },
};
