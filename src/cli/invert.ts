import { Option } from 'commander';

/** Whether light and dark are swapped before the model. */
export const invertOption = () =>
  new Option('--invert <choice>', 'swap light and dark; auto: when the border is light')
    .choices(['auto', 'yes', 'no'])
    .default('auto');
