import type { FigureTable, Question, Target } from '../harness/types.ts'
import { MODELS, prepareModels } from '../infer/models.ts'
import { DECODER, prepareDecoder } from './decoder.ts'

const IDLE = 1000
const BUSY = 200
/** Private memory with all of them, more than before. MB. */
const AT_MOST_MB = 100
/** Of downloads: each has a leaf in hand, 1 MiB, which is hashed before any of it goes out. */
const DOWNLOADS_AT_MOST_MB = 210
/** Texts of this length that are streamed, in tokens. */
const TOKENS = 64
const STREAMS = `${BUSY} streams of ${DECODER}`
/** Of a file that is downloaded: more than lies in the kernel's buffers. */
const FILE_BYTES = 16 * 2 ** 20
const DOWNLOADS = `${BUSY} downloads of 16 MiB`

export const connections: Question = {
  name: 'serve/connections',
  title: `${IDLE} connections that are kept alive, and ${BUSY} that ask, are streamed to or download`,
  rounds: 3,
  async prepare(workspace) {
    const { store, inputs } = await prepareModels(workspace)
    const decoder = await prepareDecoder(workspace)
    const asking = MODELS.map((model) =>
      workspace.script(model.name, new URL('connections.ts', import.meta.url), {
        inputs: inputs(model, '16'),
        store,
        model: model.name,
        idle: IDLE,
        busy: BUSY,
      }),
    )
    const streaming = workspace.script(STREAMS, new URL('streams.ts', import.meta.url), {
      store: decoder,
      model: DECODER,
      idle: IDLE,
      streams: BUSY,
      tokens: TOKENS,
    })
    const file = await workspace.file(FILE_BYTES)
    const add = new URL('add-file.ts', import.meta.url)
    const added = await workspace.once(workspace.script('add a file', add, { path: file.path, store: decoder }))
    const downloading = workspace.script(DOWNLOADS, new URL('downloads.ts', import.meta.url), {
      store: decoder,
      model: DECODER,
      idle: IDLE,
      downloads: BUSY,
      cid: added.evidence['root'],
      sha256: file.sha256,
      bytes: file.bytes,
    })
    const jobs = [...asking, streaming, downloading]
    return {
      expected: {},
      jobs,
      targets: jobs.map(({ name }): Target => ({
        type: 'at-most',
        label: `${name}: more memory with all connections`,
        job: name,
        figure: 'moreMB',
        unit: 'MB',
        atMost: name === DOWNLOADS ? DOWNLOADS_AT_MOST_MB : AT_MOST_MB,
      })),
      tables: [MEMORY, STREAMED, DOWNLOADED],
    }
  },
}

const MEMORY: FigureTable = {
  title: 'private memory',
  columns: [
    { label: 'before', figure: 'beforeMB', unit: 'MB' },
    { label: `${IDLE} idle`, figure: 'idleMB', unit: 'MB' },
    { label: 'still open', figure: 'open', unit: 'count' },
    { label: `and ${BUSY} busy`, figure: 'busyMB', unit: 'MB' },
    { label: 'none open', figure: 'afterMB', unit: 'MB' },
  ],
}

const STREAMED: FigureTable = {
  title: 'streamed texts',
  jobs: [STREAMS],
  columns: [
    { label: 'begun and not ended, at most', figure: 'streaming', unit: 'count' },
    { label: 'pieces a second', figure: 'perSecond', unit: 'count' },
    { label: 'first piece, p50', figure: 'firstP50', unit: 'seconds' },
    { label: 'first piece, p99', figure: 'firstP99', unit: 'seconds' },
  ],
}

const DOWNLOADED: FigureTable = {
  title: 'downloads',
  jobs: [DOWNLOADS],
  columns: [
    { label: 'under way at the server', figure: 'streaming', unit: 'count' },
    { label: 'MB a second', figure: 'megabytesPerSecond', unit: 'count' },
  ],
}
