import { z, type ZodType } from 'zod'

const numbers = z.array(z.number())

/** A vector of each text. */
export const VECTORS: ZodType = z.array(numbers)

/** Of each text a vector of each token. */
export const TOKEN_VECTORS: ZodType = z.array(z.array(numbers))

/** A cosine of each sentence. */
export const COSINES: ZodType = numbers

export const RANKS: ZodType = z.array(
  z.object({ index: z.int().min(0), score: z.number(), text: z.string().optional() }),
)

const LABELS = z.array(z.object({ label: z.string(), score: z.number() }))

/** A list of labels of each text. */
export const LABELS_OF_EACH: ZodType = z.array(LABELS)

/** Of one input its labels alone. */
export const PREDICTION: ZodType = z.union([LABELS, LABELS_OF_EACH])

export const TOKENS: ZodType = z.array(
  z.array(z.object({ id: z.int(), text: z.string(), special: z.boolean(), start: z.null(), stop: z.null() })),
)

const LABELLED = z.object({
  id2label: z.record(z.string(), z.string()).optional(),
  label2id: z.record(z.string(), z.int()).optional(),
})

export const INFO: ZodType = z.object({
  model_id: z.string(),
  model_sha: z.string(),
  served_model_name: z.string(),
  model_dtype: z.string().optional(),
  model_type: z.union([
    z.strictObject({ embedding: z.object({ pooling: z.string().optional() }) }),
    z.strictObject({ classifier: LABELLED }),
    z.strictObject({ reranker: LABELLED }),
  ]),
  max_input_length: z.int().optional(),
  max_client_batch_size: z.int(),
  auto_truncate: z.literal(false),
})

export const UNHEALTHY_ANSWER: ZodType = z.object({ error: z.string(), error_type: z.literal('Unhealthy') })
