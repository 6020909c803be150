import { publicKeyFromProtobuf } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { CID, SHA2_256 } from '@x/cid'
import { InvalidInputError } from '@x/storage-core'

import { readVarint } from '../bitswap/varint.ts'
import { messageOf } from '../message-of.ts'

const LIBP2P_KEY = 0x72

/**
 * The peer at the end of a multiaddr, in base58 however it is written there. Circuits end with another one.
 *
 * @throws {InvalidInputError} It is no multiaddr, or does not end with a peer ID.
 * @see https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
 */
export function peerIdOf(address: string): string {
  const text = /^\/.*\/p2p\/([^/]+)$/.exec(address)?.[1]
  if (text === undefined) {
    throw new InvalidInputError(`not a multiaddr that ends with /p2p/<peer ID>: ${address}`, { input: address })
  }
  const id = toPeerId(text)
  if (id === undefined) throw new InvalidInputError(`${address}: ${text} is no peer ID`, { input: address })
  assertMultiaddr(address)
  return id
}

/** @throws {InvalidInputError} It is none. */
export function assertMultiaddr(address: string): void {
  try {
    // It reads all of it when it is asked for that.
    void multiaddr(address).bytes
  } catch (cause) {
    throw new InvalidInputError(`${address}: ${messageOf(cause)}`, { input: address, cause })
  }
}

/** In base58; `undefined`: it is none. */
function toPeerId(text: string): string | undefined {
  try {
    if (!/^[1Q]/.test(text) && CID.parse(text).code !== LIBP2P_KEY) return undefined
    const { bytes } = multiaddr(`/p2p/${text}`)
    // Behind the protocol, of two bytes, and a length.
    const { multihash } = CID.decode(Uint8Array.of(1, LIBP2P_KEY, ...bytes.subarray(readVarint(bytes, 2).end)))
    // sha2-256 is of a key that is too long to be its own ID.
    if (multihash.code !== SHA2_256) publicKeyFromProtobuf(multihash.digest)
    // What is read from bytes is in base58.
    return multiaddr(bytes).getComponents()[0]?.value
  } catch {
    // Whoever asks says what was given.
    return undefined
  }
}
