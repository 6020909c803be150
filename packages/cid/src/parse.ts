import { base16, base16upper } from 'multiformats/bases/base16'
import { base32, base32upper } from 'multiformats/bases/base32'
import { base36, base36upper } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { base64, base64url } from 'multiformats/bases/base64'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'

import { InvalidInputError } from './errors.ts'
import { DIGEST_BYTES, IDENTITY, DAG_PB, SHA2_256 } from './hash.ts'

const bases = base16.decoder
  .or(base16upper.decoder)
  .or(base32.decoder)
  .or(base32upper.decoder)
  .or(base36.decoder)
  .or(base36upper.decoder)
  .or(base58btc.decoder)
  .or(base64.decoder)
  .or(base64url.decoder)

/** The longest inline block that Kubo takes in an identity CID. Bytes. */
const MAX_IDENTITY_BYTES = 128

/** More than the longest such CID takes in the widest base, hexadecimal. */
const MAX_TEXT_LENGTH = 512

/**
 * Parses a CID and refuses what merely looks like one: a digest whose length does not fit its hash function, a CIDv0
 * that is not dag-pb under sha2-256, trailing bytes, another base's letters, surrounding spaces.
 *
 * What no parser can refuse: 44 base58 characters after `Qm` that decode to 32 bytes are a CIDv0, whoever made them
 * up. Its block will not be found.
 *
 * @param text - Without `ipfs://` and without a path.
 * @throws {InvalidInputError} With the text, or its beginning when it is over 120 characters long, in its message.
 */
export function parseCid(text: string): CID {
  const refuse = (why: string, cause?: unknown): never => {
    const shown = text.length > 120 ? `${text.slice(0, 117)}...` : text
    throw new InvalidInputError(`not a CID: ${JSON.stringify(shown)}: ${why}`, {
      input: text.slice(0, MAX_TEXT_LENGTH),
      cause,
    })
  }
  if (text === '') return refuse('it is empty')
  // Before it is decoded: base58 takes time with the square of the length.
  if (text.length > MAX_TEXT_LENGTH) return refuse(`it is over ${MAX_TEXT_LENGTH} characters long`)
  const isBare = /^Qm.{44}$/.test(text)
  let bytes: Uint8Array
  let cid: CID
  try {
    bytes = isBare ? base58btc.decode(`z${text}`) : bases.decode(text)
    cid = CID.decode(bytes)
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause), cause)
  }
  if ((cid.version === 0) !== isBare) return refuse('version 0, and no other, is written without the letter of a base')
  const { code, size, digest } = cid.multihash
  const shortest = CID.create(cid.version, cid.code, createDigest(code, digest)).bytes
  // Else one block would have many CIDs.
  if (shortest.length !== bytes.length) return refuse('a number in it is not written in the shortest way')
  if (cid.version === 0 && (cid.code !== DAG_PB || code !== SHA2_256))
    return refuse('version 0 means dag-pb and sha2-256')
  const wanted = DIGEST_BYTES.get(code)
  if (wanted !== undefined && size !== wanted) return refuse(`its digest has ${size} bytes, not ${wanted}`)
  if (wanted === undefined && code !== IDENTITY) return refuse(`hash function 0x${code.toString(16)} is not supported`)
  if (code === IDENTITY && digest.length > MAX_IDENTITY_BYTES) {
    return refuse(`an inline block has at most ${MAX_IDENTITY_BYTES} bytes, this one ${digest.length}`)
  }
  return cid
}
