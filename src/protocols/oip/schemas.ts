import { type Static, type TSchema, Type } from 'typebox';

const Name = Type.String();
const Datatype = Type.String({ description: 'UINT8 or FP32' });

const TensorMetadata = Type.Object({
  name: Name,
  datatype: Datatype,
  shape: Type.Array(Type.Integer(), { description: '-1: the number of images' }),
});

export const ServerMetadata = Type.Object(
  { name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()) },
  { description: 'name, version and extensions of the server' },
);

export const ModelMetadata = Type.Object(
  {
    name: Name,
    versions: Type.Array(Type.String()),
    platform: Type.String(),
    inputs: Type.Array(TensorMetadata),
    outputs: Type.Array(TensorMetadata),
  },
  { description: 'the tensors of the model' },
);

const configured = {
  name: Name,
  data_type: Type.String({ description: 'TYPE_UINT8 or TYPE_FP32' }),
  dims: Type.Array(Type.Integer(), { description: 'of one image' }),
};

export const ModelConfig = Type.Object(
  {
    name: Name,
    platform: Type.String(),
    backend: Type.String(),
    version_policy: Type.Object({ latest: Type.Object({ num_versions: Type.Integer() }) }),
    max_batch_size: Type.Integer({ description: 'images in a request' }),
    input: Type.Array(
      Type.Object({ ...configured, format: Type.String({ description: 'FORMAT_NHWC or FORMAT_NCHW' }) }),
    ),
    output: Type.Array(Type.Object(configured)),
  },
  { description: "the fields of Triton's ModelConfig that hold here" },
);

export const Live = Type.Object({ live: Type.Boolean() }, { description: 'the process answers' });
export const Ready = Type.Object({ ready: Type.Boolean() }, { description: 'every model can be used' });
export const ModelReady = Type.Object({ name: Name, ready: Type.Boolean() }, { description: 'the model can be used' });

export const RepositoryIndex = Type.Array(
  Type.Object({
    name: Name,
    version: Type.Optional(Type.String()),
    state: Type.Enum(['READY', 'LOADING', 'UNAVAILABLE'], { type: 'string' }),
    reason: Type.String({ description: 'why it is not served; empty where it is' }),
  }),
  { description: 'the models of the models folder' },
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

/** The header that says where the JSON of a body ends. */
export const inferHeaders = {
  'Inference-Header-Content-Length': Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'bytes of JSON, after which raw tensors follow; 0: the body is one raw tensor',
    }),
  ),
};

export const inferBody = { required: true, content: withTensors(InferRequest) };
export const inferResponse = {
  description: 'the outputs',
  headers: {
    'Inference-Header-Content-Length': { type: 'integer', description: 'with raw tensors: length of the JSON' },
  },
  content: withTensors(InferResponse),
};

/** Errors of the protocol. */
export const errorResponse = {
  description: 'The request failed',
  content: { 'application/json': { schema: Type.Object({ error: Type.String() }) } },
};
