/** Reads the series of a service: gives the value of each as of now, 0 where it has no such series. */
export async function readMetrics(base: string): Promise<(series: string) => number> {
  const lines = (await (await fetch(`${base}/metrics`)).text()).split('\n');
  return (series) => Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1) ?? 0);
}
