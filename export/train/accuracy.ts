import { type Images, pixelsOf, select } from '../data/datasets.js';
import type { NamedTensors, Tensor } from '../graph/tensor.js';
import { emitInline, forwardGraph } from '../model/graphs.js';
import type { Network } from '../networks/index.js';
import { openSession } from '../runtime/session.js';

const EVALUATION_BATCH = 250;

/** The share of images whose label has the highest score, by running statistics. */
export async function accuracyOf(
  network: Network,
  weights: NamedTensors,
  images: Images,
  threads: number,
): Promise<number> {
  const session = await openSession(emitInline(forwardGraph(network), weights), { threads });
  try {
    let correct = 0;
    for (let at = 0; at < images.count; at += EVALUATION_BATCH) {
      const count = Math.min(EVALUATION_BATCH, images.count - at);
      const batch = select(
        images,
        Array.from({ length: count }, (_, i) => at + i),
      );
      const { logits } = await session.run({ pixels: pixelsOf(batch) }, ['logits']);
      correct += countCorrect(logits!, batch.labels);
    }
    return correct / images.count;
  } finally {
    await session.release();
  }
}

/** How many rows of [N, classes] have their largest score at the label. */
export function countCorrect({ data, dims }: Tensor, labels: Uint8Array): number {
  const classes = dims[1]!;
  let correct = 0;
  for (let n = 0; n < labels.length; n++) {
    const row = (data as Float32Array).subarray(n * classes, (n + 1) * classes);
    if (row.indexOf(Math.max(...row)) === labels[n]) correct++;
  }
  return correct;
}
