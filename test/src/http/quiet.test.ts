import { mock } from 'node:test';
import fastify from 'fastify';
import t from 'tap';
import { installEnded } from '../../../src/http/ended.js';
import { installQuiet } from '../../../src/http/quiet.js';

const SECONDS = 10;

t.beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }));
t.afterEach(() => mock.timers.reset());

const appWith = (collect?: () => void) => {
  const app = fastify();
  installEnded(app);
  installQuiet(app, SECONDS, collect);
  app.route({ method: ['GET', 'POST'], url: '/', handler: async () => ({}) });
  return app;
};
const pass = (times = 1) => mock.timers.tick(times * SECONDS * 1000);

t.test('garbage is collected once there was work and then none', async (t) => {
  const app = appWith();
  await app.inject({ method: 'POST', url: '/' });
  const garbage = new WeakRef(new Uint8Array(1));
  // What was made in this turn is kept until it ends.
  await new Promise(setImmediate);
  pass(2);
  t.equal(garbage.deref(), undefined);
  await app.close();
});

t.test('once for each time of work, and not for those who only look', async (t) => {
  let collected = 0;
  const app = appWith(() => {
    collected++;
  });
  await app.inject('/');
  pass(5);
  t.equal(collected, 0);
  for (let i = 0; i < 5; i++) {
    await app.inject({ method: 'POST', url: '/' });
    pass();
  }
  t.equal(collected, 0, 'not while there is work');
  await app.inject('/');
  pass(5);
  t.equal(collected, 1);
  await app.inject({ method: 'POST', url: '/' });
  await app.close();
  pass(5);
  t.equal(collected, 1);
});
