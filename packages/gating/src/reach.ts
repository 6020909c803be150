import type { Gates } from './decide.ts'
import type { FeatureName } from './features.ts'

/**
 * Whether a feature may connect to a host. To be asked before every connection, also after a redirect. A Unix socket is on
 * this machine: ask for `localhost`.
 *
 * @param hostname - As `URL.hostname` gives it, IPv6 in brackets or not. A name other than `localhost` counts as another
 *   machine, whatever it resolves to, for nobody here resolves it.
 */
export function mayReach(gates: Gates, feature: FeatureName, hostname: string): boolean {
  const { reach } = gates.features[feature]
  return reach === 'any' || (reach === 'loopback' && isLoopback(hostname))
}

/** `localhost` and what is below it (RFC 6761), 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6. */
function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  if (host === '::1') return true
  if (/^(?:[^.]+\.)*localhost\.?$/.test(host)) return true
  if (/^::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}$/.test(host)) return true
  return /^(?:::ffff:)?127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(host)
}
