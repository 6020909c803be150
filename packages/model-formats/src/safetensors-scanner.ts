import { createPushReader, type ReadingProgram } from './push-reader.ts'
import {
  endsInside,
  goesOn,
  HEADER,
  LENGTH_OF_HEADER,
  notWhole,
  PREFIX_BYTES,
  readHeaderLength,
  readSafetensorsHeader,
  tensorCalled,
} from './safetensors-header.ts'
import { refuseAgain, type ScannedFile, type TensorScanner } from './scanner.ts'
import { digestOf, type CreateSha256 } from './sha256.ts'

/**
 * Lists the tensors of a safetensors file. Refused is what the reference implementation refuses, and names that are there
 * twice. The header is held until its end.
 *
 * @param file - What messages call it.
 * @see https://github.com/huggingface/safetensors
 */
export function createSafetensorsScanner(file: string, createSha256: CreateSha256 | undefined): TensorScanner {
  const refuse = (why: string): never => {
    throw notWhole(file, why)
  }
  return refuseAgain(
    createPushReader(readSafetensors(createSha256, refuse), {
      cut: (offset, what) => refuse(endsInside(offset, what)),
      rest: (offset) => refuse(goesOn(offset)),
    }),
  )
}

function* readSafetensors(
  createSha256: CreateSha256 | undefined,
  refuse: (why: string) => never,
): ReadingProgram<ScannedFile> {
  const prefix = yield { bytes: PREFIX_BYTES, what: LENGTH_OF_HEADER }
  const header = yield { bytes: readHeaderLength(prefix, refuse), what: HEADER }
  const { tensors, metadata } = readSafetensorsHeader(header, refuse)
  for (const tensor of tensors) {
    const hash = createSha256?.()
    yield {
      pass: tensor.length,
      what: tensorCalled(tensor.name),
      ...(hash && { onPiece: (piece: Uint8Array) => hash.update(piece) }),
    }
    if (hash !== undefined) tensor.sha256 = digestOf(hash)
  }
  return { table: { schema: 1, format: 'safetensors', tensors }, metadata }
}
