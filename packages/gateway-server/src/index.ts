export { createGatewayHandler } from './gateway-handler.ts'
export { type GatewayOptions, type GatewayRequestEvent } from './gateway-options.ts'
