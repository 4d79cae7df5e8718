import { createHash } from 'node:crypto';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { type Graph, GraphError, type Node, type Parameter, topological, type Value } from './graph.js';
import type { OnnxAttribute } from './op.js';
import { show, staticShape, type TensorType } from './shape.js';
import { bytesOf, onnxType, type Tensor } from './tensor.js';

/** ONNX operator set that graphs are written in, and the version of the file format that came with it (ONNX 1.15). */
const OPSET = 20n;
const IR_VERSION = 9n;
/** The operator set of ONNX Runtime, which a model imports only if it uses it. */
const MICROSOFT = 'com.microsoft';

/** Where a parameter's data lies: in the model itself, or in a file beside it that several models share. */
export type ParameterData =
  | { readonly kind: 'inline'; readonly tensor: Tensor }
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly length: number };

/**
 * Writes a graph as an ONNX model. The same graph and data give the same bytes.
 * @param dataOf where each parameter's data is
 * @throws GraphError when an input's, output's or parameter's name is used twice, or a parameter's data has another type or shape
 */
export function emit(graph: Graph, dataOf: (p: Parameter) => ParameterData): Uint8Array<ArrayBuffer> {
  const proto = new Writer(graph, dataOf).graphProto();
  return modelOf(proto, proto);
}

/**
 * Writes a graph that is to be run again and again as one ONNX model, a Scan over the graph: what is carried stays on the
 * device from one run to the next. https://onnx.ai/onnx/operators/onnx__Scan.html
 *
 * The model has the graph's inputs and outputs. One that is carried is the value before the first run and that after the last;
 * any other has one more dimension in front, which may be of any length: a row for each run.
 * @param carried inputs of the graph, and the output that is the same input of the next run
 * @throws GraphError as `emit` does
 */
export function emitScan(
  graph: Graph,
  carried: Readonly<Record<string, string>>,
  dataOf: (p: Parameter) => ParameterData,
): Uint8Array<ArrayBuffer> {
  const before = graph.inputs.map((value) => ({ name: (value.source as { name: string }).name, value }));
  const after = Object.entries(graph.outputs).map(([name, value]) => ({ name, value }));
  const next = new Set(Object.values(carried));
  const carry = {
    inputs: Object.keys(carried).map((name) => before.find((leaf) => leaf.name === name)!),
    outputs: Object.values(carried).map((name) => ({ name, value: graph.outputs[name]! })),
  };
  const rows = {
    inputs: before.filter(({ name }) => !(name in carried)),
    outputs: after.filter(({ name }) => !next.has(name)),
  };
  const inputs = [...carry.inputs, ...rows.inputs];
  const outputs = [...carry.outputs, ...rows.outputs];
  const body = new Writer(
    {
      name: graph.name,
      inputs: inputs.map(({ value }) => value),
      outputs: Object.fromEntries(outputs.map(({ name, value }) => [name, value])),
    },
    dataOf,
    'each.',
  ).graphProto();
  const info = ({ name, value }: Named) => valueInfo(name, value.type);
  const rowInfo = ({ name, value: { type } }: Named) => valueInfo(name, { ...type, shape: ['runs', ...type.shape] });
  const scan = create(NodeProtoSchema, {
    opType: 'Scan',
    name: 'scan',
    input: inputs.map(({ name }) => name),
    output: outputs.map(({ name }) => name),
    attribute: [
      create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: body }),
      attribute('num_scan_inputs', rows.inputs.length),
    ],
  });
  const proto = create(GraphProtoSchema, {
    name: `${graph.name}s`,
    node: [scan],
    input: [...carry.inputs.map(info), ...rows.inputs.map(rowInfo)],
    output: [...carry.outputs.map(info), ...rows.outputs.map(rowInfo)],
  });
  return modelOf(proto, body);
}

/** A value with the name that a model has for it. */
interface Named {
  readonly name: string;
  readonly value: Value;
}

/** @param nodes the graph whose nodes say which operator sets the model needs */
function modelOf(graph: GraphProto, nodes: GraphProto): Uint8Array<ArrayBuffer> {
  const domains = new Map([['', OPSET]]);
  if (nodes.node.some(({ domain }) => domain === MICROSOFT)) domains.set(MICROSOFT, 1n);
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'irevnet',
    opsetImport: [...domains].map(([domain, version]) => create(OperatorSetIdProtoSchema, { domain, version })),
    graph,
  });
  return toBinary(ModelProtoSchema, model);
}

/** Names values and collects nodes and initializers of one graph. */
class Writer {
  private readonly names = new Map<Value, string>();
  private readonly taken = new Map<string, Value>();
  private readonly constants = new Map<string, string>();
  private readonly initializers: TensorProto[] = [];
  private readonly nodes: NodeProto[] = [];

  constructor(
    private readonly graph: Graph,
    private readonly dataOf: (p: Parameter) => ParameterData,
    /** What every name begins with: a graph within another must not use its names. */
    private readonly prefix = '',
  ) {}

