/** What a JSON file can hold. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

/** Ways to listen for peers. */
export type SwarmTransport = 'tcp' | 'ws' | 'quic' | 'webtransport' | 'webrtc-direct'

const LISTEN: Record<SwarmTransport, string> = {
  tcp: '/ip4/127.0.0.1/tcp/0',
  ws: '/ip4/127.0.0.1/tcp/0/ws',
  quic: '/ip4/127.0.0.1/udp/0/quic-v1',
  webtransport: '/ip4/127.0.0.1/udp/0/quic-v1/webtransport',
  'webrtc-direct': '/ip4/127.0.0.1/udp/0/webrtc-direct',
}

/** Nobody is asked, told or looked for, and nothing is heard but what comes over loopback. */
export function isolated({ transports, mdns }: { transports: readonly SwarmTransport[]; mdns: boolean }): JsonObject {
  return {
    Addresses: {
      API: '/ip4/127.0.0.1/tcp/0',
      Gateway: '/ip4/127.0.0.1/tcp/0',
      Swarm: transports.map((transport) => LISTEN[transport]),
    },
    AutoConf: { Enabled: false },
    AutoNAT: { ServiceMode: 'disabled' },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    DNS: { Resolvers: {} },
    Discovery: { MDNS: { Enabled: mdns } },
    HTTPRetrieval: { Enabled: false },
    Ipns: { DelegatedPublishers: [] },
    Provide: { Enabled: false },
    Routing: { Type: 'none', DelegatedRouters: [] },
    Swarm: {
      DisableNatPortMap: true,
      EnableHolePunching: false,
      RelayClient: { Enabled: false },
      RelayService: { Enabled: false },
    },
    Version: { SwarmCheckEnabled: false },
  }
}

/** One configuration over another: objects are merged, anything else is replaced. */
export function mergeConfig(below: JsonObject, above: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...below }
  for (const [name, value] of Object.entries(above)) {
    const there = merged[name]
    merged[name] = isObject(there) && isObject(value) ? mergeConfig(there, value) : value
  }
  return merged
}

/** A field of a configuration: `fieldOf(config, 'Identity', 'PeerID')`. */
export function fieldOf(config: Json, ...names: string[]): Json | undefined {
  return names.reduce<Json | undefined>((value, name) => (isObject(value) ? value[name] : undefined), config)
}

/** @throws It is no JSON object. */
export function parseConfig(text: string): JsonObject {
  const value: Json = JSON.parse(text)
  if (!isObject(value)) throw new Error('the configuration is no object')
  return value
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
