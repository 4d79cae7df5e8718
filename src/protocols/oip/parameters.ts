import { expectOptional, malformed } from './expect.js';

const SHARED_MEMORY = 'shared memory is not supported; send the tensor in the body';

/** Parameters that ask for something that is not done here. */
const refused: Readonly<Record<string, string>> = {
  shared_memory_region: SHARED_MEMORY,
  shared_memory_offset: SHARED_MEMORY,
  shared_memory_byte_size: SHARED_MEMORY,
  classification: 'the classification extension is not supported; ask for the logits',
};

/**
 * The parameters of a request or of a tensor. Those that are not known have no effect, as the protocol has it.
 * @throws Problem inference-malformed
 */
export function parametersOf(value: unknown, owner: string): Readonly<Record<string, unknown>> {
  const parameters = expectOptional(value, 'object', `parameters of ${owner}`) ?? {};
  for (const [name, why] of Object.entries(refused)) {
    if (Object.hasOwn(parameters, name)) throw malformed(`${owner} has the parameter ${name}: ${why}`);
  }
  return parameters;
}
