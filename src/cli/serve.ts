import { Command } from 'commander';
import { isSecret, readConfig, type Setting, settingOption, settings } from '../common/config.js';
import { serve } from '../http/server.js';

/** `irevnet serve`: the HTTP service. */
export const serveCommand = new Command('serve').description('serve models over HTTP until interrupted');
for (const key of settings.filter((key) => !isSecret(key))) serveCommand.addOption(settingOption(key));
serveCommand.action((flags: Partial<Record<Setting, string>>) => serve(readConfig(flags)));
