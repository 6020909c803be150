import type { JsonObject } from './json-schema.ts'

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** The objects in a value, where it has any. */
export const objectIn = (value: unknown): JsonObject => (isObject(value) ? value : {})

/** A JSON Schema as one reads it: much as TypeScript writes types, with what it has no words for behind a dash. */
export function schemaText(schema: JsonObject, indent = ''): string {
  const { $ref, enum: values, anyOf, const: only, type } = schema
  if (typeof $ref === 'string') return nameOf($ref)
  if (only !== undefined) return JSON.stringify(only)
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(' | ')
  if (Array.isArray(anyOf)) return union(anyOf.map((each) => schemaText(objectIn(each), indent)))
  if (Array.isArray(type)) return union(type.map((each) => schemaText({ ...schema, type: each }, indent)))
  if (type === 'object') return objectText(schema, indent)
  if (type === 'array') return `${itemText(objectIn(schema['items']), indent)}[]${boundsOf(schema)}`
  return typeof type === 'string' ? type + boundsOf(schema) : 'any'
}

/** What a reference ends with. */
export const nameOf = ($ref: string): string => $ref.slice($ref.lastIndexOf('/') + 1)

const union = (parts: readonly string[]): string => [...new Set(parts)].join(' | ')

function itemText(items: JsonObject, indent: string): string {
  const text = schemaText(items, indent)
  const isSeveral = [items['anyOf'], items['type'], items['enum']].some((each) => Array.isArray(each))
  return isSeveral || text.endsWith(')') ? `(${text})` : text
}

function objectText({ properties, required, additionalProperties }: JsonObject, indent: string): string {
  const entries = Object.entries(objectIn(properties))
  const names = listIn(required)
  if (entries.length === 0)
    return isObject(additionalProperties) ? `{ [name]: ${schemaText(additionalProperties, indent)} }` : 'object'
  const inner = `${indent}  `
  const rows = entries.map(([name, value]) => {
    const schema = objectIn(value)
    const says = typeof schema['description'] === 'string' ? ` — ${schema['description']}` : ''
    return `${inner}${name}${names.includes(name) ? '' : '?'}: ${schemaText(schema, inner)}${says}\n`
  })
  return `{\n${rows.join('')}${indent}}`
}

const BOUNDS = [
  ['minimum', 'maximum', ''],
  ['minLength', 'maxLength', ' characters'],
  ['minItems', 'maxItems', ' items'],
] as const

const numberIn = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)

function boundsOf(schema: JsonObject): string {
  const found = BOUNDS.flatMap(([least, most, unit]) => {
    const [from, to] = [numberIn(schema[least]), numberIn(schema[most])]
    if (from === undefined && to === undefined) return []
    if (to === undefined) return [`from ${from}${unit}`]
    return [from === undefined ? `up to ${to}${unit}` : `${from} to ${to}${unit}`]
  })
  return found.length === 0 ? '' : ` (${found.join(', ')})`
}