  graphProto(): GraphProto {
    for (const v of this.graph.inputs) this.leaf(v);
    const order = topological(Object.values(this.graph.outputs));
    const aliases = this.nameOutputs();
    for (const [i, node] of order.entries()) this.node(node, i);
    for (const [output, value] of aliases) {
      const name = this.prefix + output;
      this.nodes.push(
        create(NodeProtoSchema, { opType: 'Identity', name, input: [this.nameOf(value)], output: [name] }),
      );
    }
    return create(GraphProtoSchema, {
      name: this.graph.name,
      node: this.nodes,
      initializer: this.initializers,
      input: this.graph.inputs.map((v) => valueInfo(this.nameOf(v), v.type)),
      output: Object.entries(this.graph.outputs).map(([name, v]) => valueInfo(this.prefix + name, v.type)),
    });
  }

  /** Gives each output's value the output's name; returns those that need an Identity, being leaves or named already. */
  private nameOutputs(): [string, Value][] {
    return Object.entries(this.graph.outputs).filter(([name, value]) => {
      if (value.source.kind !== 'node' || this.names.has(value)) return true;
      this.claim(name, value);
      return false;
    });
  }

  private claim(name: string, value: Value): string {
    const other = this.taken.get(name);
    if (other !== undefined && other !== value) throw new GraphError(`two values are named ${name}`);
    this.taken.set(name, value);
    this.names.set(value, this.prefix + name);
    return this.prefix + name;
  }

  private node(node: Node, index: number): void {
    const form = node.op.onnx(
      node.attrs,
      node.inputs.map((v) => v.type),
      node.outputs.map((v) => v.type),
    );
    const operands = form.operands?.map((i) => node.inputs[i]!) ?? node.inputs;
    node.outputs.forEach((v, i) => {
      if (!this.names.has(v))
        this.names.set(v, `${this.prefix}${node.op.name}_${index}${node.outputs.length > 1 ? `_${i}` : ''}`);
    });
    this.nodes.push(
      create(NodeProtoSchema, {
        opType: form.type,
        domain: form.domain ?? '',
        name: `${this.prefix}${node.op.name}_${index}`,
        input: [...operands.map((v) => this.nameOf(v)), ...(form.constants ?? []).map((c) => this.constant(c))],
        output: node.outputs.map((v) => this.nameOf(v)),
        attribute: Object.entries(form.attributes ?? {}).map(([name, value]) => attribute(name, value)),
      }),
    );
  }

  private nameOf(value: Value): string {
    return this.names.get(value) ?? this.leaf(value);
  }

  private leaf(value: Value): string {
    const { source } = value;
    if (source.kind === 'node')
      throw new GraphError(`an output of ${source.node.op.name} is used before it is computed`);
    if (source.kind === 'constant') return this.constant(source.tensor);
    const name = this.claim(source.name, value);
    if (source.kind === 'parameter') {
      this.initializers.push(initializer(name, value.type, this.dataOf(value as Parameter)));
    } else if (!this.graph.inputs.includes(value)) {
      throw new GraphError(`input ${source.name} is used but not listed among the inputs of ${this.graph.name}`);
    }
    return name;
  }

  /** Equal constants are stored once. */
  private constant(value: Tensor): string {
    const key = createHash('sha256').update(`${value.type}[${value.dims}]`).update(bytesOf(value)).digest('hex');
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const name = `${this.prefix}constant_${this.constants.size}`;
    this.constants.set(key, name);
    const type = { dtype: value.type, shape: value.dims };
    this.initializers.push(initializer(name, type, { kind: 'inline', tensor: value }));
    return name;
  }
}

function initializer(name: string, { dtype, shape }: TensorType, data: ParameterData): TensorProto {
  const base = { name, dims: staticShape(shape).map(BigInt), dataType: onnxType(dtype) };
  if (data.kind === 'inline') {
    const [given, expected] = [
      { dtype: data.tensor.type, shape: data.tensor.dims },
      { dtype, shape },
    ].map(show);
    if (given !== expected) throw new GraphError(`${name} is ${expected}, but its data is ${given}`);
    return create(TensorProtoSchema, { ...base, rawData: new Uint8Array(bytesOf(data.tensor)) });
  }
  const { location, offset, length } = data;
  const entries = Object.entries({ location, offset: String(offset), length: String(length) });
  return create(TensorProtoSchema, {
    ...base,
    dataLocation: DataLocation.EXTERNAL,
    externalData: entries.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  });
}

function attribute(name: string, value: OnnxAttribute): AttributeProto {
  const make = (fields: MessageInitShape<typeof AttributeProtoSchema>) =>
    create(AttributeProtoSchema, { ...fields, name });
  if (typeof value === 'number') return make({ type: AttributeType.INT, i: BigInt(value) });
  if (typeof value === 'string') return make({ type: AttributeType.STRING, s: new TextEncoder().encode(value) });
  if ('float' in value) return make({ type: AttributeType.FLOAT, f: value.float });
  return make({ type: AttributeType.INTS, ints: value.map(BigInt) });
}

function valueInfo(name: string, { dtype, shape }: TensorType): ValueInfoProto {
  const dim = shape.map((d) =>
    create(TensorShapeProto_DimensionSchema, {
      value: typeof d === 'number' ? { case: 'dimValue', value: BigInt(d) } : { case: 'dimParam', value: d },
    }),
  );
  const tensorType = create(TypeProto_TensorSchema, {
    elemType: onnxType(dtype),
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  });
}
