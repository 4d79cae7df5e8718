import { type TSchema, Type } from 'typebox';
import { version } from '../../../export/files/package.js';
import { Problem } from '../../common/problems.js';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { problemResponse } from '../schemas.js';

const answer = <P extends Record<string, TSchema>>(
  operationId: string,
  summary: string,
  description: string,
  properties: P,
) => ({
  operationId,
  summary,
  tags: ['service'],
  response: { 200: Type.Object(properties, { description }), default: problemResponse },
});

/** @throws Problem not-ready, draining */
export function checkReady({ status }: Engine): void {
  const { started, up, draining } = status();
  if (draining) throw new Problem('draining', 'the service is about to shut down');
  if (!started) throw new Problem('not-ready', 'the models are still being loaded');
  if (up === 0) throw new Problem('not-ready', 'the workers are being replaced');
}

/** GET /healthz: the process answers, also while a model runs. */
export function healthzRoute(app: App): void {
  const schema = answer('getLiveness', 'Liveness', 'the process answers', { status: Type.String() });
  app.get('/healthz', { schema }, async () => ({ status: 'ok' }));
}

/**
 * GET /readyz: the models are loaded and have passed their self-tests, and the service is not shutting down. Models that
 * cannot be served are named; they do not make the service unready.
 */
export function readyzRoute(app: App, engine: Engine): void {
  const provider = Type.String({ description: 'what computes: cpu, cuda or oip (other servers)' });
  const unavailable = Type.Array(Type.String(), {
    description: 'names of models that cannot be served; GET /models says why',
  });
  const schema = answer('getReadiness', 'Readiness', 'the models can be used', {
    status: Type.String(),
    provider,
    unavailable,
  });
  app.get('/readyz', { schema }, async () => {
    checkReady(engine);
    const { unavailable } = engine.repository;
    return { status: 'ready', provider: engine.backend.kind, unavailable: [...unavailable.keys()] };
  });
}

/** GET /version */
export function versionRoute(app: App): void {
  const schema = answer('getVersion', 'Version', 'versions of the service and of Node.js', {
    name: Type.String(),
    version: Type.String(),
    node: Type.String(),
  });
  app.get('/version', { schema }, async () => ({ name: 'irevnet', version, node: process.version }));
}
