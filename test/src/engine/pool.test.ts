import t, { type Test } from 'tap';
import { tensor } from '../../../export/graph/tensor.js';
import { roundTripReporter } from '../../../src/engine/backend.js';
import { createPool, type PoolSettings } from '../../../src/engine/pool.js';
import type { Edition } from '../../../src/engine/protocol.js';
import type { Replica, StartReplica } from '../../../src/engine/replica.js';

/** Replicas that record the sizes of their batches, and end one when they are told to. */
function replicas(count: number) {
  const sizes: number[] = [];
  const ends: (() => void)[] = [];
  const start: StartReplica = (events) => {
    let idle = true;
    return {
      isIdle: () => idle,
      isUp: () => true,
      run({ input }) {
        const images = input.dims[0]!;
        idle = false;
        sizes.push(images);
        ends.push(() => {
          idle = true;
          events.ended({ kind: 'done', outputs: { logits: tensor('float32', [images, 1], new Float32Array(images)) } });
          events.idle();
        });
      },
      load: async () => true,
      unload: () => undefined,
      close: async () => undefined,
      hung: () => 0,
    } satisfies Replica;
  };
  return { sizes, ends, start: Array.from({ length: count }, () => start) };
}

const edition = (name: string, limit = 1) =>
  ({ id: name, limit, buckets: [], folder: '', manifest: { name } }) as object as Edition;

const image = tensor('uint8', [1, 1], [7]);

/** Sizes of the batches of fourteen requests, of which all but two come while both replicas are busy. */
async function batchesOf(t: Test, settings: Pick<PoolSettings, 'fairShare' | 'maxDelay'>): Promise<number[]> {
  const { sizes, ends, start } = replicas(2);
  let now = 0;
  const clock = t.intercept(performance, 'now', { value: () => now });
  let due: (() => void) | undefined;
  const timers = t.intercept(globalThis, 'setTimeout', {
    value: (run: () => void) => {
      due = run;
    },
  });
  const pool = createPool({ replicas: start, needed: 2, ...settings }, {});
  const answers = Array.from({ length: 14 }, () =>
    pool.run({ model: edition('m', 64), graph: 'forward', input: image, outputs: ['logits'] }),
  );
  now += settings.maxDelay;
  due?.();
  for (let end = ends.shift(); end; end = ends.shift()) end();
  timers.restore();
  clock.restore();
  await Promise.all(answers);
  return sizes;
}

t.test('an idle replica leaves the others their share of the queue, unless batches should be full', async (t) => {
  t.same(await batchesOf(t, { fairShare: true, maxDelay: 0 }), [1, 1, 5, 4, 3]);
  t.same(await batchesOf(t, { fairShare: false, maxDelay: 0 }), [1, 1, 12]);
  t.same(await batchesOf(t, { fairShare: true, maxDelay: 5 }), [14], 'a delay is there to fill batches');
});

t.test('round trips are reported with whether their features equal the first ones', async (t) => {
  const seen: [string, boolean][] = [];
  const report = roundTripReporter({ tested: (model, _found, alike) => void seen.push([model, alike]) });
  const found = (features: string) => ({ images: 4, exactPixels: 4, exactFloat: 4, features });
  for (const [model, features] of ['m a', 'm b', 'n b', 'm a'].map((text) => text.split(' '))) {
    report(edition(model!), found(features!));
  }
  t.same(seen, [
    ['m', true],
    ['m', false],
    ['n', true],
    ['m', true],
  ]);
});
