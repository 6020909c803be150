import { messageOf } from '../message-of.ts'
import { checkNamedAddress, type NamedAddress, type NamedAddressOptions } from '../named-address.ts'
import type { Finder } from '../provider-book.ts'
import type { DelegatedRouter, FoundPeer } from './delegated-router.ts'

export interface RouterFinderOptions extends NamedAddressOptions {
  /** Connects to one peer at any of its addresses. `undefined` without libp2p. */
  dial: ((multiaddrs: readonly string[], options: { signal: AbortSignal }) => Promise<unknown>) | undefined
  onWarning: (message: string) => void
}

/** Asks a delegated router, and connects to whom it names. */
export function createRouterFinder(router: DelegatedRouter, options: RouterFinderOptions): Finder {
  const { dial, onWarning } = options

  async function check(address: string): Promise<NamedAddress | undefined> {
    try {
      return await checkNamedAddress(address, options)
    } catch (error) {
      onWarning(`${address}, named by ${router.name}: ${messageOf(error)}`)
      return undefined
    }
  }

  return {
    name: router.name,
    async find(cid, { signal, onGateway }) {
      const takeNamed = async ({ id, addresses, protocols }: FoundPeer): Promise<void> => {
        const checked = await Promise.all(addresses.map(check))
        const refused = addresses.filter((_, index) => checked[index] === undefined)
        if (refused.length > 0) onWarning(`${id}, named by ${router.name}: not used: ${refused.join(', ')}`)
        const useful = checked.filter((one) => one !== undefined)
        const mayBeGateway = protocols.length === 0 || protocols.includes('transport-ipfs-gateway-http')
        for (const one of useful) {
          // Not less safe than the router itself.
          const isSafe = one.type === 'gateway' && (one.url.protocol === 'https:' || !router.isSecure)
          if (mayBeGateway && isSafe) onGateway(one.url)
        }
        const multiaddrs = useful.flatMap((one) => (one.type === 'peer' ? one.multiaddrs : []))
        if (!dial || multiaddrs.length === 0) return
        try {
          await dial(
            multiaddrs.map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${id}`)),
            { signal },
          )
        } catch (error) {
          if (!signal.aborted) onWarning(`${id}, named by ${router.name}, cannot be reached: ${messageOf(error)}`)
        }
      }
      await Promise.all((await router.findProviders(cid, { signal })).map(takeNamed))
    },
  }
}
