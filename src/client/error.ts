/** Problem details as the service sends them (RFC 9457). */
interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly requestId?: string;
}

/** The service refused a request, or failed. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';

  constructor(
    /** Stable name of what went wrong; openapi.yaml lists all. `http-<status>` when the reply is not the service's own. */
    readonly code: string,
    /** HTTP status */
    readonly status: number,
    /** What was wrong, what was expected, what to do. */
    readonly detail: string,
    /** Seconds after which another attempt makes sense, when the service says so. */
    readonly retryAfter: number | undefined,
    /** Identifies the request in the log of the service. */
    readonly requestId: string | undefined,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Reads the error of a reply that is not ok. A proxy's reply need not hold problem details. */
export async function errorOf(response: Response): Promise<ServiceError> {
  const text = await response.text();
  const { code, title, detail, requestId } = problemIn(text);
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ServiceError(
    code ?? `http-${response.status}`,
    response.status,
    detail ?? title ?? (text.slice(0, 200) || response.statusText),
    Number.isFinite(seconds) ? seconds : undefined,
    requestId ?? response.headers.get('x-request-id') ?? undefined,
  );
}

function problemIn(text: string): Problem {
  try {
    return (JSON.parse(text) as Problem | null) ?? {};
  } catch {
    return {};
  }
}
