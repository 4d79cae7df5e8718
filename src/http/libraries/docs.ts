import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { version } from '../../../export/files/package.js';
import { problemCodes, problems } from '../../common/problems.js';
import { docsPolicy } from '../hooks/headers.js';
import { shared } from '../schemas.js';

declare module 'fastify' {
  interface FastifySchema {
    /** Describes the body of a route that takes files. It is for the document alone: `receive` checks the body. */
    upload?: unknown;
    /** Describes the body of a route that takes a few words of JSON, in the document; the route checks it. */
    command?: unknown;
  }
}

const table = problemCodes.map(
  (code) => `| \`${code}\` | ${problems[code].status} | ${problems[code].title}. ${problems[code].advice} |`,
);

const description = `Runs and inverts i-RevNets: image classifiers that throw nothing away.

Errors are problem details (RFC 9457, \`application/problem+json\`) with a stable \`code\`.

<details><summary>Every code, its status and what to do</summary>

| code | status | meaning |
|---|---|---|
${table.join('\n')}

</details>
`;

/** Makes the OpenAPI document from the routes' schemas, and serves Swagger UI, from this package, at /docs. */
export async function installDocs(app: FastifyInstance): Promise<void> {
  for (const schema of shared) app.addSchema(schema);
  await app.register(swagger, {
    transform: ({ schema, url }) => ({ schema: withBody(schema), url }),
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, i) => (typeof $id === 'string' ? $id : `schema-${i}`),
    },
    openapi: {
      openapi: '3.1.0',
      info: { title: 'irevnet', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'an API key, where the service has any' },
        },
      },
      security: [{}, { key: [] }],
      tags: [
        { name: 'images', description: 'classify, encode, decode, interpolate' },
        { name: 'models', description: 'what can be served' },
        { name: 'oip', description: 'Open Inference Protocol v2; its errors are {"error": "what was wrong"}' },
        { name: 'service', description: 'health and version' },
      ],
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { tryItOutEnabled: true },
    theme: { title: 'irevnet', css: [{ filename: 'irevnet.css', content: '.topbar { display: none }' }] },
    staticCSP: docsPolicy,
  });
}

const withBody = ({ upload, command = upload, ...schema }: FastifySchema = {}): FastifySchema =>
  command ? { ...schema, body: command } : schema;
