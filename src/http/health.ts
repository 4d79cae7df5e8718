import type { FastifyRequest } from 'fastify';

/** What an orchestrator asks, which has no key and asks often. */
const paths = ['/healthz', '/readyz', '/v2/health/live', '/v2/health/ready'];

/** Says whether a request is for health: it needs no key and is not counted. */
export const isHealth = ({ routeOptions }: FastifyRequest): boolean => paths.includes(routeOptions.url ?? '');
