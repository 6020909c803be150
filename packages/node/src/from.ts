import { openAsBlob } from 'node:fs'
import path from 'node:path'

import type { CID } from '@x/cid'
import { parseReference, type ManifestFile } from '@x/model-loader'
import { UnsupportedError, type AbortOptions } from '@x/storage-core'
import type { InferenceSession } from 'onnxruntime-node'

import { openModel } from './models.ts'
import { openStorage, type Storage } from './open-storage.ts'
import { checkedPath } from './sessions/checked-path.ts'
import { createDerivedArea, DERIVED } from './sessions/derived-area.ts'
import { loadRuntime } from './sessions/load-runtime.ts'
import { createPlannedSession, type SessionReport } from './sessions/session-creator.ts'
import { createSessionPlanner } from './sessions/session-planner.ts'
import { hookSettings, type SettingsInput } from './transformers/hook-settings.ts'

export interface FromOptions extends AbortOptions, Omit<SettingsInput, 'environment' | 'gates' | 'offline'> {
  /** Where the model is. Default: the store in `directory`, which is opened, and closed by `close`. */
  storage?: Storage | undefined
  /** Default `process.env`. */
  environment?: SettingsInput['environment'] | undefined
  /** Hears how each session was made. Default: nobody does. */
  onSession?: ((report: SessionReport) => void) | undefined
  /** Hears, once, of a model that the policy `unsigned: 'warn'` lets pass. Default: a line on stderr. */
  onWarning?: ((message: string) => void) | undefined
}

/** A verified model, as paths, Blobs or sessions of ONNX Runtime. */
export interface Model {
  readonly cid: CID
  readonly files: readonly ManifestFile[]
  /**
   * The absolute path of a file, checked now. Read-only; valid until `close`.
   *
   * @throws {NotFoundError} The model has no such file.
   * @throws {IntegrityError} It is no longer what it was.
   */
  path(file: string): Promise<string>
  /** A file as a Blob that reads from disk; checked now. It fails to read once the file is changed. */
  blob(file: string): Promise<Blob>
  /**
   * A session of a graph, which the caller releases.
   *
   * @param options - ONNX Runtime's own; they win over what `memory` sets.
   * @throws {GatedError} onnxruntime-node is not installed.
   */
  session(file: string, options?: InferenceSession.SessionOptions): Promise<InferenceSession>
  close(): Promise<void>
}

/**
 * Opens a model for a program that does without transformers.js.
 *
 * @param reference - `ipfs://<cid>`, a CID, a registered name, `hf://` or `s3://` as it was pulled last, or the path of a directory.
 * @throws {SignatureError | GatedError} The policy refuses it.
 */
export async function from(reference: string, options: FromOptions = {}): Promise<Model> {
  const { storage, signal, environment = process.env, onSession = () => undefined } = options
  const { onWarning = (message) => void process.stderr.write(`ipfs-accelerate: ${message}\n`) } = options
  const { directory, memory, verify, batch, derivedBytes, policy } = hookSettings({ ...options, environment })
  let own: Storage | undefined
  // A reference to a bucket names it: a gate that requires one is content.
  const beside = parseReference(reference).kind === 's3' ? (['s3'] as const) : []
  const model = await openModel(
    async () => storage ?? (own = await openStorage({ directory, environment, create: false, beside, signal })),
    reference,
    // What is given is checked when it is given.
    { signal, verify: 'stored', policy, onWarning },
  ).catch(async (error: unknown) => {
    await own?.close()
    throw error
  })
  const area = createDerivedArea(path.join(storage?.directory ?? directory, DERIVED))
  const planner = createSessionPlanner({ area, memory, verify, batch, maxBytes: derivedBytes })

  const pathOf = async (file: string): Promise<string> => {
    const found = await checkedPath(model, file, verify)
    if (found !== undefined) return found
    throw new UnsupportedError(`${model.cid}/${file} has no path: its store is not on a disk`)
  }
  return {
    cid: model.cid,
    files: model.files,
    path: pathOf,
    blob: async (file) => openAsBlob(await pathOf(file)),
    async session(file, sessionOptions = {}) {
      const graph = { path: await pathOf(file), model, file }
      const data = model.files.filter((other) => other.path.startsWith(`${file}_data`))
      await Promise.all(data.map((other) => pathOf(other.path)))
      const made = await createPlannedSession(
        planner,
        { graph, runtime: loadRuntime(), options: { ...sessionOptions } },
        onSession,
      )
      if (isSession(made)) return made
      throw new UnsupportedError('onnxruntime-node made something that cannot run')
    },
    async close() {
      await model.close()
      await own?.close()
    },
  }
}

const isSession = (value: unknown): value is InferenceSession =>
  typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function'
