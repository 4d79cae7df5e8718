/**
 * The data of server-sent events, as JSON, until the reply ends. A reader that goes early closes the connection.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export async function* eventsOf<T>(response: Response): AsyncGenerator<T, void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (text + decoder.decode(value, { stream: true })).split('\n\n');
      text = events.pop()!;
      for (const event of events) {
        const data = event.split('\n').filter((line) => line.startsWith('data: '));
        if (data.length > 0) yield JSON.parse(data.map((line) => line.slice(6)).join('\n')) as T;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
