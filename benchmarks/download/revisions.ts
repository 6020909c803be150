import { createCipheriv, createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

/** A file of tensors, and where they are. */
export interface Revision {
  root: string
  size: number
  sha256: string
  /** SHA-256 in hex. */
  pieces: { offset: number; length: number; sha256: string }[]
}

/** A revision on disk. */
export interface Made {
  path: string
  size: number
  sha256: string
  root: string
  /** Paths. */
  outboard: string
  table: string
}

/** What `prepare.ts` has made. */
export interface Prepared {
  /** Of the input. */
  root: string
  outboard: string
  /** Of the smaller input. */
  part: { root: string; outboard: string }
  before: Made
  changed: Made
  longer: Made
}

const HEADER_BYTES = 64 * 1024

/** As in a transformer: a few large ones, many small ones. Bytes. */
const TENSOR_BYTES = [2_359_296, 3072, 589_824, 768, 2_359_296, 3072, 589_824, 768, 589_824, 1536, 147_456]

const randomBytes = (seed: string, size: number): Uint8Array =>
  createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16)).update(Buffer.alloc(size))

export interface Change {
  /** Of the header, which grows by so many bytes. */
  moreHeader: number
  /** One tensor of so many has other bytes. */
  everyTensor: number
}

/** Writes a revision, and beside it its table. `size`: about. */
export async function writeRevision(
  path: string,
  size: number,
  { moreHeader, everyTensor }: Change,
): Promise<Revision> {
  const file = await open(path, 'wx')
  const whole = createHash('sha256')
  const pieces: Revision['pieces'] = []
  let offset = 0
  const put = async (bytes: Uint8Array): Promise<number> => {
    await file.write(bytes)
    whole.update(bytes)
    return offset + bytes.length
  }
  offset = await put(randomBytes(`header ${moreHeader}`, HEADER_BYTES + moreHeader))
  for (let index = 0; offset < size; index++) {
    const round = Math.floor(index / TENSOR_BYTES.length)
    const length = TENSOR_BYTES[index % TENSOR_BYTES.length] ?? 0
    // Whole layers change, as many as are 5 % of all.
    const isOther = everyTensor > 0 && round % everyTensor === Math.floor(everyTensor / 2)
    const bytes = randomBytes(`tensor ${index}${isOther ? ' other' : ''}`, length)
    pieces.push({ offset, length, sha256: createHash('sha256').update(bytes).digest('hex') })
    offset = await put(bytes)
  }
  await file.sync()
  await file.close()
  return { root: '', size: offset, sha256: whole.digest('hex'), pieces }
}
