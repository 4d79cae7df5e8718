import { CheckpointFileError } from '../formats/pickle/errors.js';
import { Instance } from '../formats/pickle/pickle.js';
import type { StoredTensor } from './strided.js';
import { isStoredTensor, SAVE_AGAIN } from './torch.js';

/** Keys under which training scripts usually store the weights, in the order in which they are tried. */
const USUAL_KEYS = ['state_dict', 'model_state_dict', 'model', 'net', 'network', 'weights', 'module'];

type Tensors = Map<string, StoredTensor>;
type Attributes = ReadonlyMap<unknown, unknown>;

export interface Weights {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Attributes of a whole model, by name; empty for a state dict. */
  readonly attributes: ReadonlyMap<string, unknown>;
}

/** Weights by their names in the file, and the attributes of their module. */
export interface Found {
  readonly tensors: Tensors;
  readonly module?: Attributes;
}

/**
 * Finds the weights in the root object of a checkpoint: a state dict, a whole model, or a dict that holds one of these
 * under a usual key or as the only one. Names are those of PyTorch's state_dict(), without prefixes of wrappers.
 * @throws CheckpointFileError describing what the file holds instead
 */
export function findWeights(path: string, root: unknown): Weights {
  const found = weightsIn(path, root, 0);
  if (!found) {
    throw new CheckpointFileError(
      path,
      `no weights in it: ${describe(root)}. Expected a state dict, or a dict that has one as ${USUAL_KEYS.join(', ')}`,
    );
  }
  return withoutWrappers(found);
}

const DEEPEST_DICT = 4;

function weightsIn(path: string, value: unknown, depth: number): Found | undefined {
  const module = moduleOf(value);
  if (module) return { tensors: moduleWeights(path, module), module };
  const dict = dictOf(value);
  if (!dict || depth > DEEPEST_DICT) return undefined;
  for (const key of USUAL_KEYS) {
    const found = weightsIn(path, dict.get(key), depth + 1);
    if (found) return found;
  }
  const tensors = tensorsOf(dict);
  if (tensors.size > 0) return { tensors };
  const inside = [...dict].flatMap(([key, inner]) => {
    const found = isWeights(inner) ? weightsIn(path, inner, depth + 1) : undefined;
    return found ? [{ key: nameOf(key), found }] : [];
  });
  if (inside.length > 1) {
    const keys = inside.map(({ key }) => key).join(', ');
    throw new CheckpointFileError(path, `several sets of weights in it: ${keys}. Save the one that is meant by itself`);
  }
  return inside[0]?.found;
}

/** Whether a value is a state dict or a model. The state of an optimiser is neither. */
const isWeights = (value: unknown): boolean => moduleOf(value) !== undefined || tensorsOf(dictOf(value)).size > 0;

const dictOf = (value: unknown): Attributes | undefined => {
  const dict = value instanceof Instance ? value.entries : value;
  return dict instanceof Map ? dict : undefined;
};

/** The attributes of an nn.Module. With __slots__, its state is a pair whose first element has the usual attributes. */
function moduleOf(value: unknown): Attributes | undefined {
  if (!(value instanceof Instance)) return undefined;
  const state = Array.isArray(value.state) ? value.state[0] : value.state;
  return state instanceof Map && state.get('_modules') instanceof Map ? state : undefined;
}

function tensorsOf(dict: Attributes = new Map()): Tensors {
  const tensors: Tensors = new Map();
  for (const [key, value] of dict) if (typeof key === 'string' && isStoredTensor(value)) tensors.set(key, value);
  return tensors;
}

/** Limits far above any model: a pickle can nest modules without end. */
const DEEPEST_MODULE = 100;
const MOST_MODULES = 1e5;

/** Parameters and persistent buffers of a module, then those of its submodules, in the order of state_dict(). */
function moduleWeights(path: string, root: Attributes): Tensors {
  const tensors: Tensors = new Map();
  let visited = 0;
  const visit = (module: Attributes, prefix: string, depth: number): void => {
    visited += 1;
    if (depth > DEEPEST_MODULE || visited > MOST_MODULES) {
      throw new CheckpointFileError(path, `its modules contain each other, or are too many. ${SAVE_AGAIN}`);
    }
    for (const [name, stored] of ownWeights(module)) tensors.set(prefix + name, stored);
    for (const [name, value] of dictOf(module.get('_modules')) ?? []) {
      const inner = moduleOf(value);
      if (inner && typeof name === 'string') visit(inner, `${prefix}${name}.`, depth + 1);
    }
  };
  visit(root, '', 0);
  return tensors;
}

function ownWeights(module: Attributes): Tensors {
  const buffers = tensorsOf(dictOf(module.get('_buffers')));
  const fleeting = module.get('_non_persistent_buffers_set');
  if (fleeting instanceof Set) for (const name of fleeting) buffers.delete(name as string);
  return new Map([...tensorsOf(dictOf(module.get('_parameters'))), ...buffers]);
}

/** Attributes under which modules wrap a model: DataParallel and AveragedModel, torch.compile, Lightning and scripts. */
const WRAPPERS = ['module', '_orig_mod', 'model'];

/** The counter that AveragedModel (stochastic weight averaging) stores beside the model. */
const COUNTER = 'n_averaged';

/** Removes the prefixes of wrappers that all names share, from the outermost inwards. The attributes are the inner model's. */
export function withoutWrappers({ tensors, module }: Found): Weights {
  const names = [...tensors.keys()].filter((name) => name !== COUNTER);
  const wrapper = WRAPPERS.find((w) => names.length > 0 && names.every((name) => name.startsWith(`${w}.`)));
  if (wrapper === undefined) {
    const named = [...(module ?? [])].filter((entry): entry is [string, unknown] => typeof entry[0] === 'string');
    return { tensors, attributes: new Map(named) };
  }
  const inner = moduleOf(dictOf(module?.get('_modules'))?.get(wrapper));
  const renamed = names.map((name) => [name.slice(wrapper.length + 1), tensors.get(name)!] as const);
  return withoutWrappers({ tensors: new Map(renamed), ...(inner && { module: inner }) });
}

/** A key as shown in messages; for a key that is not a string, its type. */
const nameOf = (key: unknown): string => (typeof key === 'string' ? key.slice(0, 40) : typeof key);

function describe(value: unknown): string {
  const dict = dictOf(value);
  if (value instanceof Instance && dict?.size === 0) return `it holds a ${value.type}`;
  if (dict) {
    const keys = [...dict.keys()].map(nameOf);
    return `it holds a dict of ${keys.slice(0, 12).join(', ') || 'nothing'}${keys.length > 12 ? ', …' : ''}`;
  }
  if (isStoredTensor(value)) return `it holds a single tensor of dims [${value.dims}]`;
  return Array.isArray(value)
    ? `it holds a list of ${value.length}`
    : `it holds a ${value === null ? 'None' : typeof value}`;
}
