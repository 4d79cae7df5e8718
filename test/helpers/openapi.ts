import { readFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { parse } from 'yaml';
import { packagePath } from '../../export/files/package.js';

type Content = Readonly<Record<string, { readonly schema: { readonly type?: string } }>>;

export interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description: string;
        readonly content: Content;
        readonly headers?: Readonly<Record<string, unknown>>;
      }
    >
  >;
}

export interface OpenApi {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const openapiText = (): Promise<string> => readFile(packagePath('openapi.yaml'), 'utf8');

export const readOpenApi = async (): Promise<OpenApi> => parse(await openapiText()) as OpenApi;

/** The operation that a request belongs to, and its path with parameters. */
export function operationOf({ paths }: OpenApi, method: string, url: string): { path: string; operation: Operation } {
  const { pathname } = new URL(url);
  const path = Object.keys(paths).find((template) =>
    new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname),
  );
  const operation = paths[path!]?.[method.toLowerCase()];
  if (!operation) throw new Error(`openapi.yaml has no ${method} ${pathname}`);
  return { path: path!, operation };
}

/** The types that openapi-typescript generates from openapi.yaml. A file is a Blob. https://openapi-ts.dev/node */
export async function generatedTypes(): Promise<string> {
  const blob = ts.factory.createTypeReferenceNode(ts.factory.createIdentifier('Blob'));
  const transform = ({ format }: { readonly format?: string }) => (format === 'binary' ? blob : undefined);
  return astToString(await openapiTS(await openapiText(), { transform }));
}
