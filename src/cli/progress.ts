import type { StepEntry, TrainingLog } from '../../export/train/log.js';

const WIDTH = 24;

/** Milliseconds between two lines of plain output, and between two updates of a terminal. */
const PLAIN_EVERY = 15_000;
const TERMINAL_EVERY = 200;

/** The share of the previous average in the next one. It steadies the numbers enough to be read. */
const SMOOTHING = 0.98;

/** Shows the progress of a training run: a progress bar on a terminal, a line every 15 seconds elsewhere. */
export function trainingProgress(out: NodeJS.WriteStream): TrainingLog {
  let run = { start: 0, total: 0, perEpoch: 1, batch: 0 };
  let [began, shown, loss, accuracy] = [0, 0, Number.NaN, Number.NaN];
  const smooth = (average: number, value: number) =>
    Number.isNaN(average) ? value : SMOOTHING * average + (1 - SMOOTHING) * value;
  const describe = ({ step, epoch, learningRate }: StepEntry) => {
    const seconds = (Date.now() - began) / 1000;
    const rate = (step - run.start) / seconds;
    const parts = [
      `step ${step}/${run.total}`,
      `epoch ${epoch.toFixed(2)}`,
      `loss ${loss.toFixed(4)}`,
      `accuracy ${(100 * accuracy).toFixed(1)}%`,
      `lr ${learningRate.toPrecision(3)}`,
      `${Math.round(rate * run.batch)} images/s`,
      `${duration((run.total - step) / rate)} left`,
    ];
    return parts.join('  ');
  };
  const clear = () => out.isTTY && out.write('\r\x1b[K');
  return {
    begin: (r) => {
      run = r;
      [began, shown] = [Date.now(), Date.now()];
      if (r.start > 0) out.write(`resuming at step ${r.start} of ${r.total}\n`);
    },
    step: (m) => {
      [loss, accuracy] = [smooth(loss, m.loss), smooth(accuracy, m.accuracy)];
      if (Date.now() - shown < (out.isTTY ? TERMINAL_EVERY : PLAIN_EVERY) && m.step < run.total) return;
      shown = Date.now();
      const text = describe(m);
      out.write(out.isTTY ? `\r\x1b[K${bar(m.step / run.total)} ${text}`.slice(0, out.columns + 4) : `${text}\n`);
    },
    validation: ({ epoch, accuracy, images }) => {
      clear();
      out.write(`epoch ${epoch.toFixed(2)}: ${(100 * accuracy).toFixed(2)}% of ${images} validation images\n`);
    },
    end: () => void (out.isTTY && out.write('\n')),
  };
}

const MIB = 2 ** 20;

/** Shows the progress of a long write: a bar on a terminal; elsewhere a line after each tenth, if it has over 100 MiB. */
export function byteProgress(out: NodeJS.WriteStream, what: string): (done: number, total: number) => void {
  let shown = 0;
  return (done, total) => {
    const text = `${what} ${Math.round(done / MIB)} of ${Math.round(total / MIB)} MiB`;
    if (out.isTTY) out.write(`\r\x1b[K${bar(done / total)} ${text}${done === total ? '\n' : ''}`);
    else if (total > 100 * MIB && Math.floor((10 * done) / total) > shown) {
      shown = Math.floor((10 * done) / total);
      out.write(`${text}\n`);
    }
  };
}

/** Shows the progress of a job: inputs, bad inputs, images/s and the time left. On a terminal a bar, elsewhere a line every 15 seconds. */
export function countProgress(out: NodeJS.WriteStream, what: string) {
  let run = { start: 0, total: 0, began: 0 };
  let [done, bad, shown] = [0, 0, 0];
  const describe = () => {
    const rate = (done - run.start) / ((Date.now() - run.began) / 1000);
    const wrong = bad > 0 ? `  ${bad} bad` : '';
    return `${what} ${done}/${run.total}${wrong}  ${Math.round(rate)} images/s  ${duration((run.total - done) / rate)} left`;
  };
  return {
    begin(start: number, total: number): void {
      run = { start, total, began: Date.now() };
      [done, shown] = [start, Date.now()];
      if (start > 0) out.write(`${start} of ${total} inputs were computed before\n`);
    },
    step(more: number, wrong: number): void {
      done += more;
      bad += wrong;
      if (Date.now() - shown < (out.isTTY ? TERMINAL_EVERY : PLAIN_EVERY)) return;
      shown = Date.now();
      out.write(
        out.isTTY ? `\r\x1b[K${bar(done / run.total)} ${describe()}`.slice(0, out.columns + 4) : `${describe()}\n`,
      );
    },
    end: () => void (out.isTTY && out.write('\r\x1b[K')),
  };
}

/** Shows the stages of an experiment, each with a count: on a terminal a bar, elsewhere a line every 15 seconds. */
export function stageProgress(out: NodeJS.WriteStream) {
  let shown = Date.now();
  return {
    show(stage: string, done: number, total: number): void {
      if (Date.now() - shown < (out.isTTY ? TERMINAL_EVERY : PLAIN_EVERY)) return;
      shown = Date.now();
      const text = `${stage} ${done} of ${total}`;
      out.write(out.isTTY ? `\r\x1b[K${bar(done / total)} ${text}`.slice(0, out.columns + 4) : `${text}\n`);
    },
    /** Writes a line that stays. */
    say: (line: string) => void out.write(`${out.isTTY ? '\r\x1b[K' : ''}${line}\n`),
    end: () => void (out.isTTY && out.write('\r\x1b[K')),
  };
}

const bar = (done: number): string => {
  const full = Math.round(WIDTH * done);
  return `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)}`;
};

/** Seconds as 1h02m, 3m20s or 5s. */
function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const s = Math.round(seconds);
  if (s >= 3600) return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
  return s >= 60 ? `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s` : `${s}s`;
}
