import { parseCid } from '@x/cid'
import type { FeatureName, Position } from '@x/gating'
import { isStorageError } from '@x/storage-core'
import { z } from 'zod'

/** As `EndpointSettings` of @x/remote-inference takes it. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

export interface SaidEndpoint {
  url: string
  api: 'openai' | 'tei' | 'ipfs-accelerate'
  'token-env'?: string | undefined
  'token-file'?: string | undefined
  models: Record<string, string>
}

export interface Said {
  endpoints?: Record<string, SaidEndpoint> | undefined
  server?: { 'use-endpoints'?: 'fallback' | 'prefer' | undefined } | undefined
  gates?: { [F in FeatureName]?: Position | undefined } | undefined
}

/** @returns What is wrong with it. It is not shown: it may hold a password. */
function wrongWithUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return 'is no URL of http or https'
  if (url.username !== '' || url.password !== '') return 'has a user or a password; token-env or token-file is for them'
  if (url.search !== '' || url.hash !== '') return 'has a query or a fragment'
  return undefined
}

function isCid(text: string): boolean {
  try {
    parseCid(text)
    return true
  } catch (error) {
    if (isStorageError(error)) return false
    throw error
  }
}

const url = z.string().superRefine((text, context) => {
  const message = wrongWithUrl(text)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})

const models = z.record(z.string(), z.string().min(1)).superRefine((table, context) => {
  if (Object.keys(table).length === 0) context.addIssue({ code: 'custom', message: 'has no model' })
  for (const cid of Object.keys(table)) {
    if (!isCid(cid)) context.addIssue({ code: 'custom', path: [cid], message: 'is no CID, by which a model is named' })
  }
})

const endpoint = z
  .strictObject({
    url,
    api: z.enum(['openai', 'tei', 'ipfs-accelerate']),
    'token-env': z.string().regex(VARIABLE, 'is no name of an environment variable').optional(),
    'token-file': z.string().min(1).optional(),
    models,
  })
  .superRefine((given, context) => {
    if (given['token-env'] === undefined || given['token-file'] === undefined) return
    context.addIssue({
      code: 'custom',
      path: ['token-file'],
      message: 'is beside token-env, and one of them is wanted',
    })
  })

const endpoints = z.record(z.string(), endpoint).superRefine((table, context) => {
  for (const name of Object.keys(table)) {
    if (!NAME.test(name)) context.addIssue({ code: 'custom', path: [name], message: 'is no name of an endpoint' })
  }
})

const server = z.strictObject({ 'use-endpoints': z.enum(['fallback', 'prefer']).optional() })

const POSITIONS = ['off', 'local', 'prefer', 'require'] as const

const gate = z
  .union([z.boolean(), z.enum(POSITIONS)], `is none of ${POSITIONS.join(', ')}, true, false`)
  .transform((given): Position => (typeof given === 'string' ? given : given ? 'prefer' : 'off'))
  .optional()

const gates = z.strictObject({
  network: gate,
  kubo: gate,
  helia: gate,
  gateway: gate,
  s3: gate,
  pinning: gate,
  lan: gate,
  hub: gate,
  patch: gate,
  'remote-inference': gate,
} satisfies Record<FeatureName, typeof gate>)

const all = z.strictObject({ endpoints: endpoints.optional(), server: server.optional(), gates: gates.optional() })

/** All that a configuration file may say. */
export const SCHEMA: z.ZodType<Said> = all

/** The keys that may stand at a path. */
export function keysAt([section, ...below]: readonly unknown[]): readonly string[] {
  if (section === undefined) return Object.keys(all.shape)
  if (section === 'server' && below.length === 0) return Object.keys(server.shape)
  if (section === 'gates' && below.length === 0) return Object.keys(gates.shape)
  return section === 'endpoints' && below.length === 1 ? Object.keys(endpoint.shape) : []
}
