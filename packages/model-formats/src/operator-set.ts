import { MAX_OPERATOR_BYTES, MAX_OPERATORS } from './limits.ts'
import { utf8Length } from './utf8.ts'

/** ONNX's own domain has two spellings. */
const OWN_DOMAINS: readonly string[] = ['', 'ai.onnx']

/** The name of an operator in a table: `MatMul`, `com.microsoft::DynamicQuantizeMatMul`. */
export function operatorName(type: string, domain: string): string {
  return OWN_DOMAINS.includes(domain) ? type : `${domain}::${type}`
}

export interface OperatorSet {
  add(type: string, domain: string): void
  /** Sorted by code units. */
  sorted(): string[]
}

export function createOperatorSet(refuse: (why: string) => never): OperatorSet {
  const names = new Set<string>()
  let bytes = 0
  return {
    add(type, domain) {
      const name = operatorName(type, domain)
      if (names.has(name)) return
      bytes += utf8Length(name)
      if (names.size === MAX_OPERATORS || bytes > MAX_OPERATOR_BYTES) {
        refuse(
          `it has over ${MAX_OPERATORS} different operators, or their names are over ${MAX_OPERATOR_BYTES} bytes long`,
        )
      }
      names.add(name)
    },
    // A sort without a function is by code units.
    sorted: () => [...names].toSorted((a, b) => (a < b ? -1 : Number(a > b))),
  }
}
