import { z, type ZodType } from 'zod'

const SOFTWARE = z.object({ name: z.string(), version: z.string() })
const NAMED = { cid: z.string(), model: z.string(), input: z.string(), params: z.string(), output: z.string() }

const RESULT = z.object({
  ...NAMED,
  schema: z.union([z.literal(1), z.literal(2), z.literal(3)]),
  task: z.string(),
  manifest: z.string(),
  files: z.array(z.object({ path: z.string(), cid: z.string() })),
  runtime: SOFTWARE,
  library: SOFTWARE,
  executionProvider: z.string(),
  dtype: z.record(z.string(), z.string()),
  numericClass: z.string().optional(),
  tools: z.array(SOFTWARE).optional(),
})

const REMOTE = z.object({
  ...NAMED,
  schema: z.literal(1),
  kind: z.literal('remote'),
  task: z.string(),
  endpoint: z.string(),
  api: z.string(),
  remoteModel: z.string(),
  verified: z.enum(['receipt', 'nothing']),
  receipt: z.string().optional(),
})

const LIST = z.object({ cid: z.string(), schema: z.literal(1), receipts: z.array(z.string()) })

/** Of a result, of one that was computed elsewhere, or of several. CIDs are texts. */
export const RECEIPT: ZodType = z.union([RESULT, REMOTE, LIST])
