import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { stringify } from 'yaml';
import { version } from '../../../export/files/package.js';
import { problemCodes, problems } from '../../common/problems.js';
import { docsPolicy } from '../hooks/headers.js';
import { shared, workHeaders } from '../schemas.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** The OpenAPI document. */
    document(): ReturnType<FastifyInstance['swagger']>;
  }
  interface FastifySchema {
    /** Describes the body of a route that takes files. It is for the document alone: `receive` checks the body. */
    upload?: unknown;
    /** Describes the body of a route that takes a few words of JSON, in the document; the route checks it. */
    command?: unknown;
    /** Describes headers of such a request beside those of all. Hooks and handlers check them. */
    sent?: Readonly<Record<string, TSchema>>;
  }
}

const table = problemCodes.map(
  (code) => `| \`${code}\` | ${problems[code].status} | ${problems[code].title}. ${problems[code].advice} |`,
);

const description = `Runs and inverts i-RevNets: image classifiers that throw nothing away.

Errors are problem details (RFC 9457, \`application/problem+json\`) with a stable \`code\`. Every reply has the id of its request, the
client's own where it sent one, in the header \`X-Request-Id\`, and in \`Server-Timing\` where its time went.

<details><summary>Every code, its status and what to do</summary>

| code | status | meaning |
|---|---|---|
${table.join('\n')}

</details>
`;

/** YAML for readers of version 1.1 too, to whom a plain no is false, and without aliases, which some do not know. */
export const toYaml = (document: unknown): string =>
  stringify(document, { compat: 'yaml-1.1', aliasDuplicateObjects: false });

/** Makes the OpenAPI document from the routes' schemas, and serves Swagger UI, from this package, at /docs. */
export async function installDocs(app: FastifyInstance): Promise<void> {
  for (const schema of shared) app.addSchema(schema);
  await app.register(swagger, {
    decorator: 'document',
    // Servers are relative to the address of the document.
    stripBasePath: false,
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
      servers: [{ url: '..', description: 'the service that this document comes from' }],
      security: [{}, { key: [] }],
      tags: [
        { name: 'images', description: 'classify, encode, decode, interpolate' },
        { name: 'analyses', description: 'experiments as jobs' },
        { name: 'models', description: 'what can be served' },
        { name: 'oip', description: 'Open Inference Protocol v2; its errors are {"error": "what was wrong"}' },
        { name: 'service', description: 'health and version' },
      ],
    },
  });
  app.decorate('swagger', ((options) =>
    options?.yaml ? toYaml(app.document()) : app.document()) as typeof app.swagger);
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { tryItOutEnabled: true },
    theme: { title: 'irevnet', css: [{ filename: 'irevnet.css', content: '.topbar { display: none }' }] },
    staticCSP: docsPolicy,
  });
}

/** A schema in which a body, and the headers that come with one, stand where the document looks for them. */
const withBody = ({ upload, command, sent, ...schema }: FastifySchema = {}): FastifySchema => {
  const body = upload ?? command;
  return body ? { ...schema, body, headers: Type.Object({ ...workHeaders, ...sent }) } : schema;
};
