import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';
import { packagePath } from '../../export/files/package.js';
import { inferenceRequests } from '../inference.js';
import { fashionImages } from '../pictures.js';
import type { Server } from '../server.js';
import { known, type Surroundings } from './kinds.js';

/** What requests of every kind are made of, for a service that runs. Its pool has to be destroyed. */
export async function openSurroundings({ base, port }: Server, connections: number): Promise<Surroundings> {
  const pool = new Pool(base, { connections });
  return {
    pool,
    port,
    images: await known(pool, await fashionImages()),
    photograph: await readFile(packagePath('test', 'data', 'images', 'boot-on-white.jpg')),
    inference: await inferenceRequests(base, 'fashion-mnist'),
  };
}
