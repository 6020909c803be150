import { createHubClient, type HubClientOptions } from '@x/hub-client'

import type { WebSource } from './sources.ts'

/**
 * A Hugging Face hub, or what speaks like one, such as `ipfs-accelerate serve`. A page can ask it where it answers with CORS.
 *
 * @param endpoint - There is no default. @param options.token - Goes to that origin alone.
 */
export const hubSource = (
  endpoint: string,
  options: Omit<HubClientOptions, 'endpoint' | 'offline'> = {},
): WebSource => ({
  kind: 'hub',
  label: URL.parse(endpoint)?.host ?? endpoint,
  open: () => createHubClient({ ...options, endpoint }),
})
