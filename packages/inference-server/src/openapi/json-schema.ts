import { z, type ZodType } from 'zod'

import type { Limits } from '../inference-options.ts'

/** As JSON has it. */
export type JsonObject = Readonly<Record<string, unknown>>

interface Taken {
  schema: (limits: Limits) => JsonObject
  isRequired: boolean
}

const TAKEN = new WeakMap<object, Taken>()

/**
 * Says what is taken of a field that is read by hand behind its schema, which lets more through, so that its error is the one that
 * clients of an API know.
 *
 * @param taken - A JSON Schema, draft 2020-12.
 * @param options.required - The field has to be there, though its schema does not say so. Default false.
 */
export function readByHand<T extends ZodType>(
  schema: T,
  taken: (limits: Limits) => JsonObject,
  { required = false }: { required?: boolean } = {},
): T {
  TAKEN.set(schema, { schema: taken, isRequired: required })
  return schema
}

/** A field that is known, and taken where it asks for nothing. */
export const notTaken = <T extends ZodType>(schema: T, ...neutral: readonly unknown[]): T =>
  readByHand(schema, () => ({ enum: [...neutral, null], description: 'known, and not done here' }))

/** The JSON Schema, draft 2020-12, of what a schema reads, by these limits. */
export function toJsonSchema(schema: ZodType, limits: Limits): JsonObject {
  const { $schema: _, ...written } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: ({ zodSchema }) => (TAKEN.has(zodSchema) ? 'any' : 'throw'),
    override({ zodSchema, jsonSchema }) {
      const taken = TAKEN.get(zodSchema)
      if (taken) {
        for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key)
        Object.assign(jsonSchema, taken.schema(limits))
      }
      if (zodSchema instanceof z.ZodObject) requireByHand(zodSchema.shape, jsonSchema)
      // That a whole number is one that JSON says exactly goes without saying.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  return written
}

function requireByHand(shape: Readonly<Record<string, object>>, jsonSchema: { required?: string[] }): void {
  const names = Object.keys(shape).filter((name) => TAKEN.get(shape[name] ?? {})?.isRequired)
  if (names.length > 0) jsonSchema.required = [...(jsonSchema.required ?? []), ...names]
}

/** One text. */
export const textSchema = ({ maxTextCharacters }: Limits): JsonObject => ({
  type: 'string',
  minLength: 1,
  maxLength: maxTextCharacters,
})
