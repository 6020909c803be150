import { InvalidInputError } from '@x/cid'

import { createPushReader, type ReadingProgram } from './push-reader.ts'
import { quoted } from './quoted.ts'
import { readSafetensorsHeader } from './safetensors-header.ts'
import { refuseAgain, type ScannedFile, type TensorScanner } from './scanner.ts'
import { digestOf, type CreateSha256 } from './sha256.ts'

const PREFIX_BYTES = 8
/** What the reference implementation allows. */
const MAX_HEADER_BYTES = 100_000_000

/**
 * Lists the tensors of a safetensors file. Refused is what the reference implementation refuses, and names that are there
 * twice. The header is held until its end.
 *
 * @param file - What messages call it.
 * @see https://github.com/huggingface/safetensors
 */
export function createSafetensorsScanner(file: string, createSha256: CreateSha256 | undefined): TensorScanner {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${file} is not a whole safetensors file: ${why}`, { input: file })
  }
  return refuseAgain(
    createPushReader(readSafetensors(createSha256, refuse), {
      cut: (offset, what) => refuse(`it ends at byte ${offset}, inside ${what}`),
      rest: (offset) => refuse(`there is more behind its last tensor, which ends at byte ${offset}`),
    }),
  )
}

function* readSafetensors(
  createSha256: CreateSha256 | undefined,
  refuse: (why: string) => never,
): ReadingProgram<ScannedFile> {
  const prefix = yield { bytes: PREFIX_BYTES, what: 'the length of its header' }
  const claimed = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true)
  if (claimed > MAX_HEADER_BYTES) refuse(`its header claims ${claimed} bytes, over ${MAX_HEADER_BYTES}`)
  const header = yield { bytes: Number(claimed), what: 'its header' }
  const { tensors, metadata } = readSafetensorsHeader(header, refuse)
  for (const tensor of tensors) {
    const hash = createSha256?.()
    yield {
      pass: tensor.length,
      what: `tensor ${quoted(tensor.name)}`,
      ...(hash && { onPiece: (piece: Uint8Array) => hash.update(piece) }),
    }
    if (hash !== undefined) tensor.sha256 = digestOf(hash)
  }
  return { table: { schema: 1, format: 'safetensors', tensors }, metadata }
}
