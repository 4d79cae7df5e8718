import { noiseImages } from '../export/data/noise.js';
import { packagePath } from '../export/files/package.js';
import { tensor } from '../export/graph/tensor.js';
import { closeGraphs, openGraphs, openModel } from '../export/model/open.js';
import { median, rounded, timed } from './statistics.js';

const ROUNDS = 60;

/** The time of Φ⁻¹ over the time of Φ on the shipped model, the two in turn. */
export async function* inverse(): AsyncGenerator<object> {
  const model = await openModel(packagePath('onnx', 'fashion-mnist'));
  for (const threads of [1, 2]) {
    const graphs = await openGraphs(model.folder, threads);
    for (const batch of [1, 8, 64]) {
      const { pixels, height, width, channels } = noiseImages(batch, model.network.input, 1);
      const feeds = { pixels: tensor('uint8', [batch, height, width, channels], pixels) };
      const { features } = await graphs.forward.run(feeds, ['features']);
      const forward: number[] = [];
      const backward: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        forward.push(await timed(() => graphs.forward.run(feeds, ['features', 'logits'])));
        backward.push(await timed(() => graphs.inverse!.run({ features: features! }, ['pixels'])));
      }
      const [forwardMs, inverseMs] = [median(forward), median(backward)];
      const ratio = rounded(inverseMs / forwardMs);
      yield { threads, batch, forwardMs: rounded(forwardMs), inverseMs: rounded(inverseMs), ratio };
    }
    await closeGraphs(graphs);
  }
}
