import { fileURLToPath } from 'node:url'

export interface OurServer {
  /** Folder of a store that has the model as `bench/<model>`. */
  store: string
  model: string
  /** Of ONNX Runtime. Default: as the engine comes. */
  threads?: number | undefined
  /** Threads that run the model, each on its share of the cores. Default: as the engine comes. */
  workers?: number | undefined
  /** Folder where it keeps results. Default: it keeps none. */
  results?: string | undefined
  /** What is in the store, too. Default false. */
  servesStore?: boolean | undefined
}

/** The command that starts it, with the flags of this process. */
export const ourServer = ({ store, model, threads, workers, results, servesStore }: OurServer): string[] => [
  process.execPath,
  ...process.execArgv,
  fileURLToPath(new URL('server.ts', import.meta.url)),
  JSON.stringify({ store, model, threads, workers, results, servesStore }),
]
