import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { fixtureModel, wideBert } from '../../tooling/fixtures/src/index.ts'
import type { Job, Question, Target } from '../harness/types.ts'

/** 12 layers of 4096 x 4096 in fp32 are 768 MiB. */
const WIDTH = 4096
const LAYERS = 12
const LAYER_BYTES = WIDTH * WIDTH * 4

type Memory = 'auto' | 'mmap' | 'packed' | 'original'

export const question: Question = {
  name: 'open-model',
  title: 'a model of 768 MiB in an unmodified transformers.js program, from start to the first answer',
  rounds: 3,
  async prepare(workspace) {
    const layers = Math.max(1, Math.min(LAYERS, Math.floor(workspace.bytes / LAYER_BYTES)))
    const cache = workspace.path('library-cache')
    const store = workspace.path('model-store')
    for (const [name, files] of Object.entries({
      wide: wideBert(WIDTH, layers),
      small: fixtureModel('tiny-bert').files,
    })) {
      for (const [path, bytes] of Object.entries(files)) {
        const file = join(cache, 'bench', name, path)
        await mkdir(dirname(file), { recursive: true })
        await writeFile(file, bytes)
      }
    }
    const models = { 'bench/wide': join(cache, 'bench', 'wide'), 'bench/small': join(cache, 'bench', 'small') }
    await workspace.once(workspace.script('add', new URL('add.ts', import.meta.url), { models }, { output: store }))
    const [, ...flags] = workspace
      .script('', new URL('add.ts', import.meta.url), {})
      .command(false)
      .slice(0, -2)
    const built = flags.includes('--conditions=@x/source') ? 'src/register.ts' : 'dist/register.js'
    const register = `--import=${new URL(`../../packages/node/${built}`, import.meta.url).href}`

    function job(name: string, app: string, hook: Memory | 'none', env: Record<string, string> = {}): Job {
      const script = fileURLToPath(new URL(app, import.meta.url))
      return {
        name,
        command: () => [process.execPath, ...flags, ...(hook === 'none' ? [] : [register]), script],
        env: {
          BENCH_CACHE: cache,
          BENCH_BATCH: '1',
          BENCH_RUNS: '0',
          IPFS_ACCELERATE_CACHE_DIR: store,
          IPFS_ACCELERATE_PATCH: 'require',
          ...(hook !== 'none' && { IPFS_ACCELERATE_MEMORY: hook }),
          ...env,
        },
        reads: hook === 'none' ? [cache] : [store],
        result: async (stdout) => JSON.parse(stdout.trim().split('\n').at(-1) ?? ''),
      }
    }

    const eachOpen = { IPFS_ACCELERATE_VERIFY: 'each-open' }
    const batch = { BENCH_BATCH: '8', BENCH_RUNS: '5' }
    const jobs = [
      job('plain', 'app.mjs', 'none'),
      job('ours, stored', 'app.mjs', 'auto'),
      job('ours, each-open', 'app.mjs', 'auto', eachOpen),
      job('batch of 8, plain', 'app.mjs', 'none', batch),
      job('batch of 8, packed', 'app.mjs', 'packed', batch),
      job('batch of 8, mapped', 'app.mjs', 'mmap', batch),
      job('one worker', 'workers.mjs', 'mmap', { BENCH_WORKERS: '1' }),
      job('four workers', 'workers.mjs', 'mmap', { BENCH_WORKERS: '4' }),
      job('overhead', 'overhead.mjs', 'auto'),
    ]
    const targets: Target[] = [
      { type: 'faster', label: 'start to first answer', ours: 'ours, stored', peers: ['plain'], atLeast: 10 },
      { type: 'faster', label: 'all hashed each time', ours: 'ours, each-open', peers: ['plain'], atLeast: 5 },
      memory('private memory after it', { small: 'plain', large: 'ours, stored', atMost: 0.1 }),
      {
        type: 'faster',
        label: 'batch of 8, packed',
        ours: 'batch of 8, packed',
        peers: ['batch of 8, plain'],
        atLeast: 0.95,
      },
      { type: 'faster', label: 'batch of 8, mapped', ours: 'batch of 8, mapped', peers: ['batch of 8, plain'] },
      memory('private memory of four workers', { small: 'one worker', large: 'four workers', atMost: 1.3 }),
      { type: 'at-most', label: 'binding, per warm pipeline()', job: 'overhead', figure: 'work', atMost: 0.005 },
    ]
    return {
      expected: {},
      jobs,
      targets,
      done: async () => {
        await Promise.all([cache, store].map((path) => rm(path, { recursive: true, force: true })))
      },
    }
  },
}

function memory(label: string, of: { small: string; large: string; atMost: number }): Target {
  return { type: 'flat', label, figure: 'privateMB', ...of }
}
