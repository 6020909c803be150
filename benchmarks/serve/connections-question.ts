import type { FigureTable, Question, Target } from '../harness/types.ts'
import { MODELS, prepareModels } from '../infer/models.ts'
import { DECODER, prepareDecoder } from './decoder.ts'

const IDLE = 1000
const BUSY = 200
/** Private memory with all of them, more than before. MB. */
const AT_MOST_MB = 100
/** Texts of this length that are streamed, in tokens. */
const TOKENS = 64
const STREAMS = `${BUSY} streams of ${DECODER}`

export const connections: Question = {
  name: 'serve/connections',
  title: `${IDLE} connections that are kept alive, and ${BUSY} that ask or are streamed to`,
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
    return {
      expected: {},
      jobs: [...asking, streaming],
      targets: [...asking, streaming].map(({ name }): Target => ({
        type: 'at-most',
        label: `${name}: more memory with all connections`,
        job: name,
        figure: 'moreMB',
        unit: 'MB',
        atMost: AT_MOST_MB,
      })),
      tables: [MEMORY, STREAMED],
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
    { label: 'under way at the measure', figure: 'streaming', unit: 'count' },
    { label: 'pieces a second', figure: 'perSecond', unit: 'count' },
    { label: 'first piece, p50', figure: 'firstP50', unit: 'seconds' },
    { label: 'first piece, p99', figure: 'firstP99', unit: 'seconds' },
  ],
}
