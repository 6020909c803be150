import { endpointsOf, loadConfiguration, type LoadConfigurationOptions } from '@x/configuration'
import type { StartServerOptions } from '@x/server'

import { textOption, type OptionSpec, type Values } from './command.ts'
import { UsageError } from './usage-error.ts'

/** Of commands that ask endpoints. */
export const CONFIG: Readonly<Record<string, OptionSpec>> = {
  config: {
    type: 'string',
    metavar: 'FILE',
    help: 'endpoints and their gate; default IPFS_ACCELERATE_CONFIG, else ipfs-accelerate.toml of the user and the project',
  },
}

/**
 * Who else may be asked, as the configuration says.
 *
 * @throws {UsageError} `--config` is empty. @throws As `loadConfiguration` and `endpointsOf`.
 */
export async function configuredEndpoints(
  values: Values,
  options: Pick<LoadConfigurationOptions, 'environment' | 'onWarning'>,
): Promise<Pick<StartServerOptions, 'endpoints' | 'useEndpoints' | 'configuredGates'>> {
  const file = textOption(values, 'config')
  // As an unset variable of a shell gives it.
  if (file === '') throw new UsageError('--config is empty')
  const configuration = await loadConfiguration({ ...options, file })
  const { useEndpoints, gates } = configuration
  return { endpoints: await endpointsOf(configuration, options), useEndpoints, configuredGates: gates }
}
