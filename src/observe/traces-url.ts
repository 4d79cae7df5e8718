import { type Config, SettingsError, variableOf } from '../common/config.js';

/** Where OTLP over HTTP goes by default. https://opentelemetry.io/docs/specs/otel/protocol/exporter/ */
const DEFAULT_COLLECTOR = 'http://localhost:4318';

type Settings = Pick<Config, 'otlpEndpoint' | 'otlpTracesEndpoint' | 'otelSdkDisabled' | 'tracesExporter'>;

/**
 * The URL that traces are sent to; undefined: none are recorded. The endpoint of traces is taken as it is, the base URL of
 * all signals is completed, and without either traces are sent only where the exporter is named.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @throws SettingsError when an endpoint is no URL
 */
export function tracesUrl(settings: Settings): string | undefined {
  const { otlpEndpoint, otlpTracesEndpoint, otelSdkDisabled, tracesExporter } = settings;
  if (otelSdkDisabled.toLowerCase() === 'true' || tracesExporter === 'none') return undefined;
  if (otlpTracesEndpoint !== '') return checked('otlpTracesEndpoint', otlpTracesEndpoint);
  if (otlpEndpoint === '' && tracesExporter === '') return undefined;
  const base = otlpEndpoint === '' ? DEFAULT_COLLECTOR : checked('otlpEndpoint', otlpEndpoint);
  return `${base.replace(/\/+$/, '')}/v1/traces`;
}

function checked(setting: keyof Settings, url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new SettingsError(
    `${variableOf(setting)} is ${JSON.stringify(url)}: expected a URL such as ${DEFAULT_COLLECTOR}`,
  );
}
