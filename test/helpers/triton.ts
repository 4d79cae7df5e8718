import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import textformat from 'protobufjs/ext/textformat.js';
import { dataPath } from './networks.js';

/** A tensor in a configuration; its dims are without the batch. */
export interface ConfigTensor {
  readonly name: string;
  readonly data_type: string;
  readonly dims: readonly number[];
  readonly label_filename?: string;
}

export interface WarmupInput {
  readonly data_type: string;
  readonly dims: readonly number[];
}

/** Fields of Triton's ModelConfig that tests look into. */
export interface ModelConfig {
  readonly name: string;
  readonly max_batch_size: number;
  readonly input: readonly ConfigTensor[];
  readonly output: readonly ConfigTensor[];
  readonly model_warmup?: readonly { batch_size: number; inputs: Readonly<Record<string, WarmupInput>> }[];
  readonly ensemble_scheduling?: {
    readonly step: readonly {
      readonly model_name: string;
      readonly input_map: Readonly<Record<string, string>>;
      readonly output_map: Readonly<Record<string, string>>;
    }[];
  };
}

const proto = dataPath('triton', 'model_config.proto');
const type = new protobuf.Root().loadSync(proto, { keepCase: true }).lookupType('inference.ModelConfig');

/** Parses a `config.pbtxt` against Triton's fields. @throws Error at a field, a type or an enumerator that is not theirs */
export const parseConfig = (text: string): ModelConfig =>
  type.toObject(textformat.fromText(type, text), { enums: String, longs: Number }) as ModelConfig;

/** What is left of a configuration in JSON when it goes through Triton's messages: all of it, if every field is theirs. */
export const throughMessages = (config: object): object =>
  type.toObject(type.fromObject(config), { enums: String, longs: Number });

/** The configuration of a model in a repository. */
export const readTritonConfig = async (repository: string, model: string): Promise<ModelConfig> =>
  parseConfig(await readFile(join(repository, model, 'config.pbtxt'), 'utf8'));

/** What Triton asks of an ensemble (core, ensemble_utils.cc): the mistakes in one, given the models that it may use. */
export function ensembleMistakes(ensemble: ModelConfig, models: readonly ModelConfig[]): string[] {
  const mistakes: string[] = [];
  const shapes = new Map([...ensemble.input, ...ensemble.output].map((tensor) => [tensor.name, shapeOf(tensor)]));
  const made = new Set(ensemble.input.map(({ name }) => name));
  const agree = (tensor: ConfigTensor, name: string) => {
    const shape = shapes.get(name) ?? shapeOf(tensor);
    shapes.set(name, shape);
    if (shape !== shapeOf(tensor)) mistakes.push(`${name} is ${shape}, ${tensor.name} is ${shapeOf(tensor)}`);
  };
  for (const { model_name, input_map, output_map } of ensemble.ensemble_scheduling!.step) {
    const model = models.find(({ name }) => name === model_name);
    if (!model) return [...mistakes, `there is no model ${model_name}`];
    if (model.max_batch_size < ensemble.max_batch_size) mistakes.push(`${model_name} takes smaller batches`);
    for (const tensor of model.input) {
      const from = input_map[tensor.name];
      if (from === undefined || !made.has(from)) mistakes.push(`nothing gives ${tensor.name} of ${model_name}`);
      else agree(tensor, from);
    }
    const unknown = (map: object, tensors: readonly ConfigTensor[]) =>
      Object.keys(map).filter((key) => !tensors.some(({ name }) => name === key));
    for (const name of [...unknown(input_map, model.input), ...unknown(output_map, model.output)])
      mistakes.push(`${model_name} has no ${name}`);
    for (const tensor of model.output) {
      const to = output_map[tensor.name];
      if (to === undefined) continue;
      if (made.has(to)) mistakes.push(`${to} is made twice`);
      made.add(to);
      agree(tensor, to);
    }
  }
  for (const { name } of ensemble.output) if (!made.has(name)) mistakes.push(`nothing makes ${name}`);
  return mistakes;
}

const shapeOf = ({ data_type, dims }: ConfigTensor): string => `${data_type} [${dims}]`;
