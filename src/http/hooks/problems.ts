import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ProblemCode, problemDetails, problemFrom, problems } from '../../common/problems.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Why the request failed, for the log. */
    failure?: { readonly code: ProblemCode; readonly error?: Error } | undefined;
  }
}

/** Problems that a retry may solve, and the seconds before it, where nothing better is known. */
const RETRY_AFTER = 1;
const worthAnother: readonly ProblemCode[] = ['overloaded', 'not-ready', 'draining', 'worker-lost'];

/** Paths of the Open Inference Protocol, which has its own form of errors. */
const OIP = /^\/v2(?![^/?])/;

/** The pattern of the paths of a route. */
const pathsOf = (route: string): RegExp =>
  new RegExp(`^${route.replace(/[.+]/g, '\\$&').replace(/:\w+/g, '[^/]+').replace(/\*/g, '.*')}$`);

/** Errors of fastify by their codes, and what a client is told instead. */
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

/** What a client is told about an error: what it did wrong, and nothing of what went wrong inside. */
function explain(error: FastifyError, request: FastifyRequest): { code: ProblemCode; message: string } {
  const problem = problemFrom(error);
  if (problem) return problem;
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

/** Names the query parameter that is wrong, its value and what is allowed. */
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

/**
 * Sends a problem, and notes it for the log and the metrics.
 * @param error what was thrown; it is logged where it is not a problem itself
 */
function sendProblem(reply: FastifyReply, code: ProblemCode, message: string, error?: Error): FastifyReply {
  const { request } = reply;
  const { status } = problems[code];
  const problem = problemFrom(error);
  const retryAfter = problem?.retryAfter ?? (worthAnother.includes(code) ? RETRY_AFTER : undefined);
  const details = problemDetails(code, message, request.id);
  const oip = OIP.test(request.url);
  request.failure = { code, ...(status >= 500 && error && !problem && { error }) };
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
  if (code === 'body-encoded') reply.header('accept-encoding', 'identity');
  return reply
    .code(status)
    .header('content-type', oip ? 'application/json' : 'application/problem+json')
    .serializer(JSON.stringify)
    .send(oip ? { error: details.detail } : details);
}

/** Replies to a request with what was thrown while it was handled. */
export const onError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const { code, message } = explain(error, request);
  return sendProblem(reply, code, message, error);
};

/**
 * Sends every error as RFC 9457 problem details, under /v2 as {"error": …}. A known path with another method is 405, which
 * fastify takes for 404.
 */
export function installProblems(app: FastifyInstance): void {
  const routes: { method: string; paths: RegExp }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const m of [method].flat()) routes.push({ method: m, paths: pathsOf(url) });
  });
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    const allowed = [...new Set(routes.filter(({ paths }) => paths.test(path)).map(({ method }) => method))];
    if (allowed.length === 0) return sendProblem(reply, 'unknown-route', `there is no route ${path.slice(0, 100)}`);
    reply.header('allow', allowed.join(', '));
    return sendProblem(reply, 'method-not-allowed', `${path} takes ${allowed.join(', ')}, not ${request.method}`);
  });
}
