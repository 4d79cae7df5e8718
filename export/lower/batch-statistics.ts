import type { Node, Parameter, Value } from '../graph/graph.js';
import { type Renamed, rewrite } from '../graph/rewrite.js';
import { byBatch } from '../networks/layers/batch-norm.js';

/** A running statistic and the batch's own value of it. */
export interface Observation {
  readonly running: Parameter;
  readonly observed: Value;
}

/** The training form of a graph: every batch normalisation uses the statistics of its batch, and reports them. */
export function withBatchStatistics(outputs: readonly Value[]): { renamed: Renamed; observations: Observation[] } {
  const observations: Observation[] = [];
  const renamed = rewrite(outputs, (node, [x, scale, bias, mean, variance]) => {
    if (node.op !== 'batchNorm') return undefined;
    const batch = byBatch(x!, scale!, bias!, (node as Node<'batchNorm'>).attrs.epsilon);
    observations.push(
      { running: mean as Parameter, observed: batch.mean },
      { running: variance as Parameter, observed: batch.variance },
    );
    return [batch.y];
  });
  return { renamed, observations };
}
