import { useState } from 'preact/hooks';
import type { Model } from '../../client/index.js';
import { words } from '../arrays.js';
import { load, type Sample, samplesFor } from '../samples.js';
import { change } from './route.js';
import { type Task, useTask } from './task.js';

/** The picture of a view: a sample, which the address names, or an upload, which it never does. */
export interface Chosen {
  readonly sample: Sample | undefined;
  readonly task: Task<File>;
  /** What to call it in a sentence. */
  readonly name: string;
  onSample(sample: Sample): void;
  onFile(file: File): void;
}

/**
 * @param setting the setting in the address that names the sample
 * @param first which sample is chosen when the address names none
 */
export function useChosen(
  model: Model,
  settings: Readonly<Record<string, string>>,
  setting: string,
  first = 0,
): Chosen {
  const [file, setFile] = useState<File>();
  const suitable = samplesFor(model.input.channels);
  const named = suitable.find(({ name }) => name === settings[setting]) ?? suitable[first % suitable.length];
  const sample = file === undefined ? named : undefined;
  const task = useTask(async (signal) => file ?? load(named!, signal), [file, named]);
  return {
    sample,
    task,
    name: sample ? words(sample.name) : 'picture',
    onSample: ({ name }) => {
      setFile(undefined);
      change({ [setting]: name });
    },
    onFile: setFile,
  };
}
