import { openGatewaySource, type EndpointOptions, type GatewaySourceOptions } from '@x/backend-gateway'

import type { WebSource } from './sources.ts'

/** Its address, or that with headers, which go to its origin alone and stand in no error. */
export type GatewayPlace = string | EndpointOptions

/**
 * A trustless gateway, such as `ipfs-accelerate serve`, a Kubo daemon, or a public one.
 *
 * @param place - Of the gateway; what it answers has to be open to this page (CORS), where it is not the page's own server.
 */
export const gatewaySource = (
  place: GatewayPlace,
  options: Omit<GatewaySourceOptions, 'gateways'> = {},
): WebSource => ({
  kind: 'content',
  label: labelOf(typeof place === 'string' ? place : place.url),
  open: () => openGatewaySource({ ...options, gateways: [place] }),
})

const labelOf = (url: string): string => URL.parse(url)?.host ?? 'gateway'
