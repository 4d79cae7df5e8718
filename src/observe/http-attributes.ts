import type { IncomingHttpHeaders } from 'node:http';
import type { Attributes } from '@opentelemetry/api';

/** A request and its reply, as a span describes them. */
export interface Exchange {
  readonly method: string;
  /** The pattern of its route; undefined when it matched none. */
  readonly route: string | undefined;
  readonly path: string;
  /** Without the question mark; undefined when there is none. What nobody should read is already left out of it. */
  readonly query: string | undefined;
  readonly scheme: string;
  /** The service's own name and port, as the client knows them. */
  readonly host: string;
  readonly port: number | null;
  /** Address of the client. */
  readonly client: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
  /** The code of the problem, if it failed. */
  readonly code: string | undefined;
}

/** The methods of RFC 9110, and PATCH (RFC 5789): the others count as one, or a client could invent any number. */
const KNOWN_METHODS = ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'];
const isKnown = ({ method }: Pick<Exchange, 'method'>): boolean => KNOWN_METHODS.includes(method);

/** Whether the service failed; what a client does wrong is no failure of the span. */
export const isFailed = ({ status }: Pick<Exchange, 'status'>): boolean => status >= 500;

/** The name of a span: few different ones, whatever clients send. */
export function spanName({ method, route }: Pick<Exchange, 'method' | 'route'>): string {
  const word = isKnown({ method }) ? method : 'HTTP';
  return route === undefined ? word : `${word} ${route}`;
}

/**
 * The attributes of a span; undefined ones are left out.
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
 */
export const httpAttributes = (exchange: Exchange): Attributes => ({
  'http.request.method': isKnown(exchange) ? exchange.method : '_OTHER',
  'http.request.method_original': isKnown(exchange) ? undefined : exchange.method,
  'http.route': exchange.route,
  'http.response.status_code': exchange.status,
  'url.scheme': exchange.scheme,
  'url.path': exchange.path,
  'url.query': exchange.query,
  // IPv6 addresses stand in brackets in a Host header.
  'server.address': exchange.host.replace(/^\[(.*)\]$/, '$1') || undefined,
  'server.port': exchange.port ?? undefined,
  'client.address': exchange.client,
  'network.protocol.version': exchange.httpVersion,
  'user_agent.original': exchange.headers['user-agent'],
  'error.type': isFailed(exchange) ? (exchange.code ?? String(exchange.status)) : undefined,
});
