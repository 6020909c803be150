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
 * The block that stands beside a result that somebody else computed: `{ voucher: 1, method, name, fingerprint, subject }`. Whoever takes
 * the result in makes it; it is never taken from where the result came from.
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

/** Who signed what these blocks are kept with; `undefined`: it was computed here. */
export function voucherIn(blocks: readonly Block[]): ResultVoucher | undefined {
  for (const block of blocks) {
    const voucher = decodeVoucher(block)
    if (voucher) return voucher
  }
  return undefined
}
