import type { Analyses } from '../../analysis/jobs/analyses.js';
import type { Engine } from '../../engine/engine.js';
import type { App } from '../app-type.js';
import { analysesRoutes } from './analyses.js';
import { analyzeRoute } from './analyze.js';
import { classifyRoute } from './classify.js';
import { decodeRoute } from './decode.js';
import { encodeRoute } from './encode.js';
import { interpolateRoute } from './interpolate.js';
import { metamerRoute } from './metamer.js';
import { metricsRoute } from './metrics.js';
import { modelsRoute } from './models.js';
import { oipRoutes } from './oip.js';
import { repositoryRoutes } from './oip-repository.js';
import { reconstructRoute } from './reconstruct.js';
import { healthzRoute, readyzRoute, versionRoute } from './service.js';

/** Every route. Adding one is a file and a line here. */
export const routes: readonly ((app: App, engine: Engine, analyses: Analyses) => void)[] = [
  classifyRoute,
  encodeRoute,
  decodeRoute,
  interpolateRoute,
  reconstructRoute,
  analyzeRoute,
  analysesRoutes,
  metamerRoute,
  modelsRoute,
  metricsRoute,
  oipRoutes,
  repositoryRoutes,
  healthzRoute,
  readyzRoute,
  versionRoute,
];
