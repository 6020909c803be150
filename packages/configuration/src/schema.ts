import { parseCid } from '@x/cid'
import type { FeatureName, Position } from '@x/gating'
import { isStorageError } from '@x/storage-core'
import { z } from 'zod'

import {
  BACKEND_KEYS,
  backendSchema,
  STORAGE_KEYS,
  storageSchema,
  tokenKeys,
  wrongWithToken,
  type SaidBackend,
  type SaidStorage,
} from './storage-schema.ts'
import { plainUrl } from './url-schema.ts'

/** As `EndpointSettings` of @x/remote-inference takes it. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

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
  storage?: SaidStorage | undefined
  backends?: Record<string, SaidBackend> | undefined
  gates?: { [F in FeatureName]?: Position | undefined } | undefined
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

const models = z.record(z.string(), z.string().min(1)).superRefine((table, context) => {
  if (Object.keys(table).length === 0) context.addIssue({ code: 'custom', message: 'has no model' })
  for (const cid of Object.keys(table)) {
    if (!isCid(cid)) context.addIssue({ code: 'custom', path: [cid], message: 'is no CID, by which a model is named' })
  }
})

const endpoint = z
  .strictObject({
    url: plainUrl,
    api: z.enum(['openai', 'tei', 'ipfs-accelerate']),
    ...tokenKeys,
    models,
  })
  .superRefine((given, context) => {
    for (const { key, what } of wrongWithToken(given)) {
      context.addIssue({ code: 'custom', path: [key], message: what })
    }
  })

const named = <T extends z.ZodType>(schema: T, what: string) =>
  z.record(z.string(), schema).superRefine((table, context) => {
    for (const name of Object.keys(table)) {
      if (!NAME.test(name)) context.addIssue({ code: 'custom', path: [name], message: `is no name of ${what}` })
    }
  })

const endpoints = named(endpoint, 'an endpoint')
const backends = named(backendSchema, 'a backend')

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

const all = z.strictObject({
  endpoints: endpoints.optional(),
  server: server.optional(),
  gates: gates.optional(),
  storage: storageSchema.optional(),
  backends: backends.optional(),
})

/** All that a configuration file may say. */
export const SCHEMA: z.ZodType<Said> = all

/** The keys that may stand at a path. */
export function keysAt([section, ...below]: readonly unknown[]): readonly string[] {
  if (section === undefined) return Object.keys(all.shape)
  if (section === 'server' && below.length === 0) return Object.keys(server.shape)
  if (section === 'gates' && below.length === 0) return Object.keys(gates.shape)
  if (section === 'storage' && below.length === 0) return STORAGE_KEYS
  if (section === 'backends' && below.length === 1) return BACKEND_KEYS
  return section === 'endpoints' && below.length === 1 ? Object.keys(endpoint.shape) : []
}
