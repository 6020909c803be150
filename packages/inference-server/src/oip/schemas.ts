import { z, type ZodType } from 'zod'

import { readByHand } from '../openapi/json-schema.ts'
import { DATATYPES } from './datatypes.ts'

/** What a request may say of a tensor, or of itself. */
export type Parameters = Readonly<Record<string, unknown>> | null | undefined

export interface InputAsked {
  name: string
  shape: number[]
  datatype: string
  data?: unknown
  parameters?: Parameters
}

interface OutputAsked {
  name: string
  parameters?: Parameters
}

export interface InferRequest {
  id?: string | null | undefined
  parameters?: Parameters
  inputs: InputAsked[]
  outputs?: OutputAsked[] | null | undefined
}

/** ONNX knows no more, and no graph has as many. */
const MAX_DIMENSIONS = 64

const PARAMETERS = z.record(z.string(), z.unknown()).nullish()

export const INFER_REQUEST: ZodType<InferRequest> = z.object({
  id: z.string().nullish(),
  parameters: PARAMETERS,
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.int().min(0)).max(MAX_DIMENSIONS),
        datatype: z.enum(DATATYPES),
        data: readByHand(z.unknown().optional(), () => ({
          type: ['array', 'null'],
          description: 'one after the other or as lists of lists; none where `parameters` have a `binary_data_size`',
        })),
        parameters: PARAMETERS,
      }),
    )
    .min(1),
  outputs: z.array(z.object({ name: z.string(), parameters: PARAMETERS })).nullish(),
})
