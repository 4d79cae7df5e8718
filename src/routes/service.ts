import { Type } from 'typebox';
import { version } from '../../export/package.js';
import type { App } from '../app.js';
import { Problem } from '../errors.js';
import type { Engine } from '../inference/engine.js';
import { problemResponse } from '../schemas/common.js';

const answer = (summary: string, properties: Record<string, ReturnType<typeof Type.String>>) => ({
  summary,
  tags: ['service'],
  response: { 200: Type.Object(properties), default: problemResponse },
});

/** GET /healthz: the process answers; also while a model runs. */
export function healthzRoute(app: App): void {
  const schema = answer('Liveness', { status: Type.String() });
  app.get('/healthz', { schema }, async () => ({ status: 'ok' }));
}

/** GET /readyz: every model is loaded and has recovered its noise. */
export function readyzRoute(app: App, engine: Engine): void {
  const schema = answer('Readiness', { status: Type.String() });
  app.get('/readyz', { schema }, async () => {
    if (!engine.isReady()) throw new Problem('not-ready', 'the models are still being loaded');
    return { status: 'ready' };
  });
}

/** GET /version */
export function versionRoute(app: App): void {
  const schema = answer('Version', { name: Type.String(), version: Type.String(), node: Type.String() });
  app.get('/version', { schema }, async () => ({ name: 'irevnet', version, node: process.version }));
}
