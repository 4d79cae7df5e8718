import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem, type ProblemCode, problemDetails, problems } from '../common/problems.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the request failed, for the log. */
    failure?: { readonly code: ProblemCode; readonly error?: Error } | undefined;
  }
}

/** Seconds after which another try is worth it, where nothing better is known. */
const RETRY_AFTER = 1;
const worthAnother: readonly ProblemCode[] = ['overloaded', 'not-ready', 'draining', 'worker-lost'];

/** Addresses of the Open Inference Protocol, whose errors have a form of their own. */
const OIP = /^\/v2(?![^/?])/;

/** What matches the addresses of a route. */
export const addressOf = (route: string): RegExp =>
  new RegExp(`^${route.replace(/[.+]/g, '\\$&').replace(/:\w+/g, '[^/]+').replace(/\*/g, '.*')}$`);

/** The framework's own errors, by its codes, in our words. */
const frameworkErrors: Readonly<Record<string, { readonly code: ProblemCode; readonly message: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'too-many-bytes', message: 'the body is too large' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported-media-type', message: 'the Content-Type is not a media type' },
  FST_ERR_BAD_URL: { code: 'request-malformed', message: 'the address is not encoded correctly' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'request-malformed', message: 'the address is too long' },
};

/** Query parameters whose range has a code of its own. */
const parameterCodes: Readonly<Record<string, ProblemCode>> = {
  topK: 'top-k-out-of-range',
  steps: 'steps-out-of-range',
};

/** What a client is told about an error: never more than its own mistake. */
function explain(error: FastifyError, request: FastifyRequest): { code: ProblemCode; message: string } {
  if (error instanceof Problem) return error;
  if (error.validation) return explainQuery(error.validation[0]!, request.query);
  const known = frameworkErrors[error.code];
  if (known?.code === 'too-many-bytes') {
    return { ...known, message: `the body has more than ${request.routeOptions.bodyLimit} bytes` };
  }
  if (known) return known;
  if ((error.statusCode ?? 500) < 500) return { code: 'request-malformed', message: error.message };
  return { code: 'internal-error', message: 'something went wrong here' };
}

type Failure = NonNullable<FastifyError['validation']>[number];

/** Says which query parameter is wrong, what it is and what it may be. */
function explainQuery(
  { instancePath, keyword, params }: Failure,
  query: unknown,
): { code: ProblemCode; message: string } {
  if (keyword === 'additionalProperties') {
    return {
      code: 'query-invalid',
      message: `there is no query parameter ${JSON.stringify(params.additionalProperty)}`,
    };
  }
  const name = instancePath.slice(1).split('/')[0]!;
  const value = JSON.stringify((query as Record<string, unknown>)[name]).slice(0, 60);
  const expected: Record<string, string> = {
    enum: `one of ${String(params.allowedValues).replaceAll(',', ', ')}`,
    minimum: `at least ${String(params.limit)}`,
    type: params.type === 'integer' ? 'one whole number' : 'one text',
  };
  const message = `the query parameter ${name} is ${value}; expected ${expected[keyword] ?? 'another value'}`;
  return { code: parameterCodes[name] ?? 'query-invalid', message };
}

/** What a client gets for a problem: RFC 9457, or under /v2 what the Open Inference Protocol has for it. */
export interface ProblemReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: object;
}

/** @param request its address and id */
export function problemReply(
  { url, id }: { readonly url: string; readonly id: string },
  code: ProblemCode,
  message: string,
  retryAfter = worthAnother.includes(code) ? RETRY_AFTER : undefined,
): ProblemReply {
  const details = problemDetails(code, message, id);
  const oip = OIP.test(url);
  return {
    status: problems[code].status,
    headers: {
      'content-type': oip ? 'application/json' : 'application/problem+json',
      ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
    },
    body: oip ? { error: details.detail } : details,
  };
}

/** Sends a problem, and remembers why for the log. */
export function sendProblem(reply: FastifyReply, code: ProblemCode, message: string, error?: Error): FastifyReply {
  const known = error instanceof Problem ? error : undefined;
  const { status, headers, body } = problemReply(reply.request, code, message, known?.retryAfter);
  reply.request.failure = { code, ...(status >= 500 && error && !known && { error }) };
  return reply.code(status).headers(headers).serializer(JSON.stringify).send(body);
}

export const onError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const { code, message } = explain(error, request);
  return sendProblem(reply, code, message, error);
};

/**
 * Every error of the service as RFC 9457 problem details, under /v2 as {"error": …}; a known address with another method
 * is 405.
 */
export function installProblems(app: FastifyInstance): void {
  const routes: { method: string; address: RegExp }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const m of [method].flat()) routes.push({ method: m, address: addressOf(url) });
  });
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    const allowed = [...new Set(routes.filter(({ address }) => address.test(path)).map(({ method }) => method))];
    if (allowed.length === 0) return sendProblem(reply, 'unknown-route', `there is no route ${path.slice(0, 100)}`);
    reply.header('allow', allowed.join(', '));
    return sendProblem(reply, 'method-not-allowed', `${path} takes ${allowed.join(', ')}, not ${request.method}`);
  });
}
