import { MODEL } from './onnx-fields.ts'
import type { Field } from './protobuf-reader.ts'

/** The outermost fields of an ONNX file, as far as every model has them. */
export interface ModelStructure {
  /** A field of the file begins or was read. */
  saw(field: Field): void
  irVersion(value: number): void
  /** @throws What `refuse` throws: a field that every model has is missing. */
  end(): void
}

/** The first IR version in which a model has to import an operator set. */
const FIRST_IR_WITH_OPSETS = 3

export function createModelStructure(refuse: (why: string) => never): ModelStructure {
  const seen = new Set<number>()
  let version: number | undefined
  return {
    saw({ number, length }) {
      if (number === MODEL.graph && length === 0) refuse('its graph is empty')
      if (number === MODEL.irVersion || number === MODEL.graph || number === MODEL.opsetImport) seen.add(number)
    },
    irVersion(value) {
      version = value
    },
    end() {
      const known = version ?? refuse('it has no ir_version')
      if (!seen.has(MODEL.graph)) refuse('it has no graph')
      if (known >= FIRST_IR_WITH_OPSETS && !seen.has(MODEL.opsetImport)) refuse('it imports no operator set')
    },
  }
}
