import { endpointsOf, type Configuration } from '@x/configuration'
import type { StartServerOptions } from '@x/server'

/**
 * Who else may be asked, as the configuration says. Its gates are in the environment that commands have.
 *
 * @throws As `endpointsOf`.
 */
export async function configuredEndpoints(
  configuration: Configuration,
  options: Parameters<typeof endpointsOf>[1],
): Promise<Pick<StartServerOptions, 'endpoints' | 'useEndpoints'>> {
  return { endpoints: await endpointsOf(configuration, options), useEndpoints: configuration.useEndpoints }
}
