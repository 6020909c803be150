import { z, type ZodType } from 'zod'

import { DATATYPES } from './datatypes.ts'

export const SERVER: ZodType = z.object({
  name: z.string(),
  version: z.string().optional(),
  extensions: z.array(z.string()),
})

const TENSORS = z.array(z.object({ name: z.string(), datatype: z.enum(DATATYPES), shape: z.array(z.int().min(-1)) }))

export const METADATA: ZodType = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: TENSORS,
  outputs: TENSORS,
  properties: z.object({ file: z.string() }),
})

/** An output has `data`, one item after the other, or stands behind the JSON with so many bytes. */
export const INFERRED: ZodType = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(
    z.object({
      name: z.string(),
      shape: z.array(z.int().min(0)),
      datatype: z.enum(DATATYPES),
      data: z.array(z.union([z.number(), z.boolean(), z.string()])).optional(),
      parameters: z.object({ binary_data_size: z.int().min(0) }).optional(),
    }),
  ),
})
