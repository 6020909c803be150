import { DAG_CBOR, decodeDagCbor, encodeDagCbor, type Block } from '@x/cid'

/** Who signed a result that was not computed here. Each part as the check of the signature told it. */
export interface ResultVoucher {
  /** How it was signed: `key`, `certificate`, `keyless`. */
  method: string
  /** The name that was given here to what is trusted. */
  name?: string | undefined
  /** `sha256:` and the SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal. */
  fingerprint?: string | undefined
  /** Of a certificate, or of a keyless signature. */
  subject?: string | undefined
}

/**
 * The block that stands behind those of a result that somebody else computed: `{ voucher: 1, method, name, fingerprint, subject }`. Whoever
 * takes the result in makes it; it is never taken from where the result came from.
 */
export function encodeVoucher({ method, name, fingerprint, subject }: ResultVoucher): Promise<Block> {
  return encodeDagCbor({
    voucher: 1,
    method,
    ...(name !== undefined && { name }),
    ...(fingerprint !== undefined && { fingerprint }),
    ...(subject !== undefined && { subject }),
  })
}

/** What a voucher's block says, whose bytes were verified; `undefined`: it is another kind of block. */
function decodeVoucher({ cid, bytes }: Block): ResultVoucher | undefined {
  if (cid.code !== DAG_CBOR) return undefined
  const value = decodeDagCbor(bytes)
  if (typeof value !== 'object' || value === null || !('voucher' in value) || value.voucher !== 1) return undefined
  if (!('method' in value) || typeof value.method !== 'string') return undefined
  const text = (part: string): string | undefined => {
    const found: unknown = Reflect.get(value, part)
    return typeof found === 'string' ? found : undefined
  }
  return { method: value.method, name: text('name'), fingerprint: text('fingerprint'), subject: text('subject') }
}

/** Whether a block reads as a voucher, wherever it came from; its bytes were verified. */
export const isVoucher = (block: Block): boolean => decodeVoucher(block) !== undefined

/** The blocks that belong to an entry itself: a receipt, an output, parameters and an input; or what loading a model found out. */
const OWN_BLOCKS = { result: 4, facts: 1 } as const

/**
 * Who signed an entry of a result cache; `undefined`: it was computed here. Only the block behind those of the entry itself says so: an output
 * or parameters that read as a voucher are those of whoever computed them, and may name anybody.
 *
 * @param blocks - All of the entry, in their order; each was verified.
 * @param of - `facts`: what loading a model found out.
 */
export function voucherIn(blocks: readonly Block[], of: keyof typeof OWN_BLOCKS): ResultVoucher | undefined {
  const behind = blocks[OWN_BLOCKS[of]]
  return behind && decodeVoucher(behind)
}
