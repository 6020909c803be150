import { serveInference } from '@x/infer-web/worker'
import { NotFoundError } from '@x/storage-core'

import type { RuntimeBuilds } from './inference/runtime-files.ts'
import { startPlatform } from './inference/start-platform.ts'
import { openModel } from './open-model.ts'
import { createSharedReader } from './shared-reader.ts'

export type { RuntimeBuilds, RuntimeFiles } from './inference/runtime-files.ts'

export interface ServeModelsOptions {
  /** Where the page has ONNX Runtime's files. */
  runtime: RuntimeBuilds
  /** As of `openStorage`. */
  directory?: string | undefined
  /** Of WebAssembly, where the page is cross-origin isolated; elsewhere there is one. Default: one for each core, at most four. */
  threads?: number | undefined
}

/** In a worker: runs the models of the page's storage for an engine of `@x/infer-web`. What is stored later is found. */
export function serveModels({ runtime, directory, threads }: ServeModelsOptions): void {
  const read = createSharedReader(directory)
  serveInference({
    start: () => startPlatform(runtime, threads),
    async openModel(reference, { signal }) {
      const model = await read(async (store) => {
        const opened = await openModel(store, reference, { signal })
        const file: typeof opened.file = async (path, options) => {
          // Also after its data was moved.
          const found = await read((current) =>
            current.getFile(opened.cid, { path, verify: 'stored', signal: options?.signal }),
          )
          if (!found) throw new NotFoundError(`${opened.cid}/${path}`, { cid: opened.cid })
          return found
        }
        return { ...opened, file }
      })
      if (model) return model
      throw new NotFoundError(reference, { message: `${reference}: there is no storage in this browser yet` })
    },
  })
}
