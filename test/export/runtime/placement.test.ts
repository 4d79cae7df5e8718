import { readdirSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packagePath } from '../../../export/files/package.js';
import { tensor } from '../../../export/graph/tensor.js';
import { missingForCuda } from '../../../export/runtime/cuda.js';
import { checkPlacement, openPlaced, PlacementError, placementOf } from '../../../export/runtime/placement.js';

const node = (op_name: string, provider: string) => ({ cat: 'Node', args: { op_name, provider } });

t.test(
  'nodes are counted where they ran; convolutions and products must all be where they were asked for',
  async (t) => {
    const events = [
      { cat: 'Session' },
      { cat: 'Node', args: { op_name: 'Conv' } },
      node('FusedConv', 'CUDAExecutionProvider'),
      node('Gemm', 'CUDAExecutionProvider'),
      node('Relu', 'CUDAExecutionProvider'),
      node('Shape', 'CPUExecutionProvider'),
    ];
    const placement = placementOf(events);
    t.same(Object.fromEntries(placement), {
      CUDAExecutionProvider: { all: 3, heavy: 2 },
      CPUExecutionProvider: { all: 1, heavy: 0 },
    });
    checkPlacement(placement, 'cuda');
    t.throws(() => checkPlacement(placement, 'cpu'), PlacementError);
    const fallen = placementOf([...events, node('MatMul', 'CPUExecutionProvider')]);
    t.throws(() => checkPlacement(fallen, 'cuda'), {
      message: /2 on CUDAExecutionProvider, 1 on CPUExecutionProvider/,
    });
    t.throws(() => checkPlacement(placementOf([]), 'cuda'), { message: /0 on CUDAExecutionProvider, none anywhere/ });
  },
);

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('irevnet-profile-')).length;

t.test('a session tells where its nodes ran, and leaves nothing behind', async (t) => {
  const before = leftovers();
  const path = packagePath('onnx', 'fashion-mnist', 'forward.onnx');
  const feeds = { pixels: tensor('uint8', [1, 28, 28, 1], new Uint8Array(784)) };
  const session = await openPlaced(path, { threads: 1 }, (opened) => opened.run(feeds));
  t.same((await session.run(feeds, ['logits'])).logits!.dims, [1, 10], 'it goes on without a profile');
  await session.release();
  await t.rejects(
    openPlaced(path, { threads: 1 }, async () => undefined),
    PlacementError,
    'nothing ran',
  );
  await t.rejects(
    openPlaced(path, { threads: 1 }, () => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  t.equal(leftovers(), before);
});

t.test('what CUDA lacks is named', async (t) => {
  const folder = t.testdir();
  t.match(
    await missingForCuda(folder),
    /libonnxruntime_providers_cuda\.so is not installed .*--onnxruntime-node-install/,
  );
  // What the dynamic linker says is read; a script in its place says it.
  const bin = t.testdir({});
  await writeFile(join(folder, 'libonnxruntime_providers_cuda.so'), '');
  await writeFile(
    join(bin, 'ldd'),
    '#!/bin/sh\nprintf "\\tlibcudnn.so.9 => not found\\n\\tlibc.so.6 => /lib/libc.so.6\\n\\tlibcudart.so.12 => not found\\n"\n',
  );
  await chmod(join(bin, 'ldd'), 0o755);
  const path = process.env.PATH;
  t.teardown(() => {
    process.env.PATH = path;
  });
  process.env.PATH = `${bin}:${path}`;
  t.match(await missingForCuda(folder), /not found: libcudnn\.so\.9, libcudart\.so\.12; install CUDA and cuDNN/);
});
