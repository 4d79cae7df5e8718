import { type Static, type TSchema, Type } from 'typebox';

const Name = Type.String();
const Datatype = Type.String({ description: 'UINT8 or FP32' });

const TensorMetadata = Type.Object({
  name: Name,
  datatype: Datatype,
  shape: Type.Array(Type.Integer(), { description: '-1: the number of images' }),
});

export const ServerMetadata = Type.Object({
  name: Type.String(),
  version: Type.String(),
  extensions: Type.Array(Type.String()),
});

export const ModelMetadata = Type.Object({
  name: Name,
  versions: Type.Array(Type.String()),
  platform: Type.String(),
  inputs: Type.Array(TensorMetadata),
  outputs: Type.Array(TensorMetadata),
});

export const Live = Type.Object({ live: Type.Boolean() });
export const Ready = Type.Object({ ready: Type.Boolean() });
export const ModelReady = Type.Object({ name: Name, ready: Type.Boolean() });

export const RepositoryIndex = Type.Array(
  Type.Object({
    name: Name,
    version: Type.Optional(Type.String()),
    state: Type.Enum(['READY', 'LOADING', 'UNAVAILABLE'], { type: 'string' }),
    reason: Type.String({ description: 'why it is not served; empty where it is' }),
  }),
);
export type IndexEntry = Static<typeof RepositoryIndex>[number];

const json = (schema: TSchema) => ({ required: false, content: { 'application/json': { schema } } });

/** What an index request is; `readIndexRequest` checks it. */
export const indexBody = json(
  Type.Object({ ready: Type.Optional(Type.Boolean({ description: 'only the models that are served' })) }),
);

/** What a request to load or unload is; `checkControlRequest` checks it. */
export const controlBody = json(
  Type.Object({
    parameters: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'those that replace files or configuration are refused',
      }),
    ),
  }),
);

const Shape = Type.Array(Type.Integer());

/** What a request is; `readInferRequest` checks it. */
const InferRequest = Type.Object({
  id: Type.Optional(Type.String()),
  parameters: Type.Optional(
    Type.Object({
      binary_data_output: Type.Optional(Type.Boolean({ description: 'outputs come as raw bytes after the JSON' })),
    }),
  ),
  inputs: Type.Array(
    Type.Object({
      name: Name,
      shape: Shape,
      datatype: Datatype,
      parameters: Type.Optional(
        Type.Object({
          binary_data_size: Type.Optional(Type.Integer({ description: 'in place of data: raw bytes after the JSON' })),
        }),
      ),
      data: Type.Optional(Type.Array(Type.Unknown(), { description: 'row by row, flat or nested' })),
    }),
  ),
  outputs: Type.Optional(
    Type.Array(
      Type.Object({
        name: Name,
        parameters: Type.Optional(Type.Object({ binary_data: Type.Optional(Type.Boolean()) })),
      }),
      { description: 'all by default' },
    ),
  ),
});

export const InferResponse = Type.Object({
  model_name: Type.String(),
  model_version: Type.String(),
  id: Type.Optional(Type.String({ description: 'as in the request' })),
  outputs: Type.Array(
    Type.Object({
      name: Name,
      datatype: Datatype,
      shape: Shape,
      parameters: Type.Optional(Type.Object({ binary_data_size: Type.Integer() })),
      data: Type.Optional(Type.Array(Type.Number(), { description: 'flat, row by row' })),
    }),
  ),
});
export type InferResponse = Static<typeof InferResponse>;

const withTensors = (json: typeof InferRequest | typeof InferResponse) => ({
  'application/json': { schema: json },
  'application/octet-stream': {
    schema: {
      type: 'string',
      format: 'binary',
      description:
        'the JSON, as long as the header Inference-Header-Content-Length says, and raw little-endian tensors',
    },
  },
});

export const inferBody = { required: true, content: withTensors(InferRequest) };
export const inferResponse = {
  description: 'the outputs',
  headers: {
    'inference-header-content-length': { type: 'integer', description: 'with raw tensors: length of the JSON' },
  },
  content: withTensors(InferResponse),
};

/** Errors of the protocol. */
export const errorResponse = {
  description: 'The request failed',
  content: { 'application/json': { schema: Type.Object({ error: Type.String() }) } },
};
