import { openGatewaySource, type GatewaySourceOptions } from '@x/backend-gateway'

import type { WebSource } from './sources.ts'

/**
 * A trustless gateway, such as `ipfs-accelerate serve`, a Kubo daemon, or a public one.
 *
 * @param url - Of the gateway; what it answers has to be open to this page (CORS), where it is not the page's own server.
 */
export const gatewaySource = (url: string, options: Omit<GatewaySourceOptions, 'gateways'> = {}): WebSource => ({
  kind: 'content',
  label: labelOf(url),
  open: () => openGatewaySource({ ...options, gateways: [url] }),
})

const labelOf = (url: string): string => URL.parse(url)?.host ?? url
