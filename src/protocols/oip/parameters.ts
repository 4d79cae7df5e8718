import { expectOptional, malformed } from './expect.js';

const SHARED_MEMORY = 'shared memory is not supported; send the tensor in the body';

/** Parameters that ask for an extension of the protocol that is not supported. */
const refused: Readonly<Record<string, string>> = {
  shared_memory_region: SHARED_MEMORY,
  shared_memory_offset: SHARED_MEMORY,
  shared_memory_byte_size: SHARED_MEMORY,
  classification: 'the classification extension is not supported; ask for the logits',
};

/**
 * Reads the parameters of a request or of a tensor. Unknown ones have no effect, as the protocol demands.
 * @throws Problem inference-malformed
 */
export function parametersOf(value: unknown, owner: string): Readonly<Record<string, unknown>> {
  const parameters = expectOptional(value, 'object', `parameters of ${owner}`) ?? {};
  for (const [name, why] of Object.entries(refused)) {
    if ((parameters[name] ?? null) !== null) throw malformed(`${owner} has the parameter ${name}: ${why}`);
  }
  return parameters;
}
