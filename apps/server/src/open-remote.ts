import { decideGates, mayReach, type GateInputs, type Gates } from '@x/gating'
import { createRemoteInference, type EndpointSettings, type RemoteInference } from '@x/remote-inference'

export interface OpenRemoteOptions {
  /** Default `process.env`. */
  environment?: GateInputs['environment'] | undefined
  endpoints?: readonly EndpointSettings[] | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateInputs['options']
  /** What a configuration file says of gates; the environment wins over it. */
  configuredGates?: GateInputs['config']
  /** Hears that an endpoint is not asked because of a gate, of which, and how to open it. */
  onWarning?: ((message: string) => void) | undefined
}

/**
 * Who else may be asked; `undefined`: there is nobody.
 *
 * @throws {InvalidInputError} Settings of an endpoint that cannot be. @throws As `decideGates`.
 */
export function openRemote(options: OpenRemoteOptions): RemoteInference | undefined {
  const { endpoints = [], environment = process.env, onWarning } = options
  const decide = (gates: GateInputs['options']): Gates =>
    decideGates({ environment, options: gates, config: options.configuredGates })
  if (endpoints.length === 0) return undefined
  const gates = decide(options.gates)
  const remote = createRemoteInference({ endpoints, gates })
  const shut = endpoints.filter(isShut(gates))
  if (shut.length > 0) {
    // Where another network would do, it is the network's gate.
    const isNetwork = !shut.some(isShut(decide({ ...options.gates, network: 'prefer' })))
    onWarning?.(notAsked(shut, gates, isNetwork ? 'network' : 'remote-inference'))
  }
  return remote
}

const isShut =
  (gates: Gates) =>
  ({ url }: EndpointSettings): boolean =>
    !mayReach(gates, 'remote-inference', new URL(url).hostname)

function notAsked(shut: readonly EndpointSettings[], gates: Gates, gate: 'network' | 'remote-inference'): string {
  const { position, reason } = gates.features[gate]
  const which = `${shut.length === 1 ? 'endpoint' : 'endpoints'} ${shut.map(({ name }) => name).join(', ')}`
  const variable = `IPFS_ACCELERATE_${gate.toUpperCase().replace('-', '_')}`
  return `${which}: not asked, for the gate ${gate} is ${position}. ${reason} ${variable}=prefer opens it.`
}
