/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}
type Part = Html | string | number | false | null | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (c) => entities[c]!);

/** HTML from a template; what is put into it is escaped, unless it is HTML. Nothing comes of false, null and undefined. */
export const html = (texts: TemplateStringsArray, ...parts: readonly Part[]): Html => ({
  html: String.raw({ raw: texts }, ...parts.map(written)),
});

export const verbatim = (html: string): Html => ({ html });

function written(part: Part): string {
  if (part === false || part === null || part === undefined) return '';
  if (typeof part === 'object') return 'html' in part ? part.html : part.map(written).join('');
  return escaped(String(part));
}
